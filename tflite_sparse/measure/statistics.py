"""Medians, percentiles, and the interval of a speed-up."""

from __future__ import annotations

from dataclasses import dataclass

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
    a = np.asarray(reference, np.float64)
    b = np.asarray(variant, np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(f"expected as many rounds of both, found {a.shape} and {b.shape}")
    rounds = a.size
    block = max(1, round(rounds**0.5))
    blocks = -(-rounds // block)
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, rounds - block + 1, (_RESAMPLES, blocks, 1))
    picks = (starts + np.arange(block)).reshape(_RESAMPLES, -1)[:, :rounds]
    ratios = np.median(a[picks], axis=1) / np.median(b[picks], axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return Ratio(float(np.median(a) / np.median(b)), float(low), float(high))
