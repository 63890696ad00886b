"""The largest thresholds that a network takes without training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tflite_sparse.errors import OptionError

#: STAR's range: 2^-7 to 2^-1.
EXPONENTS = (-7, -6, -5, -4, -3, -2, -1)


@dataclass(frozen=True)
class ThresholdSearch:
    """What a search found.

    Attributes:
        thresholds: of each ReLU; 0 is a ReLU as it was.
        loss: with them.
        dense_loss: without thresholds.
        evaluations: how often the loss was asked for.
    """

    thresholds: Mapping[str, float]
    loss: float
    dense_loss: float
    evaluations: int


def search(
    names: Sequence[str],
    apply: Callable[[Mapping[str, float]], object],
    loss: Callable[[], float],
    budget: float,
    *,
    exponents: Sequence[int] = EXPONENTS,
    per_layer: bool = False,
) -> ThresholdSearch:
    """Find the largest thresholds of 2^n for which the loss rises by at most ``budget``.

    First one for all layers, from the smallest upwards until the budget is spent. Then, with
    ``per_layer``, each layer's is raised as far as it goes, one power of two a round, all layers
    in turn. The thresholds found are in force afterwards, those found so far if the loss raises an error.

    Args:
        names: of the ReLUs.
        apply: puts thresholds in force.
        loss: evaluates the network as it now is, on held-out data; lower is better.
        budget: by how much it may rise, at least 0.
        exponents: the n to try, rising.
        per_layer: whether layers may differ.

    Raises:
        OptionError: a negative budget, exponents that do not rise, or a loss that is not finite
            without thresholds.
    """
    if not budget >= 0:
        raise OptionError(f"expected a budget of at least 0, found {budget}")
    if not exponents or sorted(set(exponents)) != list(exponents):
        raise OptionError(f"expected exponents that rise, found {list(exponents)}")
    found = dict.fromkeys(names, 0.0)
    evaluations = 0

    def tried(thresholds: Mapping[str, float]) -> float:
        nonlocal evaluations
        evaluations += 1
        apply(thresholds)
        return float(loss())

    try:
        dense = best = tried(found)
        if not math.isfinite(dense):
            raise OptionError(f"the loss is {dense} without thresholds; expected a finite number")
        for exponent in exponents:
            candidate = dict.fromkeys(names, 2.0**exponent)
            value = tried(candidate)
            # A loss that is NaN is not within the budget either.
            if not value <= dense + budget:
                break
            found, best = candidate, value
        open_layers = list(names) if per_layer else []
        while open_layers:
            for name in list(open_layers):
                higher = next((2.0**n for n in exponents if 2.0**n > found[name]), None)
                candidate = {**found, name: higher or 0.0}
                value = math.inf if higher is None else tried(candidate)
                if value <= dense + budget:
                    found, best = candidate, value
                else:
                    open_layers.remove(name)
    finally:
        apply(found)
    return ThresholdSearch(found, best, dense, evaluations)
