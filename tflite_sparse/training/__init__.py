"""Training for activation sparsity, as far as it needs no framework: schedules, draws, searches.

What belongs to a framework is in ``tflite_sparse.torch`` and ``tflite_sparse.keras``.
"""

from tflite_sparse.training.dual_sparse import DualSparse
from tflite_sparse.training.search import MaskSearch, search_masks
from tflite_sparse.training.similarity import compare_weights
from tflite_sparse.training.star import Star
from tflite_sparse.training.threshold_search import ThresholdSearch

__all__ = ["DualSparse", "MaskSearch", "Star", "ThresholdSearch", "compare_weights", "search_masks"]
