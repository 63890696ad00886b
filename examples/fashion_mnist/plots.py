"""The pictures that the report and the demo write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from examples.fashion_mnist.data import CLASSES


@dataclass(frozen=True)
class Point:
    """One network run in one way: a mark in the plot; points of a family are joined.

    Attributes:
        label: what is written next to the mark.
        milliseconds: median latency.
        accuracy: mean over the seeds, percent; `spread` its standard deviation.
    """

    family: str
    label: str
    milliseconds: float
    accuracy: float
    spread: float = 0.0


def plot_accuracy_over_latency(panels: dict[str, Sequence[Point]], path: Path) -> None:
    """A panel per network: what is up and to the left is better."""
    figure = Figure(figsize=(5.6 * len(panels), 4.4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, points) in zip(axes, panels.items()):
        for family in dict.fromkeys(point.family for point in points):
            members = sorted(
                (point for point in points if point.family == family),
                key=lambda point: point.milliseconds,
            )
            x = [point.milliseconds for point in members]
            y = [point.accuracy for point in members]
            spread = [point.spread for point in members]
            axis.errorbar(x, y, spread, marker="o", capsize=3, label=family)
            for point in members:
                at = (point.milliseconds, point.accuracy)
                axis.annotate(
                    point.label, at, (4, 4), textcoords="offset points", fontsize=7, color="0.3"
                )
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("latency [ms], one thread")
        axis.set_ylabel("test accuracy [%]")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def plot_predictions(
    images: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    found: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.int64],
    path: Path,
) -> None:
    """Pictures ``[N, H, W]``, the pixels that ``mask`` leaves out in blue, and their classes."""
    columns = 6
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.6 * columns, 1.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, image, is_, should in zip(axes, images, found, wanted):
        shown = np.repeat(image[..., None], 3, axis=-1)
        shown[~mask] = shown[~mask] // 3 + np.array([20, 60, 150], np.uint8)
        axis.imshow(shown)
        right = is_ == should
        text = CLASSES[is_] if right else f"{CLASSES[is_]}\nis: {CLASSES[should]}"
        axis.set_title(text, fontsize=9, color="black" if right else "red")
    figure.savefig(path, dpi=110)
