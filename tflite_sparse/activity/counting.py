"""Counting zeros and what they leave to multiply; it knows no framework.

Effective multiply-accumulates are counted, not estimated: zeros gather in some channels and places,
so the product of two shares would be wrong.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.activity.report import ActivityReport, LayerActivity

Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Multiplications:
    """Which inputs of a layer meet which weights: what counting its effective MACs needs.

    A layer with spatial axes slides a kernel over them; one without (a linear layer, whose `weights`
    has one axis) multiplies each vector of channels once.

    Attributes:
        weights: nonzero weights that one activation meets at each tap, int [*kernel, C]: for input
            channel c, over the outputs of c's group. A depthwise layer has one group per channel.
        output: the spatial sizes of the output.
        strides, dilations: per spatial axis.
        padding: cells before the input per spatial axis; what follows it is implied by `output`.
        transposed: whether the layer is a transposed convolution, whose padding and strides are
            those of its output.
    """

    weights: Counts
    output: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    transposed: bool = False

    def effective(self, active: Bools) -> Counts:
        """Multiply-accumulates with a nonzero weight and a nonzero activation, of each sample.

        Padding is no activation, and what a transposed convolution cuts off its output's edges is
        no multiplication.

        Args:
            active: where the layer's input is not zero, bool [N, *spatial, C]; for a layer without
                spatial axes any axes between the first and the last.
        """
        kernel = self.weights.shape[:-1]
        samples, sizes = active.shape[0], active.shape[1:-1]
        if not kernel:
            return _per_channel(active) @ self.weights
        total = np.zeros(samples, np.int64)
        reads = [
            [self._reads(axis, tap, sizes[axis]) for tap in range(kernel[axis])]
            for axis in range(len(kernel))
        ]
        for tap in itertools.product(*map(range, kernel)):
            window = tuple(reads[axis][at] for axis, at in enumerate(tap))
            total += _per_channel(active[(slice(None), *window)]) @ self.weights[tap]
        return total

    def _reads(self, axis: int, tap: int, size: int) -> slice:
        """The inputs that a tap of the kernel multiplies, over all outputs along one axis."""
        stride, output = self.strides[axis], self.output[axis]
        shift = tap * self.dilations[axis] - self.padding[axis]
        if self.transposed:  # input i adds to output i * stride + shift
            first = max(0, -(shift // stride))
            last = min(size - 1, (output - 1 - shift) // stride)
            return slice(first, max(first, last + 1))
        # output o reads input o * stride + shift
        first = max(0, -(shift // stride))
        last = min(output - 1, (size - 1 - shift) // stride)
        start = first * stride + shift
        return slice(start, max(start, last * stride + shift + 1), stride)


@dataclass
class _Layer:
    op: str
    macs_dense: int
    zeros: list[float] = field(default_factory=list)
    magnitudes: dict[int, float] = field(default_factory=dict)
    effective: list[int] = field(default_factory=list)


class ActivityMeter:
    """Collects what layers read, sample by sample, into an ActivityReport."""

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}

    def add(
        self,
        layer: str,
        op: str,
        values: npt.NDArray[Any],
        multiplications: Multiplications,
        macs_dense: int,
    ) -> None:
        """Count one input of a layer, of one or more samples.

        Args:
            layer: its name; layers are reported in the order of their first call.
            op: the operation.
            values: its input, real numbers [N, ..., C].
            multiplications: which weights the input meets.
            macs_dense: multiply-accumulates of one sample.
        """
        entry = self._layers.setdefault(layer, _Layer(op, macs_dense))
        active = values != 0
        shares = 1.0 - active.reshape(active.shape[0], -1).mean(axis=1)
        entry.zeros += shares.tolist()
        for power, share in _magnitudes(values[active], values.size // len(values)):
            entry.magnitudes[power] = entry.magnitudes.get(power, 0.0) + share
        entry.effective += multiplications.effective(active).tolist()

    def report(self, model: str, source: str) -> ActivityReport:
        """The report of all that was counted; `model` and `source` are for people."""
        layers = tuple(
            LayerActivity(
                layer=name,
                op=entry.op,
                zeros=float(np.mean(entry.zeros)),
                zeros_std=float(np.std(entry.zeros)),
                zeros_min=min(entry.zeros),
                zeros_max=max(entry.zeros),
                macs_dense=entry.macs_dense,
                macs_effective=float(np.mean(entry.effective)),
                magnitudes=tuple(
                    (power, entry.magnitudes[power] / len(entry.zeros))
                    for power in sorted(entry.magnitudes)
                ),
            )
            for name, entry in self._layers.items()
        )
        samples = max((len(entry.zeros) for entry in self._layers.values()), default=0)
        return ActivityReport(model, source, samples, layers)


def _per_channel(active: Bools) -> Counts:
    """Ones of each sample and channel, int64 [N, C]."""
    counts: Counts = np.count_nonzero(active, axis=tuple(range(1, active.ndim - 1)))
    return counts.astype(np.int64)


def _magnitudes(nonzero: npt.NDArray[Any], elements: int) -> list[tuple[int, float]]:
    """Pairs of n and how many of a sample's elements have 2^n <= |x| < 2^(n + 1), as shares."""
    # A mantissa is in [0.5, 1).
    powers = np.frexp(nonzero[np.isfinite(nonzero)].astype(np.float64))[1] - 1
    return [
        (int(power), int(count) / elements)
        for power, count in zip(*np.unique(powers, return_counts=True))
    ]
