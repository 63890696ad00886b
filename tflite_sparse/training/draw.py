"""The masks of one draw: the same for the same seed and step, whatever the framework."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import OptionError
from tflite_sparse.masks import MaskSet
from tflite_sparse.masks.patterns import make_masks
from tflite_sparse.masks.propagate import common_sparsity, keep_highest, random_scores

#: Where masks come from: one random score map for all layers (the paper), a random one for each
#: layer (its ablation), the mean magnitude of each layer's activations, or a lattice, whose phase
#: may alternate from layer to layer.
MASK_SOURCES = ("propagated", "independent", "magnitude", "lattice", "alternating")


def check_mask_source(mask_source: str) -> None:
    """Raise an OptionError for an unknown source."""
    if mask_source not in MASK_SOURCES:
        raise OptionError(f"unknown mask_source={mask_source!r}; expected one of {MASK_SOURCES}")


def draw_seed(seed: int, step: int, candidate: int = 0) -> int:
    """The seed of the masks drawn at ``step``: another for each seed, step and candidate."""
    return seed << 64 | candidate << 32 | step


def draw_pattern(
    mask_source: str,
    shapes: Mapping[str, tuple[int, int]],
    input_size: tuple[int, int],
    sparsity: Mapping[str, float],
    *,
    seed: int,
    step: int,
    candidate: int = 0,
    sums: Iterable[Iterable[str]] = (),
) -> MaskSet:
    """Masks from all sources but magnitude.

    Lattices are the same at every step: with rising sparsity they mask more, and nothing else.
    """
    if mask_source in {"lattice", "alternating"}:
        return make_masks(mask_source, shapes, input_size, sparsity, seed + candidate, sums)
    seed = draw_seed(seed, step, candidate)
    if mask_source == "propagated":
        return make_masks("random", shapes, input_size, sparsity, seed)
    masks = {
        name: keep_highest(random_scores(*shape, seed << 32 | index), sparsity[name])
        for index, (name, shape) in enumerate(shapes.items(), 1)
    }
    return MaskSet(masks, seed=seed, sparsity=common_sparsity(sparsity))


def draw_by_magnitude(
    magnitudes: Mapping[str, npt.NDArray[Any]], sparsity: Mapping[str, float]
) -> MaskSet:
    """Masks that remove the pixels of the lowest mean magnitude ``{layer: [H, W]}``."""
    masks = {
        name: keep_highest(np.asarray(values), sparsity[name])
        for name, values in magnitudes.items()
    }
    return MaskSet(masks, sparsity=common_sparsity(sparsity))
