"""These tests run once per interpreter: `pytest tests/runtime --runtime NAME`.

They need only numpy, pytest and that interpreter, so that each can have an environment of its own.
"""

import pytest

from tflite_sparse.runtime import BUILT_IN, RUNTIME_NAMES, find_runtime


def pytest_addoption(parser):
    parser.addoption("--runtime", choices=RUNTIME_NAMES, default="ai-edge-litert")


@pytest.fixture(scope="session")
def runtime(request):
    """Name of the interpreter under test; not having it is an error, not a reason to skip."""
    name = request.config.getoption("--runtime")
    find_runtime(name)
    return name


@pytest.fixture(scope="session")
def stock(runtime):
    """Makes an interpreter of the runtime without our delegate.

    A stock one has its own delegate; the built-in one runs TFLite's own kernels.
    """
    module = find_runtime(runtime).module
    kinds = module.OpResolverType
    kind = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES if runtime == BUILT_IN else kinds.AUTO

    def make(model, threads=1):
        interpreter = module.Interpreter(
            model_content=model, num_threads=threads, experimental_op_resolver_type=kind
        )
        interpreter.allocate_tensors()
        return interpreter

    return make
