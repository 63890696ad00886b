"""Patterns that masks are made in, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tflite_sparse.errors import OptionError
from tflite_sparse.masks.lattice import lattice_masks
from tflite_sparse.masks.mask_set import MaskSet
from tflite_sparse.masks.propagate import propagate_masks

#: One random score map for all layers (the paper); a lattice at each layer's resolution; lattices
#: whose phase alternates from layer to layer.
PATTERNS = ("random", "lattice", "alternating")

#: The best accuracy at equal latency: in examples/fashion_mnist a lattice at 50% costs what random
#: masks cost at 30%, and runs 1.7 times as fast.
DEFAULT_PATTERN = "lattice"


def make_masks(
    pattern: str,
    shapes: Mapping[str, tuple[int, int]],
    input_size: int | tuple[int, int],
    sparsity: float | Mapping[str, float],
    seed: int = 0,
    sums: Iterable[Iterable[str]] = (),
) -> MaskSet:
    """Masks in one of PATTERNS; the other arguments as of `propagate_masks` and `lattice_masks`.

    Raises:
        OptionError: an unknown pattern, or a sparsity or seed out of range.
        MaskError: a size out of range, or no layer is given.
    """
    if pattern == "random":
        return propagate_masks(shapes, input_size, sparsity, seed)
    if pattern == "lattice":
        return lattice_masks(shapes, input_size, sparsity, seed)
    if pattern == "alternating":
        return lattice_masks(shapes, input_size, sparsity, seed, phase="alternate", sums=sums)
    raise OptionError(f"unknown pattern {pattern!r}; expected one of {', '.join(PATTERNS)}")
