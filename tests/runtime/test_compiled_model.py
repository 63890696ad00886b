"""`compile_model` in each runtime: where it cannot work, an error says why and what to do.

What it does where it can, tests/litert has.
"""

import numpy as np
import pytest

import tflite_sparse as ts
from tests.runtime.models import SMALL, content
from tflite_sparse.runtime import find_runtime

NOT_INSTALLED = r"ai-edge-litert 2\.2 or newer is not installed; .*pip install ai-edge-litert"
TOO_OLD = r"ai-edge-litert {} cannot .* expected ai-edge-litert 2\.2 or newer: pip install"


@pytest.fixture
def version(runtime):
    """(major, minor) of ai-edge-litert, None where it is not installed.

    tensorflow's environment has it too.
    """
    if runtime == "tflite-runtime":
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
    interpreter.invoke()
    assert np.ptp(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])) > 0
