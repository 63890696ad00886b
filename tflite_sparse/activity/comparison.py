"""Two activity reports of the same layers: before and after a training for zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tflite_sparse.activity.report import ActivityReport
from tflite_sparse.errors import OptionError
from tflite_sparse.table import format_table, shorten


@dataclass(frozen=True)
class ActivityComparison:
    """What became of a model's activations; printing it gives a table.

    Layers are matched in order: training changes their numbers, not what they are.

    Attributes:
        before: of the model that it is compared with.
        after: of the model.

    Raises:
        OptionError: the reports are of other layers: the first that differs is named.
    """

    before: ActivityReport
    after: ActivityReport

    def __post_init__(self) -> None:
        """Check that the layers are the same."""
        before, after = (
            [f"{layer.op} of {layer.macs_dense} multiply-accumulates" for layer in report.layers]
            for report in (self.before, self.after)
        )
        if before == after:
            return
        place = next(
            (n for n, pair in enumerate(zip(before, after)) if pair[0] != pair[1]),
            min(len(before), len(after)),
        )
        texts = [
            f"{report.layers[place].layer!r}, a {ops[place]}" if place < len(ops) else "no layer"
            for report, ops in ((self.before, before), (self.after, after))
        ]
        raise OptionError(
            f"{self.after.model} and {self.before.model} are not of the same layers: expected as "
            f"number {place + 1} {texts[0]}; found {texts[1]}"
        )

    @property
    def reductions(self) -> tuple[float, ...]:
        """Per layer, the share of its nonzero activations that are gone; negative if there are more."""
        return tuple(
            _gone(1 - before.zeros, 1 - after.zeros)
            for before, after in zip(self.before.layers, self.after.layers)
        )

    @property
    def reduction(self) -> float:
        """The share of the effective multiply-accumulates that are gone."""
        return _gone(self.before.totals.macs_effective, self.after.totals.macs_effective)

    def to_dict(self) -> dict[str, Any]:
        """Both reports as of `ActivityReport.to_dict`, and the reductions."""
        return {
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "reductions": list(self.reductions),
            "reduction": self.reduction,
        }

    def __str__(self) -> str:
        """The table, one row per layer, and the totals."""
        rows = [
            (
                shorten(after.layer),
                after.op,
                f"{before.zeros:.1%}",
                f"{after.zeros:.1%}",
                f"{reduction:.1%}",
                f"{before.macs_effective / 1e6:.2f}",
                f"{after.macs_effective / 1e6:.2f}",
            )
            for before, after, reduction in zip(
                self.before.layers, self.after.layers, self.reductions
            )
        ]
        headers = ("layer", "op", "zeros before", "after", "reduction", "effective before", "after")
        before, after = self.before.totals, self.after.totals
        return (
            f"{self.after.model} against {self.before.model} ({self.after.source})\n\n"
            f"{format_table(headers, rows)}\n\n"
            f"zeros in {before.zeros:.1%} -> {after.zeros:.1%} of what is multiplied; "
            f"{before.macs_effective / 1e6:.2f} -> {after.macs_effective / 1e6:.2f} M effective "
            f'multiply-accumulates, {self.reduction:.1%} less; "reduction" is the share of a '
            "layer's nonzero activations that are gone"
        )

    def plot(self) -> bytes:
        """A PNG of both: `ActivityReport.plot`."""
        return self.after.plot(self.before)

    def plot_magnitudes(self) -> bytes:
        """A PNG of both: `ActivityReport.plot_magnitudes`."""
        return self.after.plot_magnitudes(self.before)


def _gone(before: float, after: float) -> float:
    return 1 - after / before if before else 0.0
