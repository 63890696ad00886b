"""Activation sparsity in Keras: training, looking at activations, conversion.

The same names are in ``tflite_sparse.torch``.
"""

import os

# TensorFlow's greeting, which is no news to anyone.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
try:
    import keras as _keras  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"tflite_sparse.keras needs Keras and TensorFlow ({error}); install them: "
        "pip install 'tflite-sparse[keras]'"
    ) from error

from tflite_sparse.keras.activity import measure_activity
from tflite_sparse.keras.conversion import convert
from tflite_sparse.keras.mask import ActivationMask
from tflite_sparse.keras.observer import ActivationObserver
from tflite_sparse.keras.pruning import WeightPruner
from tflite_sparse.keras.regularizer import ActivationRegularizer
from tflite_sparse.keras.set_thresholds import search_thresholds, set_thresholds, thresholds_of
from tflite_sparse.keras.sparsifier import ActivationSparsifier
from tflite_sparse.keras.threshold import LearnableThresholdReLU, ThresholdReLU

__all__ = [
    "ActivationMask",
    "ActivationObserver",
    "ActivationRegularizer",
    "ActivationSparsifier",
    "LearnableThresholdReLU",
    "ThresholdReLU",
    "WeightPruner",
    "convert",
    "measure_activity",
    "search_thresholds",
    "set_thresholds",
    "thresholds_of",
]
