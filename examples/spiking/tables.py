"""Tables of the records that `examples.spiking` leaves in `results/`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from examples.spiking.runs import LONG, PENALTIES, STEPS

RESULTS = Path(__file__).parent / "results" / "results.json"
#: How much accuracy a penalty may cost, as a share.
ALLOWED = 0.005
#: Steps of the running mean that smooths a curve.
WINDOW = 9

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    """One penalty with one weight, over its seeds.

    Attributes:
        records: of the seeds that the network without a penalty has too.
        plain: the records of that one, in the same order.
    """

    penalty: str
    weight: float
    records: list[dict[str, Any]]
    plain: list[dict[str, Any]]

    def mean(self, key: str) -> float:
        """Of one figure."""
        return float(np.mean([record[key] for record in self.records]))

    def share(self, key: str) -> float:
        """Of one figure in the network's without a penalty, the mean over the seeds."""
        pairs = zip(self.records, self.plain)
        return float(np.mean([record[key] / plain[key] for record, plain in pairs]))

    @property
    def cost(self) -> float:
        """Accuracy lost to the penalty, the mean over the seeds: before or after conversion."""
        pairs = zip(self.records, self.plain)
        before = np.mean([p["test_accuracy"] - r["test_accuracy"] for r, p in pairs])
        plain = Variant("", 0.0, self.plain, self.plain)
        after = plain.spiking_accuracy(STEPS) - self.spiking_accuracy(STEPS)
        return float(max(before, after))

    def spiking_accuracy(self, steps: int) -> float:
        """Of the converted network after so many steps."""
        return float(np.mean([record["accuracy_over_time"][steps - 1] for record in self.records]))

    def areas(self, smooth: bool) -> list[float]:
        """Of each seed, the area below `curve`."""
        return [
            area(*curve(record, plain, smooth)) for record, plain in zip(self.records, self.plain)
        ]


def curve(record: dict[str, Any], plain: dict[str, Any], smooth: bool) -> tuple[Curve, Curve]:
    """Accuracy of the converted network over its synaptic operations, step by step.

    Operations are shares of what the network without a penalty needs for all steps. Smoothed, the
    accuracy is a running mean over WINDOW steps.
    """
    x = np.array(record["synops_over_time"]) / plain["synops"]
    y = np.array(record["accuracy_over_time"][:STEPS])
    if smooth:
        before, after = WINDOW // 2, (WINDOW - 1) // 2
        y = np.convolve(np.pad(y, (before, after), "edge"), np.full(WINDOW, 1 / WINDOW), "valid")
    return x, y


def area(x: Curve, y: Curve) -> float:
    """Below a curve from 0 to 1, which begins at (0, 0) and ends as it last was."""
    inside = x <= 1
    x = np.concatenate(([0.0], x[inside], [1.0]))
    y = np.concatenate(([0.0], y[inside], y[inside][-1:]))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))


def read(path: Path = RESULTS) -> list[dict[str, Any]]:
    """The records of a file."""
    records: list[dict[str, Any]] = json.loads(path.read_text())["runs"]
    return records


def panels(records: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Data and network, in the order of the records."""
    return list(dict.fromkeys((record["data"], record["network"]) for record in records))


def variants(records: Iterable[dict[str, Any]], data: str, network: str) -> list[Variant]:
    """Those of one network, the one without a penalty first."""
    groups: dict[tuple[str, float], dict[int, dict[str, Any]]] = {}
    for record in records:
        if (record["data"], record["network"]) == (data, network):
            key = record["penalty"], record["weight"]
            groups.setdefault(key, {})[record["seed"]] = record
    plain = groups[("", 0.0)]
    return [
        Variant(penalty, weight, [by_seed[s] for s in seeds], [plain[s] for s in seeds])
        for (penalty, weight), by_seed in groups.items()
        if (seeds := [seed for seed in by_seed if seed in plain])
    ]


def best(found: Sequence[Variant]) -> list[Variant]:
    """Of each penalty the weight with the fewest synaptic operations that costs at most ALLOWED."""
    chosen = []
    for penalty in ("", *PENALTIES):
        good = [v for v in found if v.penalty == penalty and v.cost <= ALLOWED]
        chosen += sorted(good, key=lambda variant: variant.share("synops"))[:1]
    return chosen


def reductions(records: Sequence[dict[str, Any]]) -> Table:
    """Each penalty's best weight: what is left of spikes, effective MACs and synaptic operations."""
    rows = []
    for data, network in panels(records):
        found = variants(records, data, network)
        chosen = {variant.penalty: variant for variant in best(found)}
        for penalty in ("", *PENALTIES):
            if penalty not in {variant.penalty for variant in found}:
                continue
            variant = chosen.get(penalty)
            label = (f"{network}, {data}", penalty or "none")
            if variant is None:
                rows.append((*label, *7 * ("-",)))
                continue
            rows.append(
                (
                    *label,
                    f"{variant.weight:g}" if penalty else "-",
                    *(
                        f"{variant.share(key):.1%}"
                        for key in ("spikes", "macs_effective", "synops")
                    ),
                    f"{variant.mean('test_accuracy'):.2%}",
                    f"{variant.mean('accuracy'):.2%}",
                    f"{variant.spiking_accuracy(STEPS):.2%}",
                )
            )
    heads = (
        *("network", "penalty", "weight", "%spikes", "%EFLOPS", "%SynOps"),
        *("accuracy", "on the simulated", f"spiking, {STEPS} steps"),
    )
    return heads, rows


def areas(records: Sequence[dict[str, Any]]) -> Table:
    """Area below accuracy over synaptic operations of each penalty's best weight."""
    rows = []
    for data, network in panels(records):
        for variant in best(variants(records, data, network)):
            row = [f"{network}, {data}", variant.penalty or "none"]
            for smooth in (False, True):
                values = np.array(variant.areas(smooth))
                spread = f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else ""
                row.append(f"{values.mean():.4f}{spread}")
            rows.append((*row, str(len(variant.records))))
    return ("network", "penalty", "area", "smoothed", "seeds"), rows


def convergence(records: Sequence[dict[str, Any]]) -> Table:
    """Accuracy of the network without a penalty, and of the spiking one as the steps grow."""
    rows = []
    steps = (10, 25, 50, 100, 200, LONG)
    for data, network in panels(records):
        plain = variants(records, data, network)[0]
        curves = (f"{plain.spiking_accuracy(count):.2%}" for count in steps)
        rows.append((f"{network}, {data}", f"{plain.mean('accuracy'):.2%}", *curves))
    return ("network", "ReLUs", *(f"{count} steps" for count in steps)), rows
