"""`compile_model` in each runtime: where it cannot work, an error says why and what to do.

What it does where it can, tests/litert has.
"""

import subprocess
from importlib.util import find_spec

import numpy as np
import pytest

import tflite_sparse as ts
from tests.litert.c_example import build, litert_folder
from tests.runtime.models import SMALL, content, inputs, run
from tflite_sparse.runtime import find_runtime
from tools.fetch_models import fetched

NOT_INSTALLED = r"ai-edge-litert 2\.2 or newer is not installed; .*pip install ai-edge-litert"
TOO_OLD = r"ai-edge-litert {} cannot .* expected ai-edge-litert 2\.2 or newer: pip install"


@pytest.fixture
def version():
    """(major, minor) of ai-edge-litert, None where it is not installed.

    tensorflow's environment has it too.
    """
    if find_spec("ai_edge_litert") is None:
        return None
    return tuple(map(int, find_runtime("ai-edge-litert").version.split(".")[:2]))


def check(expected):
    """`compile_model` raises DelegateError as expected, or works if that is None."""
    if expected is None:
        assert ts.compile_model(model_content=content(SMALL)).sparsity_report().nodes_taken == 164
        return
    with pytest.raises(ts.DelegateError, match=expected):
        ts.compile_model(model_content=content(SMALL))


def test_too_old_or_not_installed(version):
    if version is None:
        check(NOT_INSTALLED)
    elif version < (2, 2):
        check(TOO_OLD.format(find_runtime("ai-edge-litert").version))
    else:
        check(None)


def test_what_came_to_be_is_looked_at_too(version, monkeypatch):
    """Without the check of the version: LiteRT 2.1 refuses the accelerator without a word."""
    monkeypatch.setattr("tflite_sparse.litert._OLDEST", (2, 0))
    if version is None:
        check(NOT_INSTALLED)
    elif version < (2, 0):
        check(TOO_OLD.format(find_runtime("ai-edge-litert").version))
    elif version < (2, 2):
        check("compiled the model without the sparse delegate: the place .* is taken")
    else:
        check(None)


def test_the_interpreter_that_the_error_points_to_works(runtime):
    interpreter = ts.Interpreter(model_content=content(SMALL), runtime=runtime)
    interpreter.allocate_tensors()
    outputs = run(interpreter, inputs(interpreter))
    assert any(np.ptp(output) > 0 for output in outputs)


def test_c_example(version, tmp_path):
    if version is None or version < (2, 1):
        assert not find_spec("ai_edge_litert") or not (litert_folder() / "libLiteRt.so").exists()
        return
    program = build(tmp_path / "run")
    np.zeros((1, 128, 128, 3), np.float32).tofile(tmp_path / "inputs")
    command = [program, fetched(SMALL), tmp_path / "inputs", tmp_path / "outputs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if version < (2, 2):
        assert done.returncode == 1
        assert "Use ai-edge-litert 2.2 or 2.3" in done.stderr
        assert not (tmp_path / "outputs").exists()
    else:
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "outputs").stat().st_size == 4 * 896 * (16 + 1)
