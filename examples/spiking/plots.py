"""The figures that `examples.spiking` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from examples.spiking import tables
from examples.spiking.runs import PENALTIES

#: How each penalty is drawn, in both figures.
_STYLES = {
    penalty: {"label": penalty or "none", "color": f"C{number}"}
    for number, penalty in enumerate(("", *PENALTIES))
}


def plot_curves(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Accuracy over synaptic operations as the steps go by, of each penalty's best weight."""
    panels = tables.panels(records)
    figure, axes = _axes(len(panels))
    for axis, (data, network) in zip(axes, panels):
        for variant in tables.best(tables.variants(records, data, network)):
            curves = [
                tables.curve(record, plain, smooth=True)
                for record, plain in zip(variant.records, variant.plain)
            ]
            x, y = (np.mean([one[part] for one in curves], axis=0) for part in (0, 1))
            axis.plot(100 * x, 100 * y, **_STYLES[variant.penalty])
        axis.set_xscale("log")
        axis.set_ylim(bottom=60)
        axis.set_xlim(left=0.1)
        _finish(axis, f"{network}, {data}", "accuracy while it runs [%]")
    figure.savefig(path, dpi=110)


def plot_weights(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Accuracy after all steps over synaptic operations, of each penalty's weights."""
    panels = tables.panels(records)
    figure, axes = _axes(len(panels))
    for axis, (data, network) in zip(axes, panels):
        found = tables.variants(records, data, network)
        for penalty in _STYLES:
            members = sorted(
                (variant for variant in found if variant.penalty == penalty),
                key=lambda variant: variant.weight,
            )
            if members:
                x = [100 * variant.share("synops") for variant in members]
                y = [100 * variant.spiking_accuracy(tables.STEPS) for variant in members]
                axis.plot(x, y, marker="o", **_STYLES[penalty])
        axis.set_xscale("log")
        _finish(axis, f"{network}, {data}", f"accuracy after {tables.STEPS} steps [%]")
    figure.savefig(path, dpi=110)


def _axes(count: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(4.6 * count, 3.9), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def _finish(axis: Any, title: str, label: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("SynOps [% of the network without a penalty]")
    axis.set_ylabel(label)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
