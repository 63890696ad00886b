"""Random masks for all layers of a network from one score map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.masks.mask_set import MaskSet

# Scores have 31 bits and pooling weights them by at most H x W of the input, so
# inputs up to this many pixels keep every sum inside int64.
_MAX_INPUT_PIXELS = 2**31


def propagate_masks(
    shapes: Mapping[str, tuple[int, int]],
    input_size: int | tuple[int, int],
    sparsity: float | Mapping[str, float],
    seed: int = 0,
) -> MaskSet:
    """Masks for a network's layers from one random score map (getMask of the paper's Algorithm 1).

    One random score per pixel of the network's *input* is average-pooled to the
    resolution of every layer, and the lowest-ranked fraction of each layer's
    pixels is masked. Layers of equal resolution so get equal masks, and those of
    different resolution masks that agree about the same region of the picture.

    Where the sizes do not divide, a layer's pixel averages the part of the input
    that it covers, pixels on the border weighted by the covered area.

    The result is the same on every machine and numpy version: scores are the
    high 31 bits of PCG64's raw output for ``seed``, row by row; pooling is in
    integers; ties keep the pixel that comes later in row order.

    Args:
        shapes: ``{layer: (H, W)}``, each layer's output resolution.
        input_size: the network's input resolution, ``(H, W)`` or one number for both.
        sparsity: the fraction of pixels to mask, 0 <= sparsity < 1, one for all
            layers or ``{layer: fraction}``. A layer of n pixels has
            ``round(sparsity * n)`` masked, but keeps at least one.
        seed: a non-negative integer.

    Raises:
        OptionError: a sparsity or the seed is out of range.
        MaskError: a size is out of range, or no layer is given.

    Source: Grimaldi, Ganji, Lazarevich, Sah, "Accelerating Deep Neural Networks
    via Semi-Structured Activation Sparsity", ICCV workshops 2023, Algorithm 1.
    """
    each = sparsity if isinstance(sparsity, Mapping) else dict.fromkeys(shapes, sparsity)
    check_sparsities(shapes, each)
    if seed < 0:
        raise OptionError(f"expected a seed of at least 0, found {seed}")
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    if height < 1 or width < 1 or height * width > _MAX_INPUT_PIXELS:
        raise MaskError(
            f"expected an input of at least 1 x 1 and at most {_MAX_INPUT_PIXELS} pixels, "
            f"found {height} x {width}"
        )
    scores = random_scores(height, width, seed)
    pooled: dict[tuple[int, int], npt.NDArray[np.int64]] = {}
    masks: dict[tuple[tuple[int, int], float], npt.NDArray[np.bool_]] = {}
    for name, (rows, columns) in shapes.items():
        if rows < 1 or columns < 1:
            raise MaskError(
                f"layer {name!r}: expected at least 1 x 1 pixels, found {rows} x {columns}"
            )
        if (rows, columns) not in pooled:
            pooled[rows, columns] = _pool(scores, rows, columns)
        kind = (rows, columns), each[name]
        if kind not in masks:
            masks[kind] = keep_highest(pooled[rows, columns], each[name])
    by_name = {name: masks[shape, each[name]] for name, shape in shapes.items()}
    return MaskSet(by_name, seed=seed, sparsity=common_sparsity(each))


def check_sparsities(shapes: Mapping[str, tuple[int, int]], each: Mapping[str, float]) -> None:
    """See that every layer has a sparsity of at least 0 and below 1.

    Raises:
        MaskError: a layer has none.
        OptionError: one is out of range.
    """
    for name in shapes:
        if name not in each:
            raise MaskError(f"expected a sparsity for every layer, found none for {name!r}")
        if not 0.0 <= each[name] < 1.0:
            raise OptionError(
                f"expected a sparsity of at least 0 and below 1, found {each[name]} for layer "
                f"{name!r}"
            )


def common_sparsity(each: Mapping[str, float]) -> float | None:
    """The sparsity of all layers, None where they differ."""
    return next(iter(each.values())) if len(set(each.values())) == 1 else None


def random_scores(height: int, width: int, seed: int) -> npt.NDArray[np.int64]:
    """``[height, width]`` scores of 31 bits, the same for ``seed`` everywhere."""
    # random_raw, because numpy keeps the raw stream of a bit generator fixed but
    # not what Generator's methods make of it.
    raw = np.random.PCG64(seed).random_raw(height * width)
    return (np.asarray(raw, np.uint64) >> np.uint64(33)).astype(np.int64).reshape(height, width)


def _pool(scores: npt.NDArray[np.int64], rows: int, columns: int) -> npt.NDArray[np.int64]:
    """Area-weighted average pooling times a constant, exact in integers."""
    height, width = scores.shape
    pooled: npt.NDArray[np.int64] = _overlaps(rows, height) @ scores @ _overlaps(columns, width).T
    return pooled


def _overlaps(cells: int, pixels: int) -> npt.NDArray[np.int64]:
    """``[cells, pixels]``: the length that output cell i shares with input pixel j.

    Both divide one line of ``cells * pixels`` units, so every overlap is whole.
    """
    cell = np.arange(cells, dtype=np.int64)[:, None] * pixels
    pixel = np.arange(pixels, dtype=np.int64)[None, :] * cells
    shared = np.minimum(cell + pixels, pixel + cells) - np.maximum(cell, pixel)
    shared[shared < 0] = 0
    return shared


def keep_highest(scores: npt.NDArray[Any], sparsity: float) -> npt.NDArray[np.bool_]:
    """The mask without the lowest ``round(sparsity * size)`` scores; at least one is kept."""
    masked = min(round(sparsity * scores.size), scores.size - 1)
    mask: npt.NDArray[np.bool_] = np.ones(scores.size, np.bool_)
    mask[np.argsort(scores, axis=None, kind="stable")[:masked]] = False
    return mask.reshape(scores.shape)
