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

from tflite_sparse.torch.conversion import convert
from tflite_sparse.torch.mask import ActivationMask
from tflite_sparse.torch.observer import ActivationObserver
from tflite_sparse.torch.sparsifier import ActivationSparsifier
from tflite_sparse.torch.threshold import LearnableThresholdReLU, ThresholdReLU

__all__ = [
    "ActivationMask",
    "ActivationObserver",
    "ActivationSparsifier",
    "LearnableThresholdReLU",
    "ThresholdReLU",
    "convert",
]
