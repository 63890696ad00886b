"""Convert what was trained, count and time it: accuracy x latency x sparsity.

    python -m examples.fashion_mnist.report                # of build/fashion_mnist

Writes table.md, table.json and pareto.png to --out. Each run's .tflite stays in its folder.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import tflite_sparse as ts
from examples.fashion_mnist.data import pictures
from examples.fashion_mnist.deploy import (
    MODES,
    check_count,
    convert,
    count_correct,
    read_run,
    trainers_count,
)
from examples.fashion_mnist.plots import Point, plot_accuracy_over_latency
from examples.fashion_mnist.runs import FREEZE_FROM, SIZE, WIDTH, Run
from tflite_sparse.files import write_atomically
from tflite_sparse.measure.environment import as_dict, describe_machine
from tflite_sparse.measure.rounds import measure
from tflite_sparse.measure.statistics import Ratio, speed_up, summarize
from tflite_sparse.measure.variants import load_variant, set_inputs
from tflite_sparse.runtime import find_runtime
from tflite_sparse.table import format_table

#: Of the test set, to count zeros with.
ACTIVITY_PICTURES = 200
#: Of the test set, to measure latency with.
TIMED_PICTURES = 32


@dataclass(frozen=True)
class Timing:
    """One variant in one mode, compared with the dense network in the stock runtime."""

    milliseconds: float
    speed_up: Ratio


@dataclass(frozen=True)
class Line:
    """One variant of a network, over its seeds.

    Attributes:
        correct: of the 10,000 test pictures, the trainer's count, by seed.
        deployed: the .tflite's count by mode, for each seed.
        timings: by mode.
        zeros: share of zeros that layers read, weighted by their multiply-accumulates.
        effective: share of multiply-accumulates with a nonzero weight and a nonzero activation.
    """

    network: str
    variant: str
    run: Run
    correct: dict[int, int]
    deployed: dict[int, dict[str, int]]
    timings: dict[str, Timing]
    zeros: float
    effective: float

    @property
    def accuracy(self) -> float:
        """Mean over the seeds, percent."""
        return float(np.mean(list(self.correct.values()))) / 100

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds, percent; 0 for one seed."""
        counts = list(self.correct.values())
        return float(np.std(counts, ddof=1)) / 100 if len(counts) > 1 else 0.0


def deployed_counts(folder: Path) -> dict[str, int]:
    """Right pictures of a run's .tflite by mode; converts it if that was not done yet.

    Raises SystemExit if a count is not the trainer's.
    """
    model, counts = folder / "model.tflite", folder / "deployed.json"
    if not model.exists():
        write_atomically(model, convert(folder))
    if not counts.exists():
        content, size = model.read_bytes(), read_run(folder).size
        found = {mode: count_correct(content, mode, size) for mode in MODES}
        write_atomically(counts, json.dumps(found).encode())
    found = json.loads(counts.read_text())
    for mode, count in found.items():
        check_count(folder, mode, count)
    return dict(found)


def timings(models: dict[str, tuple[Run, Path]], seconds: float) -> dict[str, dict[str, Timing]]:
    """Latencies of the variants of one network, all interleaved: ``{variant: {mode: Timing}}``."""
    ways = [
        (variant, mode)
        for variant, (run, _) in models.items()
        for mode in ("stock", "insert", "compact")
        if run.sparsity or mode != "insert"
    ]
    sizes = {run.size for run, _ in models.values()}
    some_of = {size: pictures("t10k", size)[0][:TIMED_PICTURES] for size in sizes}
    loaded = []
    for variant, mode in ways:
        run, folder = models[variant]
        content = (folder / "model.tflite").read_bytes()
        way = load_variant(find_runtime(), mode, content, 1, label=variant)
        set_inputs(way, [some_of[run.size][:1]])
        loaded.append(way)
    # Latency depends on the picture; networks of several sizes have one each.
    samples = [[image[None]] for image in some_of[SIZE]] if sizes == {SIZE} else []
    series = measure(loaded, samples, warmup=20, seconds=seconds, rounds=None)
    base = series[ways.index(("dense", "stock"))].rounds
    result: dict[str, dict[str, Timing]] = {variant: {} for variant in models}
    for (variant, mode), figures in zip(ways, series):
        ratio = speed_up(base, figures.rounds)
        result[variant][mode] = Timing(summarize(figures.samples).median, ratio)
    return result


