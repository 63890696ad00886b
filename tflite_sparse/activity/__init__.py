"""How many activations are zero, and how many multiplications that leaves.

PyTorch, Keras and .tflite files fill the same report, of which two are compared.
"""

from tflite_sparse.activity.comparison import ActivityComparison
from tflite_sparse.activity.counting import ActivityMeter, Bools, Counts, Multiplications
from tflite_sparse.activity.report import ActivityReport, ActivityTotals, LayerActivity

__all__ = [
    "ActivityComparison",
    "ActivityMeter",
    "ActivityReport",
    "ActivityTotals",
    "Bools",
    "Counts",
    "LayerActivity",
    "Multiplications",
]
