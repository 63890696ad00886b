"""What the conversion tests share: one run of a model, seen by every test that needs it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
