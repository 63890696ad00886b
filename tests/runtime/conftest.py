"""These tests run once per interpreter: `pytest tests/runtime --runtime NAME`.

They need only numpy, pytest and that interpreter, so that each can have an environment of its own.
"""

import pytest

from tflite_sparse.runtime import RUNTIME_NAMES, find_runtime


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
    """Makes an interpreter of the runtime, without our delegate and with its own."""
    module = find_runtime(runtime).module

    def make(model, threads=1):
        interpreter = module.Interpreter(model_content=model, num_threads=threads)
        interpreter.allocate_tensors()
        return interpreter

    return make
