"""The constants of the insertion rule (native/engine/costs.c), measured.

    bazel build //native/benchmarks:masked_chain
    .venv/bin/python -m benchmarks.insertion_costs [--processor avx2]

Layers run in chains, dense, compact, and with zeros inserted (bazel-bin/native/benchmarks/
masked_chain), on one thread, in turns. `mac` is a multiply-accumulate of the dense layers. What
`insert` takes longer than `compact` is split by least squares over layers and sparsities: so much
for each kept byte (GEMM) or kept pixel (depthwise), and so much for each byte of zeros, which the
rule's other choice writes too. Picoseconds, float32.
"""

import argparse
import os
import subprocess
from pathlib import Path

import numpy as np

PROGRAM = Path(__file__).resolve().parent.parent / "bazel-bin/native/benchmarks/masked_chain"
# Where the rule always inserts zeros: at high sparsity.
SPARSITIES = (0.85, 0.95)
ROUNDS = 7
# kind: [(size, channels, channels between a pair of 1x1 layers)]
LAYERS = {
    "pointwise": [(28, 32, 192), (14, 96, 576), (14, 64, 384), (28, 48, 288)],
    "depthwise": [(28, 192, 0), (14, 576, 0), (28, 144, 0), (56, 144, 0)],
}


def measure(kind, layer, sparsity, mode, processor):
    """Picoseconds of one layer between others: of a chain of three, less those of a chain of one."""
    size, channels, other = layer
    times = []
    for count in (3, 1):
        command = [PROGRAM, kind, size, channels, other, sparsity, mode, count, 30, "time"]
        environment = dict(
            os.environ, **({"TFLITE_SPARSE_PROCESSOR": processor} if processor else {})
        )
        output = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stdout
        forms = {line.split()[0] for line in output.splitlines()} - {"nanoseconds"}
        assert mode != "insert" or forms == {"insert"}, f"left dense: {kind} {layer} {sparsity}"
        times.append(float(output.split("nanoseconds")[1].split()[0]))
    return (times[0] - times[1]) / 2 * 1000


def work(kind, layer):
    """Multiply-accumulates and output bytes of a pixel."""
    _, channels, other = layer
    if kind == "pointwise":
        return 2 * channels * other, 4 * (channels + other)
    return 9 * channels, 4 * channels


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processor", help="avx512, avx2 or sse41 instead of this one")
    args = parser.parse_args()
    for kind, layers in LAYERS.items():
        macs, rows, extra = [], [], []
        for layer in layers:
            pixels = layer[0] ** 2
            mac, size = work(kind, layer)
            macs.append(measure(kind, layer, 0, "dense", args.processor) / (pixels * mac))
            for sparsity in SPARSITIES:
                rounds = [
                    [
                        measure(kind, layer, sparsity, mode, args.processor)
                        for mode in ("insert", "compact")
                    ]
                    for _ in range(ROUNDS)
                ]
                masked = round(sparsity * pixels)
                kept = pixels - masked
                rows.append((kept * (size if kind == "pointwise" else 1), masked * size))
                extra.append(np.median([insert - compact for insert, compact in rounds]))
        (cost, zero), *_ = np.linalg.lstsq(np.array(rows), np.array(extra), rcond=None)
        unit = "a kept byte" if kind == "pointwise" else "a kept pixel"
        print(f"{kind}: mac {np.median(macs):.1f}, {unit} {cost:.1f}, a byte of zeros {zero:.1f}")


if __name__ == "__main__":
    main()
