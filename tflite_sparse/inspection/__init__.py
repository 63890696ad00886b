"""Looking inside a model: its layers, their masks, and what the engine makes of them."""

from tflite_sparse.inspection.layer_table import Inspection, LayerInfo, inspect_model

__all__ = ["Inspection", "LayerInfo", "inspect_model"]
