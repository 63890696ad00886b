"""Interleaved measuring: every variant has a turn in every round."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tflite_sparse.measure.variants import Arrays, Variant, set_inputs

# A turn is long enough that the clock and the call do not matter, and short enough that what
# disturbs the machine disturbs all variants of a round.
_TURN_MS = 20.0
_MAX_RUNS = 50


@dataclass
class Series:
    """Latencies of one variant in milliseconds.

    Attributes:
        rounds: the median of each round's turn; equal positions of two variants were measured
            next to each other, on the same input.
        samples: of single inferences.
    """

    rounds: list[float] = field(default_factory=list)
    samples: list[float] = field(default_factory=list)


def measure(
    variants: Sequence[Variant],
    samples: Sequence[Arrays] = (),
    *,
    warmup: int,
    seconds: float,
    rounds: int | None,
    seed: int = 0,
    settle: int = 1,
    least_runs: int = 1,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Series]:
    """Time the variants in rounds, in a new random order each round and on the next sample.

    A turn starts with inferences that are not counted: they bring the variant's weights back into
    the caches, from where the others have pushed them. So figures are those of a program that runs
    this model again and again.

    Args:
        variants: the ways of running a model.
        samples: inputs; round i runs on sample i modulo their number. If there are none, the
            variants' inputs are set and stay as they are.
        warmup: inferences of each before the first round.
        seconds: how long to measure, if `rounds` is None; at least 5 rounds are made, and one of
            each sample.
        rounds: how many rounds of each sample instead.
        seed: of the order.
        settle: inferences at the start of a turn that are not counted.
        least_runs: inferences of a turn that are counted, at least.
        progress: called after each round with the share that is done.
    """
    runs = []
    for variant in variants:
        if samples:
            set_inputs(variant, samples[0])
        for _ in range(warmup):
            variant.run_ms()
        fitting = round(_TURN_MS / max(variant.run_ms(), 1e-3))
        runs.append(max(least_runs, min(_MAX_RUNS, fitting)))
    series = [Series() for _ in variants]
    generator = np.random.default_rng(seed)
    start = time.monotonic()
    done = 0
    least = max(5, len(samples)) if rounds is None else rounds * max(len(samples), 1)
    while done < least or (rounds is None and time.monotonic() - start < seconds):
        for index in generator.permutation(len(variants)):
            if len(samples) > 1:
                set_inputs(variants[index], samples[done % len(samples)])
            for _ in range(settle):
                variants[index].run_ms()
            turn = [variants[index].run_ms() for _ in range(runs[index])]
            series[index].rounds.append(float(np.median(turn)))
            series[index].samples += turn
        done += 1
        elapsed = (time.monotonic() - start) / seconds if rounds is None else 1.0
        progress(min(1.0, done / least, elapsed))
    return series
