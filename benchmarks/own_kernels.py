"""Matrix products that no delegate takes: the runtime "built-in" over tflite-runtime, one thread.

    python -m benchmarks.own_kernels

Both are TensorFlow Lite 2.14 without any delegate, in one process of tflite-runtime's environment
(`make runtimes`), in turns. Prints the ratio of times with the 10th and 90th percentile of its rounds:
below 1, native/ruy_shim is faster than the library ruy.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
STOCK = ROOT / ".venvs" / "tflite-runtime" / "bin" / "python"
# Height and width, input channels, output channels, kernel.
CONVOLUTIONS = (
    (56, 64, 64, 3),
    (14, 256, 256, 3),
    (7, 512, 512, 3),
    (56, 24, 144, 1),
    (28, 512, 128, 1),
)
# Rows, inputs, outputs.
FULLY_CONNECTED = ((1, 1024, 1024), (8, 1024, 1024), (32, 768, 768))
ROUNDS = 15


def write_models(folder: Path) -> None:
    """A model of one operation for each layer, in float32 and int8."""
    from ai_edge_litert import schema_py_generated as fb

    from tests.conformance.one_operation import Case, Value, content

    generator = np.random.default_rng(0)

    def case(dtype, kind, shape, weights, options):
        outputs = weights[0]
        if dtype == "float32":
            values = Value(generator.standard_normal(shape, np.float32))
            kernel = Value(generator.standard_normal(weights, np.float32), constant=True)
            bias = Value(np.zeros(outputs, np.float32), constant=True)
            return Case(kind, kind, (values, kernel, bias), options)
        scale = np.full(outputs, 0.02) if kind == "CONV_2D" else 0.02
        values = Value(generator.integers(-128, 128, shape, np.int8), scale=0.05, zero_point=3)
        kernel = Value(generator.integers(-127, 128, weights, np.int8), constant=True, scale=scale)
        bias = Value(np.zeros(outputs, np.int32), constant=True, scale=0.05 * scale)
        return Case(kind, kind, (values, kernel, bias), options, scale=2.0, version=4)

    for dtype in ("float32", "int8"):
        for size, inputs, outputs, kernel in CONVOLUTIONS:
            options = fb.Conv2DOptionsT()
            options.strideH = options.strideW = 1
            options.dilationHFactor = options.dilationWFactor = 1
            shapes = (1, size, size, inputs), (outputs, kernel, kernel, inputs)
            name = f"{dtype} {kernel}x{kernel} {inputs} to {outputs} at {size}x{size}"
            (folder / name).write_bytes(content(case(dtype, "CONV_2D", *shapes, options)))
        for rows, inputs, outputs in FULLY_CONNECTED:
            shapes = (rows, inputs), (outputs, inputs)
            one = case(dtype, "FULLY_CONNECTED", *shapes, fb.FullyConnectedOptionsT())
            name = f"{dtype} fully connected {inputs} to {outputs}, {rows} rows"
            (folder / name).write_bytes(content(one))


def measure(path: Path) -> str:
    """One line of the table."""
    from tflite_runtime import interpreter as stock

    from tests.runtime.models import inputs
    from tflite_sparse import builtin_runtime as ours

    interpreters = []
    for module in (stock, ours):
        kind = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = module.Interpreter(
            model_content=path.read_bytes(), num_threads=1, experimental_op_resolver_type=kind
        )
        interpreter.allocate_tensors()
        (detail,), (value,) = interpreter.get_input_details(), inputs(interpreter)
        interpreter.set_tensor(detail["index"], value)
        interpreters.append(interpreter)

    def milliseconds(interpreter, runs):
        # Brings its weights back into the caches.
        interpreter.invoke()
        start = time.perf_counter()
        for _ in range(runs):
            interpreter.invoke()
        return (time.perf_counter() - start) / runs * 1e3

    runs = max(1, int(20 / milliseconds(interpreters[0], 3)))
    times = []
    for number in range(ROUNDS):
        # Who is first changes.
        order = (0, 1) if number % 2 else (1, 0)
        turn = {which: milliseconds(interpreters[which], runs) for which in order}
        times.append((turn[0], turn[1]))
    theirs, own = np.array(times).T
    low, middle, high = np.percentile(own / theirs, (10, 50, 90))
    return (
        f"{path.name:44s} {np.median(theirs):8.3f} {np.median(own):8.3f} ms   "
        f"{middle:.2f} [{low:.2f}, {high:.2f}]"
    )


def main() -> None:
    """Make the models here, measure them in tflite-runtime's environment."""
    if len(sys.argv) > 1:
        for path in sorted(Path(sys.argv[1]).iterdir()):
            print(measure(path), flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder))
        print(f"{'':44s} tflite-runtime, built-in, ratio")
        subprocess.run([STOCK, "-m", "benchmarks.own_kernels", folder], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
