from tests.training.conftest import _one_thread  # noqa: F401
