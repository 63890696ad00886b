"""One line of a benchmark: one model at one sparsity and number of threads, in all variants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tflite_sparse.errors import DelegateError
from tflite_sparse.inputs import random_inputs
from tflite_sparse.measure.cold import Cold, measure_cold
from tflite_sparse.measure.macs import count_macs
from tflite_sparse.measure.rounds import Series, measure
from tflite_sparse.measure.statistics import Ratio, Summary, speed_up, summarize
from tflite_sparse.measure.variants import (
    STOCK,
    Arrays,
    Variant,
    difference,
    load_variant,
    set_inputs,
    variant_name,
)
from tflite_sparse.report import Profile, SparsityReport
from tflite_sparse.runtime import Runtime

#: Name of the row that speed-ups are relative to, where it is not one of the variants.
REFERENCE = "reference"

_PROFILED_RUNS = 5


@dataclass(frozen=True)
class Settings:
    """How to measure; see `tflite-sparse bench --help`.

    Attributes:
        modes: of VARIANTS. Ours are all alike for a model without masks, so only the first is
            measured, unless masks are being swept.
        skip_zeros: of SKIPS; each of our modes is measured with each.
    """

    runtime: Runtime
    modes: tuple[str, ...]
    warmup: int
    seconds: float
    rounds: int | None
    seed: int
    profile: bool
    cold: bool
    skip_zeros: tuple[str, ...] = ("auto",)


@dataclass(frozen=True)
class Task:
    """What to measure.

    Attributes:
        label: the model's name or path, for people.
        content: the model, with its masks.
        threads: of every variant.
        sparsity: what the masks were made with, if they were made up; else None.
        against: "stock" or "off": how the reference runs.
        reference: a model to run as the reference instead of `content` itself.
        samples: gives the inputs to run on, from the details of the model's inputs; random numbers
            if None.
        source: what those are, for people.
        reference_label: the reference's name or path, if it is another file.
    """

    label: str
    content: bytes
    threads: int
    sparsity: float | None = None
    against: str = STOCK
    reference: bytes | None = None
    samples: Callable[[list[dict[str, Any]]], Sequence[Arrays]] | None = None
    source: str = ""
    reference_label: str = ""


@dataclass(frozen=True)
class Row:
    """Figures of one variant.

    Attributes:
        latency: in milliseconds: of single inferences, or where there are several samples of each
            sample's median.
        speed_up: over the reference.
        cold: start-up cost, if it was measured.
        max_error: largest difference of its outputs from those of `off`: relative to the largest
            magnitude in floats, units in integers; None for a reference of another model.
    """

    name: str
    latency: Summary
    speed_up: Ratio
    cold: Cold | None
    max_error: float | None


@dataclass(frozen=True)
class Result:
    """Figures of one task.

    Attributes:
        macs: multiply-accumulates of one inference without masks.
        mac_sparsity: share of them that the masks make unnecessary.
        rounds: how many rounds were made.
        input: what the variants were fed with, for people.
        samples: how many inputs that are.
        report: what the delegate did in the first mode that skips.
        profile: time per operation in that mode, if asked for.
        doubts: why figures or outputs should be looked at again.
    """

    task: Task
    macs: int
    mac_sparsity: float
    rounds: int
    input: str
    samples: int
    rows: tuple[Row, ...]
    report: SparsityReport
    profile: Profile | None
    doubts: tuple[str, ...]

    @property
    def ideal(self) -> float:
        """The speed-up if time went with the multiply-accumulates: 1 / (1 - s_MAC)."""
        return 1 / (1 - self.mac_sparsity)

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain lists, dictionaries and numbers, ready for json.dumps."""
        return {
            "model": self.task.label,
            "sparsity": self.task.sparsity,
            "threads": self.task.threads,
            "against": self.task.against,
            "reference": self.task.reference_label or None,
            "macs": self.macs,
            "mac_sparsity": self.mac_sparsity,
            "ideal_speed_up": self.ideal,
            "rounds": self.rounds,
            "input": self.input,
            "samples": self.samples,
            "variants": [
                {**asdict(row), "reached": row.speed_up.value / self.ideal} for row in self.rows
            ],
            "report": self.report.to_dict(),
            "profile": self.profile.to_dict() if self.profile else None,
            "doubts": list(self.doubts),
        }


