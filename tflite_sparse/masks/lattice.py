"""Periodic masks: the pixels below a threshold of an ordered-dither matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.masks.mask_set import MaskSet
from tflite_sparse.masks.propagate import check_sparsities, common_sparsity, keep_highest

#: Lines and columns by which a lattice is shifted, down and to the right.
Phase = tuple[int, int]

# At each scale, of the four pixels of a 2 x 2 block the two of one diagonal are masked first:
# (0, 1) and (1, 0). (0, 0) comes last, since it is all that a 1 x 1 convolution of stride 2 reads.
_ORDER = np.array([[3, 0], [1, 2]])
# Masks the other diagonal first: pixels that the unshifted lattice keeps up to half.
_ALTERNATE: Phase = (1, 0)


def lattice_masks(
    shapes: Mapping[str, tuple[int, int]],
    input_size: int | tuple[int, int],
    sparsity: float | Mapping[str, float],
    seed: int = 0,
    *,
    phase: Phase | Mapping[str, Phase] | Literal["alternate"] = (0, 0),
    sums: Iterable[Iterable[str]] = (),
) -> MaskSet:
    """Masks on a regular lattice, at each layer's own resolution.

    A Bayer matrix ranks the pixels of every 2 x 2 block, then the blocks of every 4 x 4 block, and
    so on to the whole plane; the lowest ranks are masked. Convolution windows so see few different
    patterns of masked pixels, and the engine skips the masked taps of all of them.

    - A layer of n pixels has exactly ``round(sparsity * n)`` masked, but keeps at least one.
    - Masks are nested: what is masked at one sparsity is masked at every higher one.
    - Layers of equal resolution and phase have equal masks. In a plane of even height and width,
      every aligned 2 x 2 block keeps a pixel up to a sparsity of 3/4, so each pixel of a layer of
      half the resolution lies over one that is kept; unshifted it is pixel (even, even), which
      convolutions of stride 2 read.

    Args:
        shapes: ``{layer: (H, W)}``, each layer's output resolution, in the order of execution.
        input_size: the network's input resolution, as for :func:`propagate_masks`; only checked.
        sparsity: the fraction of pixels to mask, 0 <= sparsity < 1, one for all layers or
            ``{layer: fraction}``.
        seed: at least 0; bit i mirrors the lattice at scale 2^i, which gives other masks of the
            same kind.
        phase: shift of the lattice in (lines, columns): one for all layers or ``{layer: shift}``;
            or ``"alternate"``, (0, 0) and (1, 0) in turn among layers of equal resolution, so that
            up to a half no pixel is masked in two layers that follow one another.
        sums: groups of layers whose outputs are added together. With ``"alternate"`` the layers
            of a group have one phase: the sum of differently masked values would be masked less.

    Raises:
        OptionError: a sparsity or the seed is out of range.
        MaskError: a size, a phase or a layer of ``sums`` is out of range.

    Source: B. E. Bayer, "An optimum method for two-level rendition of continuous-tone pictures",
    IEEE ICC 1973.
    """
    each = sparsity if isinstance(sparsity, Mapping) else dict.fromkeys(shapes, sparsity)
    check_sparsities(shapes, each)
    if seed < 0:
        raise OptionError(f"expected a seed of at least 0, found {seed}")
    if min((input_size, input_size) if isinstance(input_size, int) else input_size) < 1:
        raise MaskError(f"expected an input of at least 1 x 1, found {input_size}")
    phases = _phases(shapes, phase, sums)
    masks = {}
    for name, (height, width) in shapes.items():
        if height < 1 or width < 1:
            raise MaskError(
                f"layer {name!r}: expected at least 1 x 1 pixels, found {height} x {width}"
            )
        masks[name] = keep_highest(_ranks(height, width, phases[name], seed), each[name])
    return MaskSet(masks, seed=seed, sparsity=common_sparsity(each))


def _ranks(height: int, width: int, phase: Phase, seed: int) -> npt.NDArray[np.int64]:
    """``[height, width]``: the ranks of an ordered-dither matrix, no two equal."""
    down, right = phase
    # Shifts are below 2, so the scales of one pixel more tell all pixels apart.
    lines = np.arange(height)[:, None] + down
    columns = np.arange(width)[None, :] + right
    ranks = np.zeros((height, width), np.int64)
    for scale in range(max(height, width).bit_length() + 1):
        line, column = (lines >> scale) & 1, (columns >> scale) & 1
        digits = _ORDER[column, line] if seed >> scale & 1 else _ORDER[line, column]
        ranks = ranks * 4 + digits
    return ranks


def _phases(
    shapes: Mapping[str, tuple[int, int]],
    phase: Phase | Mapping[str, Phase] | Literal["alternate"],
    sums: Iterable[Iterable[str]],
) -> dict[str, Phase]:
    """The shift of each layer's lattice."""
    if phase == "alternate":
        return _alternate(shapes, sums)
    if isinstance(phase, str):
        raise MaskError(f"expected phase=(lines, columns) or 'alternate', found {phase!r}")
    each = phase if isinstance(phase, Mapping) else dict.fromkeys(shapes, phase)
    for name in shapes:
        if name not in each:
            raise MaskError(f"expected a phase for every layer, found none for {name!r}")
        if len(each[name]) != 2 or not all(shift in (0, 1) for shift in each[name]):
            raise MaskError(
                f"layer {name!r}: expected a phase of two numbers that are 0 or 1, (lines, "
                f"columns), found {each[name]!r}"
            )
    return {name: each[name] for name in shapes}


def _alternate(
    shapes: Mapping[str, tuple[int, int]], sums: Iterable[Iterable[str]]
) -> dict[str, Phase]:
    group: dict[str, set[str]] = {name: {name} for name in shapes}
    for names in sums:
        joined: set[str] = set()
        for name in names:
            if name not in shapes:
                raise MaskError(f"sums: {name!r} is not one of the layers")
            joined |= group[name]
        for name in joined:
            group[name] = joined
    phases: dict[str, Phase] = {}
    last: dict[tuple[int, int], Phase] = {}
    for name, shape in shapes.items():
        known = [phases[other] for other in group[name] if other in phases]
        turn = _ALTERNATE if last.get(shape, _ALTERNATE) == (0, 0) else (0, 0)
        phases[name] = last[shape] = known[0] if known else turn
    return phases
