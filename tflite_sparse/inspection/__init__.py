"""Looking inside a model: its layers, their masks, and what the engine makes of them."""

from tflite_sparse.inspection.inspect import inspect_model
from tflite_sparse.inspection.layer_info import Inspection, LayerInfo

__all__ = ["Inspection", "LayerInfo", "inspect_model"]
