"""Training with activation masks: the paper's schedule, for PyTorch and for Keras.

The sparsifiers are in ``tflite_sparse.torch`` and ``tflite_sparse.keras``.
"""

from tflite_sparse.training.dual_sparse import DualSparse
from tflite_sparse.training.search import MaskSearch, search_masks
from tflite_sparse.training.star import Star
from tflite_sparse.training.threshold_search import ThresholdSearch

__all__ = ["DualSparse", "MaskSearch", "Star", "ThresholdSearch", "search_masks"]