def measure_task(
    task: Task,
    settings: Settings,
    *,
    timing: bool = True,
    progress: Callable[[float], None] = lambda share: None,
) -> Result | None:
    """Verify that all variants agree, then time them in interleaved rounds.

    Args:
        timing: False only verifies, and returns None.
        progress: called with the share of the timing that is done.

    Raises:
        DelegateError: a variant of ours gives other outputs than the model as written.
        ModelError, OptionError: from loading the model.
    """
    variants: list[Variant] = []
    ways: list[tuple[str, str]] = []
    for mode in settings.modes:
        masked = task.sparsity is not None or any(v.report and v.report.layers for v in variants)
        if mode != STOCK and variants and not masked:
            continue
        for skip in settings.skip_zeros if mode != STOCK else ("auto",):
            ways.append((mode, skip))
            variants.append(
                load_variant(
                    settings.runtime,
                    mode,
                    task.content,
                    task.threads,
                    label=task.label,
                    skip_zeros=skip,
                )
            )
    details = variants[0].interpreter.get_input_details()
    if task.samples is None:
        source = f"random numbers (seed {settings.seed})"
        samples: Sequence[Arrays] = [random_inputs(details, settings.seed)]
    else:
        source, samples = task.source, task.samples(details)
    errors, doubts = _verify(task, settings, variants, samples)
    if not timing:
        return None
    reference = _reference(task, settings, variants)
    everyone = variants if reference in variants else [*variants, reference]
    series = measure(
        everyone,
        samples,
        warmup=settings.warmup,
        seconds=settings.seconds,
        rounds=settings.rounds,
        seed=settings.seed,
        progress=progress,
    )
    base = series[everyone.index(reference)].rounds
    rows = []
    for variant, figures in zip(everyone, series):
        is_other = variant is reference and reference not in variants
        content = (task.reference or task.content) if is_other else task.content
        if is_other:
            mode, skip = _written(task.against)
        else:
            mode, skip = ways[variants.index(variant)]
        rows.append(
            Row(
                name=variant.name,
                latency=summarize(_latencies(figures, len(samples))),
                speed_up=speed_up(base, figures.rounds),
                cold=measure_cold(settings.runtime, mode, content, task.threads, skip)
                if settings.cold
                else None,
                max_error=errors.get(variant.name),
            )
        )
    # Of the first that is ours, after it has run: it tells the zeros seen.
    report = next(v.interpreter.sparsity_report() for v in variants if v.report is not None)
    macs = count_macs(settings.runtime, task.content)
    saved = sum(layer.macs_dense - layer.macs_kept for layer in report.layers)
    return Result(
        task=task,
        macs=macs,
        mac_sparsity=min(saved / macs, 0.999) if macs else 0.0,
        rounds=len(base),
        input=source,
        samples=len(samples),
        rows=tuple(rows),
        report=report,
        profile=_profile(task, settings, samples[0]) if settings.profile else None,
        doubts=tuple(doubts),
    )


def _latencies(figures: Series, samples: int) -> list[float]:
    if samples == 1:
        return figures.samples
    return [float(np.median(figures.rounds[index::samples])) for index in range(samples)]


def _reference(task: Task, settings: Settings, variants: list[Variant]) -> Variant:
    mode, skip = _written(task.against)
    if task.reference is None:
        for variant in variants:
            if variant.name == variant_name(mode, skip):
                return variant
    return load_variant(
        settings.runtime,
        mode,
        task.reference or task.content,
        task.threads,
        label=task.reference_label or f"the reference of {task.label}",
        name=REFERENCE,
        skip_zeros=skip,
    )


def _written(against: str) -> tuple[str, str]:
    """Mode and skip_zeros of what skips nothing: the stock runtime, or ours with all as written."""
    return against, "auto" if against == STOCK else "never"


def _verify(
    task: Task, settings: Settings, variants: Sequence[Variant], samples: Sequence[Arrays]
) -> tuple[dict[str, float], list[str]]:
    """Largest differences by variant, and doubts about the stock runtime's outputs."""
    mode, skip = _written("off")
    name = variant_name(mode, skip)
    written = next((variant for variant in variants if variant.name == name), None)
    if written is None:
        written = load_variant(
            *(settings.runtime, mode, task.content, task.threads),
            label=task.label,
            skip_zeros=skip,
        )
    errors = dict.fromkeys((variant.name for variant in variants), 0.0)
    differing: set[str] = set()
    for inputs in samples:
        expected = _outputs(written, inputs)
        for variant in variants:
            error, allowed = difference(expected, _outputs(variant, inputs))
            errors[variant.name] = max(errors[variant.name], error)
            if not allowed:
                differing.add(variant.name)
    for name in sorted(differing - {STOCK}):
        raise DelegateError(
            f"{task.label}: mode={name} gives other outputs than the model as written (largest "
            f"difference {errors[name]:.3g}); please report this with the model"
        )
    doubts = []
    if STOCK in differing:
        doubts.append(
            f"{task.label}: outputs of {settings.runtime.name}'s built-in kernels differ from ours "
            f"by up to {errors[STOCK]:.3g}; in 8-bit models kernels may round differently"
        )
    if task.samples is None:
        doubts.append(
            f"{task.label}: random numbers stand in for its input; how much there is to skip, and so "
            "the latency, depends on the input: give one with --input"
        )
    return errors, doubts


def _outputs(variant: Variant, inputs: Arrays) -> Arrays:
    set_inputs(variant, inputs)
    variant.run_ms()
    return variant.outputs()


def _profile(task: Task, settings: Settings, inputs: Arrays) -> Profile:
    mode = next((mode for mode in settings.modes if mode != STOCK), "compact")
    variant = load_variant(
        settings.runtime, mode, task.content, task.threads, label=task.label, profile=True
    )
    set_inputs(variant, inputs)
    for _ in range(_PROFILED_RUNS):
        variant.run_ms()
    profile: Profile = variant.interpreter.profile()
    return profile
