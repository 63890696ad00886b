"""How many activations are zero, and how many multiplications that leaves: a report per layer.

Effective multiply-accumulates are those with a nonzero weight and a nonzero activation (the synaptic
operations of a network of spikes).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tflite_sparse.activity.figures import draw_activity, draw_magnitudes
from tflite_sparse.errors import OptionError
from tflite_sparse.table import format_table, shorten


@dataclass(frozen=True)
class LayerActivity:
    r"""The zeros that one layer reads.

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
        magnitudes: a histogram of the finite nonzero activations in powers of two: pairs of n and
            the share with 2^n <= |x| < 2^(n + 1), n ascending, the mean over the samples. So the
            shares below n are what a threshold of 2^n removes.
    """

    layer: str
    op: str
    zeros: float
    zeros_std: float
    zeros_min: float
    zeros_max: float
    macs_dense: int
    macs_effective: float
    magnitudes: tuple[tuple[int, float], ...]


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
            layers = tuple(_layer(row) for row in data["layers"])
            return cls(data["model"], data["source"], data["samples"], layers)
        except (KeyError, TypeError, ValueError) as error:
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

    def plot(self, before: ActivityReport | None = None) -> bytes:
        """A PNG: each layer's share of zeros with its range over the samples, and the MACs left.

        Args:
            before: of the same layers, drawn next to them.

        Raises OptionError if matplotlib is not installed.
        """
        return draw_activity(self.layers, before.layers if before else None)

    def plot_magnitudes(self, before: ActivityReport | None = None) -> bytes:
        """A PNG: the histogram of each layer's activations, as in figures 10 and 11 of STAR.

        Args:
            before: of the same layers, drawn behind them.

        Raises OptionError if matplotlib is not installed.
        """
        return draw_magnitudes(self.layers, before.layers if before else None)


def _layer(row: dict[str, Any]) -> LayerActivity:
    fields = {name: row[name] for name in LayerActivity.__dataclass_fields__}
    pairs = fields.pop("magnitudes")
    return LayerActivity(**fields, magnitudes=tuple((int(n), float(share)) for n, share in pairs))