def collect(folder: Path, seconds: float) -> list[Line]:
    """Count and time every finished run below a folder."""
    folders = sorted(path.parent for path in folder.glob("*/result.json"))
    if not folders:
        raise SystemExit(f"error: no finished run below {folder}; train some first")
    runs = {path: read_run(path) for path in folders}
    deployed = {}
    for number, path in enumerate(folders, 1):
        deployed[path] = deployed_counts(path)
        print(f"[{number}/{len(folders)}] {path.name}: {deployed[path]}", flush=True)
    lines = []
    for network in dict.fromkeys(run.network for run in runs.values()):
        of: dict[str, list[Path]] = {}
        for path, run in sorted(runs.items(), key=lambda item: (_order(item[1]), item[1].seed)):
            if run.network == network:
                of.setdefault(run.variant, []).append(path)
        if "dense" not in of:
            raise SystemExit(f"error: no dense {network} below {folder} to compare with")
        print(f"timing {network}", flush=True)
        times = timings({name: (runs[paths[0]], paths[0]) for name, paths in of.items()}, seconds)
        lines += [
            Line(
                network,
                variant,
                runs[paths[0]],
                {runs[path].seed: trainers_count(path) for path in paths},
                {runs[path].seed: deployed[path] for path in paths},
                times[variant],
                *_activity(paths[0]),
            )
            for variant, paths in of.items()
        ]
    return lines


def _activity(folder: Path) -> tuple[float, float]:
    """Share of zeros, and of effective multiply-accumulates, over some test pictures."""
    images = pictures("t10k", read_run(folder).size)[0][:ACTIVITY_PICTURES]
    totals = ts.measure_activity(folder / "model.tflite", [images]).totals
    return totals.zeros, totals.macs_effective / totals.macs_dense


def table(lines: Sequence[Line]) -> str:
    """The table that people read."""
    dense = {line.network: line for line in lines if line.variant == "dense"}
    rows = []
    for line in lines:
        best = line.timings["compact"]
        insert = line.timings.get("insert")
        base = dense[line.network]
        worst = max(
            abs(count - line.correct[seed])
            for seed, counts in line.deployed.items()
            for count in counts.values()
        )
        rows.append(
            (
                line.network,
                line.variant,
                f"{line.accuracy:.2f} ± {line.spread:.2f}"
                if line.spread
                else f"{line.accuracy:.2f}",
                " ".join(f"{count / 100:.2f}" for count in line.correct.values()),
                None if line is base else f"{base.accuracy - line.accuracy:.2f}",
                worst,
                f"{line.zeros:.1%}",
                f"{line.effective:.1%}",
                f"{line.timings['stock'].milliseconds:.3f}",
                f"{best.milliseconds:.3f}",
                f"{best.speed_up:.2f}",
                None if insert is None else f"{insert.speed_up:.2f}",
            )
        )
    heads = (
        *("network", "variant", "accuracy [%]", "by seed", "drop", "off by"),
        *("zeros", "MACs left", "stock ms", "ms", "speed-up", "by insert"),
    )
    return format_table(heads, rows)


def points(lines: Sequence[Line]) -> dict[str, list[Point]]:
    """The marks of the plot, by network: dense, masked, and what is smaller in other ways."""
    panels: dict[str, list[Point]] = {}
    for line in lines:
        run, panel = line.run, panels.setdefault(line.network, [])
        if run.mask_source != "propagated" or run.freeze_from != FREEZE_FROM or run.start:
            continue
        families = {
            "masked, compact": ("compact", f"{run.sparsity:.0%}"),
            "masked, insert": ("insert" if run.sparsity else "stock", ""),
        }
        # Rivals skip their zeros too.
        if run.width != WIDTH:
            families = {"narrower": ("compact", f"width {run.width}")}
        elif run.size != SIZE:
            families = {"smaller input": ("compact", f"{run.size} px")}
        elif not run.sparsity:
            families |= {"narrower": ("compact", ""), "smaller input": ("compact", "")}
        for family, (mode, label) in families.items():
            ms = line.timings[mode].milliseconds
            panel.append(Point(family, label, ms, line.accuracy, line.spread))
    for network, panel in panels.items():
        count = Counter(point.family for point in panel)
        panels[network] = [point for point in panel if count[point.family] > 1]
    return panels


def _order(run: Run) -> tuple[object, ...]:
    rival = run.width != WIDTH or run.size != SIZE
    return (
        rival,
        run.sparsity,
        run.mask_source != "propagated",
        run.start,
        run.penalty,
        run.weight,
        run.threshold,
        run.freeze_from,
        -run.width,
        -run.size,
    )


def main() -> None:
    """Report on what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("build/fashion_mnist"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--seconds", type=float, default=20.0, help="of timing, per network")
    options = parser.parse_args()
    lines = collect(options.runs, options.seconds)
    options.out.mkdir(parents=True, exist_ok=True)
    text = table(lines)
    print(f"\n{text}")
    here = as_dict(describe_machine(find_runtime()))
    (options.out / "table.md").write_text(
        f"```\n{text}\n```\n\nOne thread of {here['cpu']}; {here['runtime']}.\n"
    )
    (options.out / "table.json").write_text(
        json.dumps({"machine": here, "lines": [asdict(line) for line in lines]}, indent=1) + "\n"
    )
    plot_accuracy_over_latency(points(lines), options.out / "pareto.png")


if __name__ == "__main__":
    main()
