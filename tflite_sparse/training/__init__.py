"""Training with activation masks: the paper's schedule, for PyTorch and for Keras.

The sparsifiers are in ``tflite_sparse.torch`` and ``tflite_sparse.keras``.
"""

from tflite_sparse.training.search import MaskSearch, search_masks

__all__ = ["MaskSearch", "search_masks"]
