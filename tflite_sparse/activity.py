"""How many activations are zero, and how many multiplications that leaves: a report per layer.

The type and the counting know no framework: PyTorch, Keras and .tflite files fill the same report.
Effective multiply-accumulates are those with a nonzero weight and a nonzero activation (the synaptic
operations of a network of spikes). They are counted, not estimated: zeros gather in some channels
and places, so the product of two shares would be wrong.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import OptionError
from tflite_sparse.figures import new_figure, to_png
from tflite_sparse.table import format_table, shorten

Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LayerActivity:
    """The zeros that one layer reads.

    Attributes:
        layer: name of the tensor or module that the layer writes.
        op: the operation, as its framework calls it.
        zeros: share of zeros of the layer's input, in [0, 1]: the mean over the samples.
        zeros_std: their standard deviation over the samples.
        zeros_min: the sample with the smallest share.
        zeros_max: the sample with the largest share.
        macs_dense: multiply-accumulates of one sample, zeros and padding included.
        macs_effective: those of them with a nonzero weight and a nonzero activation: the mean over
            the samples.
    """

    layer: str
    op: str
    zeros: float
    zeros_std: float
    zeros_min: float
    zeros_max: float
    macs_dense: int
    macs_effective: float


@dataclass(frozen=True)
class ActivityTotals:
    """Sums over the layers.

    Attributes:
        zeros: share of zeros, each layer weighted by its dense multiply-accumulates.
        macs_dense: multiply-accumulates of one sample.
        macs_effective: those with a nonzero weight and a nonzero activation, on average.
    """

    zeros: float
    macs_dense: int
    macs_effective: float


@dataclass(frozen=True)
class ActivityReport:
    """What share of a model's multiplications is with zeros; printing it gives a table.

    Attributes:
        model: what was measured, for people.
        source: what it was fed with, for people.
        samples: how many inputs the figures are of.
        layers: one entry per layer, in the order of execution.
    """

    model: str
    source: str
    samples: int
    layers: tuple[LayerActivity, ...]

    @property
    def totals(self) -> ActivityTotals:
        """Sums over the layers, zeros weighted by multiply-accumulates."""
        dense = sum(layer.macs_dense for layer in self.layers)
        weighted = sum(layer.zeros * layer.macs_dense for layer in self.layers)
        return ActivityTotals(
            zeros=weighted / dense if dense else 0.0,
            macs_dense=dense,
            macs_effective=sum(layer.macs_effective for layer in self.layers),
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ActivityReport:
        """The report that `to_dict` made; OptionError if it is something else."""
        try:
            layers = tuple(
                LayerActivity(**{name: row[name] for name in LayerActivity.__dataclass_fields__})
                for row in data["layers"]
            )
            return cls(data["model"], data["source"], data["samples"], layers)
        except (KeyError, TypeError) as error:
            raise OptionError(f"expected an activity report, found one without {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The report as plain lists, dictionaries and numbers, ready for json.dumps."""
        return {
            "model": self.model,
            "source": self.source,
            "samples": self.samples,
            "layers": [asdict(layer) for layer in self.layers],
            "totals": asdict(self.totals),
        }

    def __str__(self) -> str:
        """The table, one row per layer, and the totals."""
        rows = [
            (
                shorten(layer.layer),
                layer.op,
                f"{layer.zeros:.1%}",
                f"{layer.zeros_std:.1%}",
                f"{layer.zeros_min:.1%}",
                f"{layer.zeros_max:.1%}",
                f"{layer.macs_dense / 1e6:.2f}",
                f"{layer.macs_effective / 1e6:.2f}",
                f"{layer.macs_effective / layer.macs_dense:.1%}" if layer.macs_dense else None,
            )
            for layer in self.layers
        ]
        headers = ("layer", "op", "zeros", "std", "min", "max", "MMACs", "effective", "share")
        totals = self.totals
        share = totals.macs_effective / totals.macs_dense if totals.macs_dense else 1.0
        samples = "1 sample" if self.samples == 1 else f"{self.samples} samples"
        return (
            f"{self.model}: {samples} ({self.source})\n\n{format_table(headers, rows)}\n\n"
            f"zeros in {totals.zeros:.1%} of what is multiplied; {totals.macs_effective / 1e6:.2f} "
            f"of {totals.macs_dense / 1e6:.2f} M multiply-accumulates ({share:.1%}) have a nonzero "
            "weight and a nonzero activation"
        )

    def plot(self) -> bytes:
        """A PNG: each layer's share of zeros with its range over the samples, and the MACs left.

        Raises OptionError if matplotlib is not installed.
        """
        figure = new_figure(7.0, max(2.5, 0.22 * len(self.layers) + 1.2))
        left, right = figure.subplots(1, 2, sharey=True)
        places = np.arange(len(self.layers))
        zeros = np.array([layer.zeros for layer in self.layers])
        reach = [
            zeros - [layer.zeros_min for layer in self.layers],
            np.array([layer.zeros_max for layer in self.layers]) - zeros,
        ]
        left.barh(places, 100 * zeros, xerr=100 * np.clip(reach, 0, None), capsize=2)
        left.set_xlabel("zeros in the input [%]")
        left.set_xlim(0, 100)
        left.set_yticks(places, [layer.layer[-32:] for layer in self.layers], fontsize=6)
        left.invert_yaxis()
        dense = np.array([layer.macs_dense / 1e6 for layer in self.layers])
        effective = np.array([layer.macs_effective / 1e6 for layer in self.layers])
        right.barh(places, dense, color="0.85", label="dense")
        right.barh(places, effective, label="effective")
        right.set_xlabel("M multiply-accumulates")
        right.legend(fontsize=8)
        return to_png(figure)


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
    effective: list[int] = field(default_factory=list)


class ActivityMeter:
    """Collects what layers read, sample by sample, into an ActivityReport."""

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}

    def add(
        self, layer: str, op: str, active: Bools, multiplications: Multiplications, macs_dense: int
    ) -> None:
        """Count one input of a layer, of one or more samples.

        Args:
            layer: its name; layers are reported in the order of their first call.
            op: the operation.
            active: where its input is not zero, bool [N, ..., C].
            multiplications: which weights the input meets.
            macs_dense: multiply-accumulates of one sample.
        """
        entry = self._layers.setdefault(layer, _Layer(op, macs_dense))
        shares = 1.0 - active.reshape(active.shape[0], -1).mean(axis=1)
        entry.zeros += shares.tolist()
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
            )
            for name, entry in self._layers.items()
        )
        samples = max((len(entry.zeros) for entry in self._layers.values()), default=0)
        return ActivityReport(model, source, samples, layers)


def _per_channel(active: Bools) -> Counts:
    """Ones of each sample and channel, int64 [N, C]."""
    counts: Counts = np.count_nonzero(active, axis=tuple(range(1, active.ndim - 1)))
    return counts.astype(np.int64)
