"""Speed-up over sparsity: the paper's Figure 3."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from tflite_sparse.figures import new_figure, to_png
from tflite_sparse.measure.case import Result


def plot_speed_up(results: Sequence[Result]) -> bytes:
    """A PNG with a panel per model and number of threads: each variant's speed-up, and the ideal.

    Raises OptionError if matplotlib is not installed.
    """
    panels: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        panels.setdefault((result.task.label, result.task.threads), []).append(result)
    figure = new_figure(4.8 * len(panels), 4.0)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, ((label, threads), group) in zip(axes, panels.items()):
        group = sorted(group, key=lambda result: result.mac_sparsity)
        x = [100 * result.mac_sparsity for result in group]
        ideal = np.linspace(0, max([*x, 10.0]), 100)
        axis.plot(ideal, 1 / (1 - ideal / 100), color="0.6", linestyle="--", label="ideal 1/(1-s)")
        for name in dict.fromkeys(row.name for result in group for row in result.rows):
            rows = [(at, row) for at, r in zip(x, group) for row in r.rows if row.name == name]
            values = np.array([row.speed_up.value for _, row in rows])
            low = values - [row.speed_up.low for _, row in rows]
            high = np.array([row.speed_up.high for _, row in rows]) - values
            spread = np.clip([low, high], 0, None)
            positions = [at for at, _ in rows]
            axis.errorbar(positions, values, spread, marker="o", capsize=3, label=name)
        axis.set_title(
            f"{os.path.basename(label)}, {threads} thread{'s' if threads > 1 else ''}", fontsize=10
        )
        axis.set_xlabel("multiply-accumulates masked [%]")
        axis.set_ylabel("speed-up")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return to_png(figure)
