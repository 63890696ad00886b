"""What the training tests share: quiet frameworks, one thread."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums in the same order every time, and a machine that others can use."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
