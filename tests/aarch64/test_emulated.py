"""The Arm wheel in an Arm Python, on emulated processors."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.models import made
from tflite_sparse.delegate import LIBRARY_VARIABLE, delegate_library
from tflite_sparse.measure.variants import difference
from tools import emulator

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = ("face_landmark_fp32-s30", "face_landmark_int8-s50", "face_detection_short_range-s50")
FRESH = {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}


def on_board(cpu, package, runtime, *arguments, variables=()):
    """Run the Arm Python with the wheel and an interpreter installed; the finished process."""
    path = [str(package), str(emulator.site(runtime)), str(ROOT)]
    environment = {"PYTHONPATH": ":".join(path), **FRESH, **dict(variables)}
    return subprocess.run(
        [*emulator.python(cpu), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


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


@pytest.fixture(scope="session", params=emulator.SITES)
def there(request, cpu, package, tmp_path_factory):
    """Outputs of the program in one interpreter on one processor."""
    target = tmp_path_factory.mktemp("there") / "outputs.npz"
    models = [str(made(name)) for name in MODELS]
    program = ("-m", "tests.aarch64.program", request.param, str(target), *models)
    done = on_board(cpu, package, request.param, *program)
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stderr[-3000:]}"
    return outputs(target)


def test_import_is_the_wheel_on_arm(cpu, package):
    code = "import platform, tflite_sparse as ts; print(platform.machine(), ts.delegate_library())"
    done = on_board(cpu, package, "ai-edge-litert", "-c", code)
    assert done.returncode == 0, done.stderr
    machine, library = done.stdout.split()
    assert machine == "aarch64"
    assert Path(library) == package / "tflite_sparse" / "lib" / "libtflite_sparse_delegate.so"


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
