"""Time of each convolution: without masks, and with them in the modes that skip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.engine.case import DENSE, Case, load
from tflite_sparse.errors import DelegateError
from tflite_sparse.graph.layers import CONVOLUTIONS
from tflite_sparse.inspection import inspect_model
from tflite_sparse.measure.variants import Variant
from tflite_sparse.report import OpTime
from tflite_sparse.runtime import Runtime

_VARIANTS = (DENSE, "insert", "compact")
_SETTLE = 2
_RUNS = 5
_ROW_COPY = "Row Copy"


@dataclass(frozen=True)
class LayerRow:
    """One convolution.

    Attributes:
        kernel: height and width.
        form: in compact mode; empty without a mask.
        kept: pixels of its mask that are kept; all of them without a mask.
        microseconds: median time by variant.
    """

    layer: str
    kind: str
    kernel: tuple[int, int]
    form: str
    kept: int
    total: int
    microseconds: dict[str, float]

    @property
    def ideal(self) -> float:
        """1 / (1 - s)."""
        return self.total / self.kept


@dataclass(frozen=True)
class Layers:
    """All operations of a network at one sparsity, on one thread.

    Attributes:
        total_us: median sum over all operations, by variant.
        row_copy_us: of which in gathers and zero insertions.
    """

    sparsity: float
    rows: list[LayerRow]
    total_us: dict[str, float]
    row_copy_us: dict[str, float]

    def row_copy_share(self, variant: str) -> float:
        """Time in gathers and zero insertions / time of the network without masks."""
        return self.row_copy_us[variant] / self.total_us[DENSE]


def measure_layers(case: Case, sparsity: float, rounds: int, runtime: Runtime) -> Layers:
    """Profile the variants on one thread, in interleaved blocks."""
    masked = case.masked(sparsity)
    variants = [
        load(case, name, case.dense() if name == DENSE else masked, runtime, profile=True)
        for name in _VARIANTS
    ]
    samples: dict[str, list[tuple[OpTime, ...]]] = {name: [] for name in _VARIANTS}
    generator = np.random.default_rng(0)
    try:
        for _ in range(rounds):
            for index in generator.permutation(len(variants)):
                samples[_VARIANTS[index]] += _turn(variants[index])
    finally:
        for variant in variants:
            variant.interpreter.close()
    return Layers(
        sparsity=sparsity,
        rows=_rows(case, masked, samples),
        total_us={name: _median_sum(samples[name], "") for name in _VARIANTS},
        row_copy_us={name: _median_sum(samples[name], _ROW_COPY) for name in _VARIANTS},
    )


def _turn(variant: Variant) -> list[tuple[OpTime, ...]]:
    profiles = []
    for run in range(_SETTLE + _RUNS):
        variant.run_ms()
        if run >= _SETTLE:
            profiles.append(variant.interpreter.profile().ops)
    return profiles


def _median_sum(samples: list[tuple[OpTime, ...]], kind: str) -> float:
    return float(
        np.median([sum(op.microseconds for op in ops if kind in op.op) for ops in samples])
    )


def _rows(
    case: Case, masked: bytes, samples: dict[str, list[tuple[OpTime, ...]]]
) -> list[LayerRow]:
    layers = [layer for layer in inspect_model(masked).layers if layer.kind in CONVOLUTIONS]
    convolutions = {
        name: [[op for op in ops if op.op.startswith("Convolution")] for ops in profiles]
        for name, profiles in samples.items()
    }
    for name, profiles in convolutions.items():
        if len(profiles[0]) != len(layers):
            raise DelegateError(
                f"{case.name}: the profile of {name} has {len(profiles[0])} convolutions, "
                f"the file {len(layers)}, so they cannot be put side by side"
            )
    rows = []
    for index, layer in enumerate(layers):
        times = {
            name: float(np.median([ops[index].microseconds for ops in profiles]))
            for name, profiles in convolutions.items()
        }
        form = convolutions["compact"][0][index].form
        kernel = layer.kernel or (1, 1)
        rows.append(LayerRow(layer.name, layer.kind, kernel, form, layer.kept, layer.total, times))
    return rows
