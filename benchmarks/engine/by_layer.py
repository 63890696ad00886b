"""Time of each convolution: without masks, and with them in the modes that skip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.engine.case import DENSE, Case, load
from tflite_sparse.errors import DelegateError
from tflite_sparse.graph import ModelFile, find_layers
from tflite_sparse.graph.layers import CONVOLUTIONS
from tflite_sparse.inspection import inspect_model
from tflite_sparse.measure.variants import Variant
from tflite_sparse.report import OpTime
from tflite_sparse.runtime import Runtime

Array = npt.NDArray[Any]

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
        microseconds: median over the inferences, by variant.
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
    variants = {
        name: load(case, name, case.dense() if name == DENSE else masked, runtime, profile=True)
        for name in _VARIANTS
    }
    samples: dict[str, list[Array]] = {name: [] for name in _VARIANTS}
    generator = np.random.default_rng(0)
    runs = 1  # of each variant; loading made the first
    try:
        for _ in range(rounds):
            for name in generator.permutation(_VARIANTS):
                samples[name] += _block(variants[name], runs)
            runs += _SETTLE + _RUNS
        ops = {name: variant.interpreter.profile().ops for name, variant in variants.items()}
        report = variants["compact"].report
        forms = {layer.layer: layer.form for layer in report.layers} if report else {}
    finally:
        for variant in variants.values():
            variant.interpreter.close()
    times = {name: np.array(of_runs) for name, of_runs in samples.items()}
    return Layers(
        sparsity=sparsity,
        rows=_rows(case, masked, forms, ops, times),
        total_us={name: _median_sum(ops[name], times[name], "") for name in _VARIANTS},
        row_copy_us={name: _median_sum(ops[name], times[name], _ROW_COPY) for name in _VARIANTS},
    )


def _block(variant: Variant, runs: int) -> list[Array]:
    """Microseconds of each operation in each inference that counts; `runs` were made before.

    The delegate's profile is a mean over all runs so far, so one run is the difference of two.
    """
    for _ in range(_SETTLE):
        variant.run_ms()
    sums = [_microseconds(variant) * (runs + _SETTLE)]
    for run in range(_RUNS):
        variant.run_ms()
        sums.append(_microseconds(variant) * (runs + _SETTLE + run + 1))
    return list(np.diff(sums, axis=0))


def _microseconds(variant: Variant) -> Array:
    return np.array([op.microseconds for op in variant.interpreter.profile().ops])


def _median_sum(ops: Sequence[OpTime], times: Array, kind: str) -> float:
    chosen = [kind in op.op for op in ops]
    return float(np.median(times[:, chosen].sum(axis=1)))


def _rows(
    case: Case,
    masked: bytes,
    forms: dict[str, str],
    ops: dict[str, Sequence[OpTime]],
    times: dict[str, Array],
) -> list[LayerRow]:
    infos = {info.name: info for info in inspect_model(masked).layers}
    rows = []
    for layer in find_layers(ModelFile.read(masked)):
        if layer.kind not in CONVOLUTIONS:
            continue
        info = infos[layer.name]
        medians = {
            name: float(np.median(times[name][:, _place(case, name, ops[name], layer.names)]))
            for name in times
        }
        kernel = info.kernel or (1, 1)
        form = forms.get(layer.name, "")
        rows.append(LayerRow(layer.name, layer.kind, kernel, form, info.kept, info.total, medians))
    return rows


def _place(case: Case, variant: str, ops: Sequence[OpTime], names: Sequence[str]) -> int:
    """The index of the convolution that writes a tensor of one of the names."""
    places = [
        i for i, op in enumerate(ops) if op.op.startswith("Convolution") and op.layer in names
    ]
    if len(places) != 1:
        raise DelegateError(
            f"{case.name}: expected one convolution {names[0]} in the profile of {variant}, "
            f"found {len(places)}"
        )
    return places[0]
