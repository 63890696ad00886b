"""Activation masks: the set of one model, its files, and how random ones are made."""

from tflite_sparse.masks.mask_set import MaskSet
from tflite_sparse.masks.propagate import propagate_masks

__all__ = ["MaskSet", "propagate_masks"]
