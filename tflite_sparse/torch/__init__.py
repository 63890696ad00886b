"""Activation sparsity in PyTorch: training, looking at activations, conversion.

The same names are in ``tflite_sparse.keras``.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"tflite_sparse.torch needs PyTorch ({error}); install it: "
        "pip install 'tflite-sparse[torch]'"
    ) from error

from tflite_sparse.torch.activity import measure_activity
from tflite_sparse.torch.conversion import convert
from tflite_sparse.torch.mask import ActivationMask
from tflite_sparse.torch.observer import ActivationObserver
from tflite_sparse.torch.pruning import WeightPruner
from tflite_sparse.torch.regularizer import ActivationRegularizer
from tflite_sparse.torch.set_thresholds import search_thresholds, set_thresholds, thresholds_of
from tflite_sparse.torch.sparsifier import ActivationSparsifier
from tflite_sparse.torch.threshold import LearnableThresholdReLU, ThresholdReLU

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
