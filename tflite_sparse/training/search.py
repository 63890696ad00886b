"""Choosing among several sets of final masks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.masks import MaskSet
from tflite_sparse.training.sparsifier import Sparsifier


@dataclass(frozen=True)
class MaskSearch:
    """What :func:`search_masks` found."""

    #: The masks now in force.
    masks: MaskSet
    #: Which candidate they are.
    best: int
    #: The loss of each candidate; candidate 0 are the masks that freezing drew.
    losses: tuple[float, ...]


def search_masks(
    sparsifier: Sparsifier, loss: Callable[[], float], candidates: int = 8
) -> MaskSearch:
    """Try several frozen masks and keep those of the lowest loss.

    Call it once masks are frozen, best as ``on_freeze`` of the sparsifier, so
    that the rest of the training adapts the weights to the masks it chose:

        ActivationSparsifier(..., on_freeze=lambda s: search_masks(s, held_out_loss))

    The candidates follow from the sparsifier's seed. Of equal losses the first
    wins. Where several processes train together all must call it; they compare
    the mean of their losses, and so choose the same masks.

    Args:
        sparsifier: of PyTorch or Keras, not by magnitude. Lattices have few candidates that
            differ (at 50% all are one checkerboard); ``mask_source="propagated"`` has many.
        loss: evaluates the model as it now is on held-out batches, in evaluation
            mode (and puts training mode back).
        candidates: how many sets to try, at least 1.

    Raises:
        OptionError: candidates below 1, or masks by magnitude.
        MaskError: masks are not frozen yet, or no candidate has a finite loss
            (the masks are then what they were).

    Source: the published training code of the paper keeps the best masks of
    those it has seen.
    """
    if candidates < 1:
        raise OptionError(f"expected at least 1 candidate, found {candidates}")
    if not sparsifier.frozen:
        raise MaskError(
            f"masks are not frozen yet, and the next draw would replace what a search finds: step "
            f"{sparsifier.step_count} of {sparsifier.schedule.total_steps}, frozen from "
            f"{sparsifier.schedule.freeze}; pass the search as on_freeze"
        )
    before = sparsifier.masks()
    sets = [sparsifier.draw_candidate(index) for index in range(candidates)]
    losses = []
    try:
        for masks in sets:
            sparsifier.set_masks(masks)
            losses.append(sparsifier.agreed(float(loss())))
        finite = [value if math.isfinite(value) else math.inf for value in losses]
        best = finite.index(min(finite))
        if finite[best] == math.inf:
            raise MaskError(f"no candidate has a finite loss; found {losses}")
    except BaseException:
        sparsifier.set_masks(before)
        raise
    sparsifier.set_masks(sets[best])
    return MaskSearch(sets[best], best, tuple(losses))
