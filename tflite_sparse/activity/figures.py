"""Pictures of activity reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tflite_sparse.figures import new_figure, to_png

if TYPE_CHECKING:
    from tflite_sparse.activity.report import LayerActivity

_COLUMNS = 4


def draw_activity(
    layers: Sequence[LayerActivity], before: Sequence[LayerActivity] | None = None
) -> bytes:
    """A PNG: zeros and multiply-accumulates of each layer."""
    figure = new_figure(7.0, max(2.5, 0.22 * len(layers) + 1.2))
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(layers))
    dense = [layer.macs_dense / 1e6 for layer in layers]
    right.barh(places, dense, color="0.85", label="dense")
    series = [("before", before), ("after", layers)] if before else [("effective", layers)]
    height = 0.8 / len(series)
    for index, (label, drawn) in enumerate(series):
        at = places + (index - (len(series) - 1) / 2) * height
        zeros = np.array([layer.zeros for layer in drawn])
        reach = [
            zeros - [layer.zeros_min for layer in drawn],
            np.array([layer.zeros_max for layer in drawn]) - zeros,
        ]
        left.barh(at, 100 * zeros, height, xerr=100 * np.clip(reach, 0, None), capsize=2)
        right.barh(at, [layer.macs_effective / 1e6 for layer in drawn], height, label=label)
    left.set_xlabel("zeros in the input [%]")
    left.set_xlim(0, 100)
    left.set_yticks(places, [layer.layer[-32:] for layer in layers], fontsize=6)
    left.invert_yaxis()
    right.set_xlabel("M multiply-accumulates")
    right.legend(fontsize=8)
    return to_png(figure)


def draw_magnitudes(
    layers: Sequence[LayerActivity], before: Sequence[LayerActivity] | None = None
) -> bytes:
    """A PNG: a histogram of each layer's nonzero activations, in powers of two."""
    rows = math.ceil(len(layers) / _COLUMNS)
    figure = new_figure(10.0, 1.6 * rows + 0.6)
    axes = figure.subplots(rows, _COLUMNS, sharex=True, squeeze=False).ravel()
    for index, (axis, layer) in enumerate(zip(axes, layers)):
        zeros = f"{layer.zeros:.0%}"
        if before:
            _histogram(axis, before[index], label="before", color="0.7")
            zeros = f"{before[index].zeros:.0%} -> {zeros}"
        _histogram(axis, layer, label="after", alpha=0.7)
        axis.set_title(f"{layer.layer[-28:]}: {zeros} zero", fontsize=7)
        axis.tick_params(labelsize=6)
    for axis in axes[len(layers) :]:
        axis.set_visible(False)
    if before:
        axes[0].legend(fontsize=6)
    figure.supxlabel("log2 |activation|", fontsize=8)
    figure.supylabel("activations [%]", fontsize=8)
    return to_png(figure)


def _histogram(axis: Any, layer: LayerActivity, **style: Any) -> None:
    powers = [power for power, _ in layer.magnitudes]
    shares = [100 * share for _, share in layer.magnitudes]
    axis.bar(powers, shares, width=1.0, align="edge", **style)
