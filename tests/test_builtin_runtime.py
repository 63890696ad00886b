"""What the runtime "built-in" has to itself; tests/runtime runs on it as on every other."""

import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

import tflite_sparse as ts
from tests.runtime.models import SMALL, content, inputs, run
from tflite_sparse import builtin_runtime, runtime
from tools.fetch_models import fetched

PROGRAM = """
import sys
import tflite_sparse as ts
try:
    print(ts.Interpreter(sys.argv[1], runtime="built-in").runtime.version)
except ts.DelegateError as error:
    print(error)
"""


def said(library):
    """What an Interpreter says with that library; in a process of its own, it could crash."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, fetched(SMALL)],
        env={**os.environ, builtin_runtime.LIBRARY_VARIABLE: str(library)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-300:]}"
    return done.stdout


@pytest.fixture
def alone(monkeypatch):
    """As in an environment with the wheel and numpy."""
    monkeypatch.setattr("tflite_sparse.runtime.importlib.util.find_spec", lambda name: None)


def test_it_is_the_default_where_there_is_no_other(alone):
    assert runtime.installed_runtimes() == ["built-in"]
    assert ts.Interpreter(fetched(SMALL)).runtime.name == "built-in"


def test_another_that_is_installed_comes_first():
    assert runtime.installed_runtimes()[-1] == "built-in"
    assert ts.Interpreter(fetched(SMALL)).runtime.name == "ai-edge-litert"


def test_not_in_this_installation(alone, monkeypatch, tmp_path):
    monkeypatch.setenv(builtin_runtime.LIBRARY_VARIABLE, str(tmp_path / "missing.so"))
    with pytest.raises(ts.DelegateError, match="make native-runtime"):
        ts.Interpreter(fetched(SMALL), runtime="built-in")
    with pytest.raises(ts.DelegateError, match="pip install ai-edge-litert"):
        ts.Interpreter(fetched(SMALL))


@pytest.mark.parametrize("size", [0, 64, 100_000, 3_000_000])
def test_library_cut_short(tmp_path, size):
    broken = tmp_path / "broken.so"
    broken.write_bytes(builtin_runtime.runtime_library().read_bytes()[:size])
    assert f"{broken}, the runtime built-in, does not load" in said(broken)


def test_another_library():
    text = said(ts.delegate_library())
    assert "does not load" in text
    assert "TfLiteModelCreateWithErrorReporter" in text
    assert builtin_runtime.LIBRARY_VARIABLE in text


def made(model, kind, delegates=()):
    interpreter = builtin_runtime.Interpreter(
        model_content=model,
        experimental_op_resolver_type=kind,
        experimental_delegates=delegates,
    )
    interpreter.allocate_tensors()
    return interpreter


def test_the_sparse_delegate_is_its_default():
    kinds = builtin_runtime.OpResolverType
    found = {}
    for kind in kinds:
        interpreter = made(content(SMALL), kind)
        found[kind] = {op["op_name"] for op in interpreter._get_ops_details()}
    with_delegate = {kind for kind, names in found.items() if "TfLiteXNNPackDelegate" in names}
    assert with_delegate == {kinds.AUTO, kinds.BUILTIN}


def test_a_view_outlives_interpreter_and_delegate():
    """Neither may go before the memory that a view shows."""
    kind = builtin_runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    delegate = ts.load_delegate(runtime="built-in")
    interpreter = made(content(SMALL), kind, [delegate])
    values = inputs(interpreter)
    expected = run(interpreter, values)
    view = interpreter.tensor(interpreter.get_output_details()[0]["index"])()
    alive = weakref.ref(delegate)
    del interpreter, delegate
    np.testing.assert_array_equal(view, expected[0])
    assert alive() is not None
    del view
    assert alive() is None


def test_a_tensor_whose_bytes_are_not_its_shape_is_not_read():
    """Weights with zeros left out have fewer."""
    kind = builtin_runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = builtin_runtime.Interpreter(
        model_content=content("face_detection_full_range_sparse_fp32"),
        experimental_op_resolver_type=kind,
    )
    interpreter.allocate_tensors()
    refused = 0
    for detail in interpreter.get_tensor_details():
        try:
            interpreter.get_tensor(detail["index"])
        except ValueError as error:
            refused += "its shape" in str(error)
    assert refused > 10


@pytest.mark.parametrize("given", [{}, {"model_path": "a", "model_content": b"b"}])
def test_neither_or_both_of_path_and_content(given):
    with pytest.raises(ValueError, match="exactly one of model_path and model_content"):
        builtin_runtime.Interpreter(**given)


def test_indices_out_of_range():
    interpreter = ts.Interpreter(fetched(SMALL), runtime="built-in")
    interpreter.allocate_tensors()
    for call in (
        lambda: interpreter.get_tensor(9999),
        lambda: interpreter.get_tensor(-1),
        lambda: interpreter.get_tensor(0, 7),
        lambda: interpreter.set_tensor(9999, np.zeros(1, np.float32)),
        lambda: interpreter.resize_tensor_input(9999, [1]),
    ):
        with pytest.raises(ValueError, match=r"9999|-1|subgraph 7|tensor_index"):
            call()
