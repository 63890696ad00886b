"""The ways of running one model that are measured against each other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import DelegateError, ModelError, OptionError
from tflite_sparse.interpreter import Interpreter
from tflite_sparse.measure.compiled import COMPILED, CompiledInterpreter
from tflite_sparse.report import SparsityReport
from tflite_sparse.runtime import Runtime, stock_for
from tflite_sparse.verify import verify_model

#: Our modes; "stock" is the own delegate of a stock runtime.
MODES = ("compact", "insert", "off")
STOCK = "stock"
VARIANTS = (*MODES, STOCK)
#: Whether ours skip zeros.
SKIPS = ("auto", "always", "never")

Arrays = list[npt.NDArray[Any]]

# Float outputs may differ by rounding only, relative to the largest magnitude of their tensor. Stock
# kernels of different releases are 2e-4 apart at the end of MediaPipe's pose_landmark_full.
_FLOAT_TOLERANCE = 5e-4
# 8-bit: kernels of different ages round halves differently, on few values.
_INT_SHARE = 0.01


@dataclass
class Variant:
    """A model loaded in one way, ready to run.

    Attributes:
        name: one of VARIANTS, with what it does about zeros if that is not "auto"; or the name of a
            reference.
        interpreter: with tensors allocated and inputs set.
        load_ms: time to load and allocate.
        report: what the delegate did; None for the stock runtime.
    """

    name: str
    interpreter: Any
    load_ms: float
    report: SparsityReport | None

    def run_ms(self) -> float:
        """One inference; its time in milliseconds. DelegateError if an operation fails."""
        start = time.perf_counter_ns()
        try:
            self.interpreter.invoke()
        except RuntimeError as error:
            text = " ".join(str(error).split())
            raise DelegateError(f"{self.name}: the inference failed: {text}") from error
        return (time.perf_counter_ns() - start) / 1e6

    def outputs(self) -> Arrays:
        """Copies of all outputs."""
        details = self.interpreter.get_output_details()
        return [self.interpreter.get_tensor(detail["index"]) for detail in details]


def load_variant(
    runtime: Runtime,
    mode: str,
    content: bytes,
    threads: int,
    *,
    label: str,
    name: str | None = None,
    profile: bool = False,
    skip_zeros: str = "auto",
) -> Variant:
    """Load `content` as `mode`, one of VARIANTS; errors name the model by `label`.

    `skip_zeros`, one of SKIPS, is of ours.
    """
    if mode == STOCK:
        runtime = _installed_stock(runtime)
    start = time.perf_counter_ns()
    interpreter: Any
    if mode == STOCK:
        verify_model(content, label)
        try:
            if runtime.name == COMPILED:
                interpreter = CompiledInterpreter.stock(content, threads)
            else:
                interpreter = runtime.module.Interpreter(model_content=content, num_threads=threads)
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{label}: {runtime.name} refuses the model: {error}") from error
    elif runtime.name == COMPILED:
        interpreter = CompiledInterpreter.ours(
            content,
            num_threads=threads,
            mode=mode,
            skip_zeros=skip_zeros,
            profile=profile,
            label=label,
        )
    else:
        interpreter = Interpreter(
            model_content=content,
            num_threads=threads,
            mode=mode,
            skip_zeros=skip_zeros,
            runtime=runtime.name,
            profile=profile,
            label=label,
        )
        interpreter.allocate_tensors()
    load_ms = (time.perf_counter_ns() - start) / 1e6
    report = interpreter.sparsity_report() if mode != STOCK else None
    return Variant(name or variant_name(mode, skip_zeros), interpreter, load_ms, report)


def _installed_stock(runtime: Runtime) -> Runtime:
    stock = stock_for(runtime)
    if stock is None:
        raise DelegateError(
            "a comparison with stock TFLite needs one, and none is installed; install one: "
            "pip install ai-edge-litert, or measure with --against off"
        )
    return stock


def variant_name(mode: str, skip_zeros: str) -> str:
    """What a way of running a model is called, say "compact" or "compact never"."""
    return mode if mode == STOCK or skip_zeros == "auto" else f"{mode} {skip_zeros}"


def set_inputs(variant: Variant, inputs: Arrays) -> None:
    """Set all inputs, in the order of the model; OptionError if they do not fit."""
    details = variant.interpreter.get_input_details()
    if len(details) != len(inputs):
        raise OptionError(f"the model has {len(details)} inputs, found {len(inputs)} arrays")
    for detail, value in zip(details, inputs):
        if tuple(detail["shape"]) != value.shape or detail["dtype"] != value.dtype:
            raise OptionError(
                f"input {detail['name']!r} is {np.dtype(detail['dtype'])} "
                f"{[int(size) for size in detail['shape']]}, found {value.dtype} "
                f"{list(value.shape)}"
            )
        variant.interpreter.set_tensor(detail["index"], value)


def difference(expected: Arrays, found: Arrays) -> tuple[float, bool]:
    """How far outputs are apart, and whether that is rounding.

    Returns:
        The largest difference, in floats relative to the largest magnitude of its tensor, in
        integers in units; and whether it is allowed: floats within 5e-4, integers within one unit
        on at most 1% of a tensor's values (or on one value).
    """
    worst, allowed = 0.0, True
    for a, b in zip(expected, found):
        if a.shape != b.shape or a.dtype != b.dtype:
            return float("inf"), False
        if a.size == 0:
            continue
        if a.dtype.kind == "f":
            scale = float(np.max(np.abs(a))) or 1.0
            error = float(np.max(np.abs(a - b))) / scale
            if not error <= _FLOAT_TOLERANCE and not np.array_equal(a, b, equal_nan=True):
                allowed = False
        else:
            steps = np.abs(a.astype(np.int64) - b.astype(np.int64))
            error = float(steps.max())
            if error > 1 or np.count_nonzero(steps) > max(1, _INT_SHARE * steps.size):
                allowed = False
        worst = max(worst, error)
    return worst, allowed
