"""Train with penalties on activations, convert to spiking networks, count what is left.

    python -m examples.spiking --quick      # one small network, half a minute
    python -m examples.spiking              # everything, about two hours of one core

Each finished run is a file below --out, so that a stopped command goes on where it was. With
--results the tables' records and the figures are written there.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from examples.spiking import data, experiment, tables
from examples.spiking.plots import plot_curves, plot_weights
from examples.spiking.runs import EPOCHS, NETWORKS, PENALTIES, WEIGHTS, Run, all_runs
from tflite_sparse.files import write_atomically
from tflite_sparse.table import format_table


def chosen(options: argparse.Namespace) -> list[Run]:
    """The runs that the command line asks for, seed by seed."""
    if options.quick:
        plain = Run("fashion", "perceptron", epochs=2)
        return [plain] + [
            replace(plain, penalty=penalty, weight=WEIGHTS["perceptron"][penalty][0]) for penalty in ("l1", "lp 0.5")
        ]  # fmt: skip
    return [
        run
        for seed in options.seeds
        for name in options.data
        for network in options.networks
        for run in all_runs(name, network, seed, options.epochs or EPOCHS[name, network])
        if options.penalties is None or run.penalty in ("", *options.penalties)
    ]


def record_of(run: Run, folder: Path, device: str) -> dict[str, Any]:
    """A run's record, from its file if it is finished."""
    path = folder / f"{run.name}.json"
    if not path.exists():
        began = time.perf_counter()
        write_atomically(path, json.dumps(experiment.run(run, device)).encode())
        print(f"{run.name}: {time.perf_counter() - began:.0f} s", flush=True)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def main() -> None:
    """Run what the command line names, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three runs of one network")
    parser.add_argument("--data", nargs="+", choices=data.NAMES, default=list(data.NAMES))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--penalties", nargs="+", choices=list(PENALTIES), help="all by default")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="by default as in runs.py")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("build/spiking"))
    parser.add_argument("--finished", action="store_true", help="only what is finished in --out")
    parser.add_argument("--results", type=Path, help="where to write results.json and figures")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    runs = chosen(options)
    if options.finished:
        runs = [run for run in runs if (options.out / f"{run.name}.json").exists()]
    records = [record_of(run, options.out, options.device) for run in runs]
    for table in (tables.reductions, tables.areas, tables.convergence):
        print(f"\n{format_table(*table(records))}")
    if options.results:
        options.results.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"torch": torch.__version__, "runs": records})
        path = options.results / tables.RESULTS.name
        write_atomically(path, text.replace('{"data"', '\n{"data"').encode())
        plot_curves(records, options.results / "curves.png")
        plot_weights(records, options.results / "weights.png")


if __name__ == "__main__":
    main()
