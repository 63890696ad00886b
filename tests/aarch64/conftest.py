import os

import pytest

from tools import emulator
from tools.wheel import wheel_of

# `make test-aarch64` names them all; `make test` has time for the oldest.
CPUS = os.environ.get("TFLITE_SPARSE_CPUS", "cortex-a72").split()
# Of `make test-aarch64` alone: benchmark_model takes a while to build, tests of the runtime to run.
collect_ignore = (
    [] if "TFLITE_SPARSE_CPUS" in os.environ else ["test_c_library.py", "test_runtime.py"]
)


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The Arm wheel as pip installs it on a board."""
    folder = tmp_path_factory.mktemp("board")
    emulator.install(folder, str(wheel_of("aarch64")), dependencies=False)
    return folder


@pytest.fixture(scope="session", params=CPUS)
def cpu(request):
    """A processor to emulate."""
    return request.param
