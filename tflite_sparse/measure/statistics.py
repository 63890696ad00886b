"""Medians, percentiles, and the interval of a speed-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_RESAMPLES = 2000


@dataclass(frozen=True)
class Summary:
    """Latencies of one variant in milliseconds: of single inferences, over all rounds."""

    median: float
    p10: float
    p90: float
    mean: float
    samples: int


@dataclass(frozen=True)
class Ratio:
    """A speed-up: reference time / time, with its 95% confidence interval."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """The value and its interval, each number as `spec` says: ``1.48 [1.47, 1.50]``."""
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def summarize(milliseconds: npt.ArrayLike) -> Summary:
    """Summary of single latencies; ValueError if there is none."""
    values = np.asarray(milliseconds, np.float64)
    if values.size == 0:
        raise ValueError("expected at least one latency, found none")
    p10, median, p90 = np.percentile(values, (10, 50, 90))
    return Summary(float(median), float(p10), float(p90), float(values.mean()), values.size)


def speed_up(reference: npt.ArrayLike, variant: npt.ArrayLike, seed: int = 0) -> Ratio:
    """Ratio of the medians of two variants that were measured in the same rounds.

    The interval is a moving-block bootstrap over the rounds: both variants keep their pairing,
    since what disturbs a round disturbs both, and neighbouring rounds stay together, since a
    disturbance lasts longer than a round (Künsch, "The jackknife and the bootstrap for general
    stationary observations", 1989).

    Args:
        reference: latency of the reference in each round, > 0.
        variant: latency of the variant in the same rounds.
        seed: of the resampling; equal input and seed give an equal interval.
    """
    return ratio_of_products([reference], [variant], seed)


def ratio_of_products(
    numerators: Sequence[npt.ArrayLike], denominators: Sequence[npt.ArrayLike], seed: int = 0
) -> Ratio:
    """The product of some variants' medians over the product of others', as `speed_up` finds it.

    Two speed-ups a / b and c / d are compared by the numerators a, d and the denominators b, c.

    Args:
        numerators: for each variant its latency in each round, > 0.
        denominators: the same; all were measured in the same rounds.
        seed: of the resampling.
    """
    above = [np.asarray(series, np.float64) for series in numerators]
    below = [np.asarray(series, np.float64) for series in denominators]
    shapes = {series.shape for series in above + below}
    if len(shapes) != 1 or above[0].ndim != 1 or above[0].size == 0:
        raise ValueError(f"expected as many rounds of all, found {sorted(shapes)}")
    rounds = above[0].size
    block = max(1, round(rounds**0.5))
    blocks = -(-rounds // block)
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, rounds - block + 1, (_RESAMPLES, blocks, 1))
    picks = (starts + np.arange(block)).reshape(_RESAMPLES, -1)[:, :rounds]

    def product(of: Sequence[npt.NDArray[np.float64]], at: npt.NDArray[np.intp]) -> Any:
        return np.prod([np.median(series[at], axis=-1) for series in of], axis=0)

    ratios = product(above, picks) / product(below, picks)
    low, high = np.percentile(ratios, (2.5, 97.5))
    everything = np.arange(rounds)
    value = product(above, everything) / product(below, everything)
    return Ratio(float(value), float(low), float(high))
