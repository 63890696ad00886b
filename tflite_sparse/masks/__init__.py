"""Activation masks: the set of one model, its files, and how patterns are made."""

from tflite_sparse.masks.lattice import lattice_masks
from tflite_sparse.masks.mask_set import Mask, MaskSet
from tflite_sparse.masks.propagate import propagate_masks

__all__ = ["Mask", "MaskSet", "lattice_masks", "propagate_masks"]
