"""The C interface for LiteRT, through the example and libLiteRt.so of the installed wheel."""

import ctypes
import json
import subprocess

import numpy as np
import pytest

import tflite_sparse as ts
from tests.litert.c_example import build, litert_folder
from tests.runtime.models import content, inputs, run
from tflite_sparse.delegate import delegate_library
from tools.make_models import made

MASKED = "face_landmark_fp32-s50"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("litert_c") / "run")


def start(program, *arguments):
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mode", ["compact", "insert", "off"])
@pytest.mark.parametrize("name", [MASKED, "face_landmark_int8-s50"])
def test_example_gives_the_interpreters_outputs(program, tmp_path, name, mode):
    interpreter = ts.Interpreter(
        model_content=content(name), runtime="ai-edge-litert", num_threads=2, mode=mode
    )
    interpreter.allocate_tensors()
    values = inputs(interpreter)
    values[0].tofile(tmp_path / "inputs")
    done = start(program, made(name), tmp_path / "inputs", tmp_path / "outputs", f"mode={mode}",
                 "num_threads=2")  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    expected = b"".join(output.tobytes() for output in run(interpreter, values))
    assert (tmp_path / "outputs").read_bytes() == expected
    report = json.loads(done.stdout)
    assert (report["mode"], report["num_threads"]) == (mode, 2)
    assert report["nodes_taken"] == report["nodes_total"] > 50
    assert len(report["layers"]) == 43


def test_example_refuses_what_is_wrong(program, tmp_path):
    np.zeros(7, np.float32).tofile(tmp_path / "short")
    files = (made(MASKED), tmp_path / "short", tmp_path / "outputs")
    for arguments, code, message in (
        ((*files, "mode=fast"), 1, "'fast'; expected 'compact', 'insert' or 'off'"),
        ((*files, "mode"), 2, "usage"),
        ((made(MASKED),), 2, "usage"),
        (files, 1, "expected 442368 more bytes of a tensor, found 28"),
    ):
        done = start(program, *arguments)
        assert done.returncode == code
        assert message in done.stderr
    assert not (tmp_path / "outputs").exists()


def test_an_environment_with_litert_own_accelerator_is_refused():
    """It would take the whole model, and the delegate would have nothing to do."""
    litert = ctypes.CDLL(str(litert_folder() / "libLiteRt.so"))
    sparse = ctypes.CDLL(str(delegate_library()))
    environment = ctypes.c_void_p()
    assert litert.LiteRtCreateEnvironment(0, None, ctypes.byref(environment)) == 0
    errors = []
    sink = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(errors.append)
    handle = ctypes.c_void_p(litert._handle)
    assert sparse.tflite_sparse_litert_register(environment, handle, sink) != 0
    (error,) = errors
    assert b"AutoRegisterAccelerators" in error
    litert.LiteRtDestroyEnvironment.argtypes = [ctypes.c_void_p]
    litert.LiteRtDestroyEnvironment(environment)
