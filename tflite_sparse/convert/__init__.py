"""Making .tflite files whose masks every runtime honours."""

from tflite_sparse.convert.apply import apply_masks

__all__ = ["apply_masks"]
