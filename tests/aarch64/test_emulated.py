"""The Arm wheel in an Arm Python, on emulated processors."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.aarch64.board import ROOT, SITES, cross_compiler, on_board
from tests.litert.c_example import build
from tests.runtime.models import made
from tflite_sparse.delegate import LIBRARY_VARIABLE, delegate_library
from tflite_sparse.measure.variants import difference
from tools import emulator

MODELS = ("face_landmark_fp32-s30", "face_landmark_int8-s50", "face_detection_short_range-s50")


def outputs(path):
    """{(model, mode): tensors} of a file that program.py wrote."""
    found = {}
    with np.load(path) as arrays:
        for name in arrays:
            model, mode, _ = name.split("/")
            found.setdefault((model, mode), []).append(arrays[name])
    return found


@pytest.fixture(scope="session")
def here(tmp_path_factory):
    """Outputs of the same program on this machine."""
    target = tmp_path_factory.mktemp("here") / "outputs.npz"
    models = [str(made(name)) for name in MODELS]
    program = [sys.executable, "-m", "tests.aarch64.program", "ai-edge-litert", str(target)]
    subprocess.run([*program, *models], cwd=ROOT, check=True)
    return outputs(target)


@pytest.fixture(scope="session", params=SITES)
def there(request, cpu, package, tmp_path_factory):
    """Outputs of the program in one interpreter on one processor."""
    target = tmp_path_factory.mktemp("there") / "outputs.npz"
    models = [str(made(name)) for name in MODELS]
    program = ("-m", "tests.aarch64.program", request.param, str(target), *models)
    done = on_board(cpu, package, request.param, *program)
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stderr[-3000:]}"
    return outputs(target)


def test_import_is_the_wheel_on_arm(cpu, package):
    code = (
        "import platform, tflite_sparse as ts; from tflite_sparse.builtin_runtime import *;"
        "print(platform.machine(), ts.delegate_library(), runtime_library())"
    )
    done = on_board(cpu, package, "built-in", "-c", code)
    assert done.returncode == 0, done.stderr
    machine, *libraries = done.stdout.split()
    assert machine == "aarch64"
    assert {Path(library).parent for library in libraries} == {package / "tflite_sparse" / "lib"}


def test_the_library_of_x86_64_is_told_apart(cpu, package):
    code = "from tflite_sparse.delegate import *; library_version()"
    variables = {LIBRARY_VARIABLE: str(delegate_library())}
    done = on_board(cpu, package, "ai-edge-litert", "-c", code, variables=variables)
    last = done.stderr.splitlines()[-1]
    assert "the library is for x86_64 and this machine is aarch64" in last
    assert "install the wheel whose name ends with aarch64.whl" in last


@pytest.mark.parametrize("mode", ["insert", "compact"])
@pytest.mark.parametrize("model", MODELS)
def test_skipping_changes_nothing(there, model, mode):
    for expected, found in zip(there[model, "off"], there[model, mode]):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", ["off", "insert", "compact"])
@pytest.mark.parametrize("model", MODELS)
def test_outputs_are_those_of_this_machine(there, here, model, mode):
    worst, allowed = difference(here[model, mode], there[model, mode])
    assert allowed, f"outputs differ by {worst}"
    assert any(np.unique(tensor).size > 9 for tensor in here[model, mode]), (
        "the outputs say nothing"
    )


COMPILED = """
import sys
import numpy as np
import tflite_sparse as ts
from tests.runtime.models import inputs, run
from tflite_sparse.measure.compiled import CompiledInterpreter

target, path = sys.argv[1:]
model = ts.compile_model(path, num_threads=2)
compiled = CompiledInterpreter(model)
values = inputs(compiled)
with ts.Interpreter(path, num_threads=2) as interpreter:
    interpreter.allocate_tensors()
    for a, b in zip(run(interpreter, values), run(compiled, values)):
        np.testing.assert_array_equal(a, b)
report = model.sparsity_report()
assert report.left == () and any(layer.accelerated for layer in report.layers)
values[0].tofile(target + "/inputs")
with open(target + "/expected", "wb") as file:
    for array in run(compiled, values):
        file.write(array.tobytes())
"""


@pytest.fixture(scope="session")
def litert(tmp_path_factory):
    """ai-edge-litert without its library for GPUs, which kills a Cortex-A72."""
    folder = tmp_path_factory.mktemp("litert")
    (folder / "ai_edge_litert").mkdir()
    for path in (emulator.site("ai-edge-litert") / "ai_edge_litert").iterdir():
        if path.name != "libLiteRtWebGpuAccelerator.so":
            (folder / "ai_edge_litert" / path.name).symlink_to(path)
    return folder


def test_litert_compiled_model_in_python_and_c(cpu, package, litert, tmp_path):
    path, model = f"{litert}:{package}", MODELS[0]
    arguments = ("-c", COMPILED, str(tmp_path), str(made(model)))
    done = on_board(cpu, path, "ai-edge-litert", *arguments)
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stderr[-3000:]}"
    program = build(
        tmp_path / "run",
        litert=emulator.site("ai-edge-litert") / "ai_edge_litert",
        sparse=package / "tflite_sparse" / "lib",
        compiler=cross_compiler(),
    )
    files = [made(model), tmp_path / "inputs", tmp_path / "outputs"]
    command = [*emulator.command(cpu), program, *files, "num_threads=2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stderr[-3000:]}"
    assert (tmp_path / "outputs").read_bytes() == (tmp_path / "expected").read_bytes()
    assert json.loads(done.stdout)["left"] == []


def test_litert_that_would_kill_the_process_is_refused(cpu, package):
    """Its library for GPUs is compiled for newer processors, and it loads that on all."""
    stock = "from ai_edge_litert.environment import Environment; Environment.create()"
    dies = on_board(cpu, package, "ai-edge-litert", "-c", stock).returncode != 0
    assert dies == (cpu == "cortex-a72")
    ours = "import tflite_sparse as ts; ts.litert_environment()"
    done = on_board(cpu, package, "ai-edge-litert", "-c", ours)
    assert (done.returncode == 0) != dies
    assert ("Remove that file, which is for GPUs only" in done.stderr) == dies
    assert done.returncode in (0, 1), "it was killed"


# One instruction each, by its encoding, then a return: usdot is of i8mm, addvl of SVE.
FOREIGN = {"i8mm": 0x4E829C20, "sve": 0x04205021}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_instruction_that_a_board_lacks_kills(package, name):
    """Without this, the tests above would prove nothing about older processors."""
    code = (
        "import ctypes, mmap\n"
        "page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        f"page.write(bytes.fromhex('{FOREIGN[name].to_bytes(4, 'little').hex()}c0035fd6'))\n"
        "ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\n"
    )
    died = on_board("cortex-a72", package, "ai-edge-litert", "-c", code)
    assert died.returncode in (-signal.SIGILL, 128 + signal.SIGILL), died.stderr
    assert on_board("max", package, "ai-edge-litert", "-c", code).returncode == 0
