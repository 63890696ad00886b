"""Latency of whole networks: without masks, and with them in each mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.engine.case import DENSE, MASKED, Case, load
from tflite_sparse.errors import DelegateError
from tflite_sparse.inspection import inspect_model
from tflite_sparse.measure.rounds import Series, measure
from tflite_sparse.measure.statistics import (
    Ratio,
    Summary,
    ratio_of_products,
    speed_up,
    summarize,
)
from tflite_sparse.measure.variants import Variant
from tflite_sparse.runtime import Runtime

_SETTLE = 2
_RUNS = 5


@dataclass(frozen=True)
class Row:
    """Figures of one variant at one sparsity and number of threads.

    Attributes:
        ideal: multiply-accumulates of all convolutions, masked or not, without masks / with them.
        latency: in milliseconds.
        speed_up: over the network without masks on as many threads.
        scaling: that speed-up / the one on the first number of threads; None on that one.
        arena_bytes: memory of the intermediate tensors.
        sparsity_bytes: memory that exists for the masks alone.
        dense_arena_bytes: memory of the intermediate tensors without masks.
        forms: how many masked layers run in which form.
    """

    sparsity: float
    threads: int
    variant: str
    ideal: float
    latency: Summary
    speed_up: Ratio
    scaling: Ratio | None
    arena_bytes: int
    sparsity_bytes: int
    dense_arena_bytes: int
    forms: dict[str, int]


def measure_end_to_end(
    case: Case, sparsity: float, threads: Sequence[int], rounds: int, runtime: Runtime
) -> list[Row]:
    """Time all variants on all numbers of threads in the same rounds.

    Raises DelegateError if a mode's outputs are not exactly those of the multiply as written.
    """
    masked = case.masked(sparsity)
    ideal = inspect_model(masked).totals.ideal_speed_up
    variants = {
        (count, name): load(case, name, case.dense() if name == DENSE else masked, runtime, count)
        for count in threads
        for name in (DENSE, *MASKED)
    }
    try:
        for (count, name), variant in variants.items():
            if name != DENSE:
                _check_equal(case, variants[threads[0], "off"], variant, count)
        timed = measure(
            list(variants.values()),
            warmup=_SETTLE,
            seconds=0,
            rounds=rounds,
            settle=_SETTLE,
            least_runs=_RUNS,
        )
        series = dict(zip(variants, timed))
        return [
            _row(sparsity, ideal, count, threads[0], name, variants, series)
            for count, name in variants
        ]
    finally:
        for variant in variants.values():
            variant.interpreter.close()


def _check_equal(case: Case, written: Variant, variant: Variant, threads: int) -> None:
    for number, (a, b) in enumerate(zip(written.outputs(), variant.outputs())):
        if not np.array_equal(a, b):
            raise DelegateError(
                f"{case.name}, {threads} threads: output {number} of mode={variant.name} "
                "differs from that of the multiply as written, so its time would mean nothing"
            )


def _row(
    sparsity: float,
    ideal: float,
    threads: int,
    first: int,
    name: str,
    variants: dict[tuple[int, str], Variant],
    series: dict[tuple[int, str], Series],
) -> Row:
    report = variants[threads, name].report
    dense_report = variants[threads, DENSE].report
    assert report is not None
    assert dense_report is not None
    scaling = None
    if threads != first:
        scaling = ratio_of_products(
            [series[threads, DENSE].rounds, series[first, name].rounds],
            [series[threads, name].rounds, series[first, DENSE].rounds],
        )
    return Row(
        sparsity=sparsity,
        threads=threads,
        variant=name,
        ideal=1.0 if name == DENSE else ideal,
        latency=summarize(series[threads, name].samples),
        speed_up=speed_up(series[threads, DENSE].rounds, series[threads, name].rounds),
        scaling=scaling,
        arena_bytes=report.arena_bytes,
        sparsity_bytes=report.sparsity_bytes,
        dense_arena_bytes=dense_report.arena_bytes,
        forms=dict(Counter(layer.form for layer in report.layers)),
    )
