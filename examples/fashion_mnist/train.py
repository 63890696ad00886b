"""Train the networks of the table; stop it and start it again at any time.

    python -m examples.fashion_mnist.train                      # all of the ResNet, seeds 0, 1, 2
    python -m examples.fashion_mnist.train --network mobilenet --groups table --seeds 0

Each run has a folder below --out with a log.csv (a line per epoch), a checkpoint while it is under
way, and in the end its weights, masks.npz (if it has masks) and result.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from examples.fashion_mnist.runs import GROUPS, NETWORKS, Run
from tflite_sparse.files import write_atomically
from tflite_sparse.training.sparsifier import Sparsifier


class Trainer(Protocol):
    """What trains a run, in either framework."""

    sparsifier: Sparsifier
    #: Batches in an epoch.
    steps: int

    def epoch(self, number: int) -> float:
        """Train on every picture once; returns the mean loss."""

    def count_correct(self) -> int:
        """How many of the 10,000 test pictures are named rightly."""

    def save(self, path: Path) -> None:
        """Write all that a resumed run needs."""

    def load(self, path: Path) -> None:
        """The opposite of `save`."""

    def save_weights(self, folder: Path) -> None:
        """Write what the trained network is, without its masks."""


def make_trainer(run: Run, epochs: int, device: str) -> Trainer:
    """The trainer of the run's framework, which only now is loaded."""
    if run.network.endswith("-keras"):
        from examples.fashion_mnist.keras_trainer import KerasTrainer

        return KerasTrainer(run, epochs)
    from examples.fashion_mnist.torch_trainer import TorchTrainer

    return TorchTrainer(run, epochs, device)


def train(run: Run, epochs: int, folder: Path, device: str) -> dict[str, Any]:
    """Train a run to its end, from its last checkpoint if it has one; returns its result.

    Raises SystemExit if the folder holds a run with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_settings(folder / "run.json", {**asdict(run), "epochs": epochs})
    if (folder / "result.json").exists():
        return json.loads((folder / "result.json").read_text())
    trainer = make_trainer(run, epochs, device)
    checkpoint, log = folder / "checkpoint", folder / "log.csv"
    lines: list[dict[str, Any]] = []
    if checkpoint.exists():
        trainer.load(checkpoint)
        with log.open(newline="") as file:
            lines = list(csv.DictReader(file))[: trainer.sparsifier.step_count // trainer.steps]
    for epoch in range(len(lines), epochs):
        began = time.perf_counter()
        loss = trainer.epoch(epoch)
        correct = trainer.count_correct()
        seconds = time.perf_counter() - began
        lines.append(
            {
                "epoch": epoch + 1,
                "sparsity": _sparsity(trainer.sparsifier),
                "train_loss": loss,
                "test_correct": correct,
                "seconds": seconds,
            }
        )
        with log.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        trainer.save(folder / "checkpoint.new")
        (folder / "checkpoint.new").replace(checkpoint)
        print(
            f"{run.name}: epoch {epoch + 1} of {epochs}, {correct} of 10000, {seconds:.0f} s",
            flush=True,
        )
    trainer.save_weights(folder)
    if run.sparsity:
        trainer.sparsifier.masks().save(folder / "masks.npz")
    # Once more: a run that never freezes has its final masks since the last step only.
    result = {
        "correct": trainer.count_correct(),
        "seconds": sum(float(line["seconds"]) for line in lines),
        "device": device,
    }
    _write_json(folder / "result.json", result)
    checkpoint.unlink()
    return result


def _sparsity(sparsifier: Sparsifier) -> float:
    if not sparsifier.sparsity:
        return 0.0
    masks = sparsifier.masks().values()
    return 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.size for mask in masks)


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    if not path.exists():
        _write_json(path, settings)
    found = json.loads(path.read_text())
    if found != settings:
        raise SystemExit(
            f"error: {path.parent} holds a run with other settings: expected {settings}, found "
            f"{found}; choose another --out, or remove the folder"
        )


def _write_json(path: Path, value: Any) -> None:
    write_atomically(path, f"{json.dumps(value, indent=1)}\n".encode())


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {text}")
    return int(text)


def main() -> None:
    """Train what the command line names."""
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=NETWORKS, default="resnet")
    parser.add_argument(
        "--groups",
        nargs="+",
        choices=GROUPS,
        default=["table", "ablations", "freezing", "rivals"],
        help="kinds of runs (default: those with masks only)",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--epochs", type=_positive, default=8, help="the budget of every run (default 8)"
    )
    parser.add_argument("--out", type=Path, default=Path("build/fashion_mnist"))
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda, for PyTorch")
    parser.add_argument(
        *("--workers", "-j"),
        type=_positive,
        default=cores,
        help="runs at a time, which share the processor cores (default: one per core)",
    )
    options = parser.parse_args()
    runs = [
        replace(run, seed=seed)
        for seed in options.seeds
        for group in options.groups
        for run in GROUPS[group](options.network)
    ]
    print(f"{len(runs)} runs of {options.epochs} epochs, {options.workers} at a time")
    # Read by the numeric libraries of the workers when they start.
    os.environ["OMP_NUM_THREADS"] = str(max(1, cores // options.workers))
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, spawn) as pool:
        futures = [
            pool.submit(train, run, options.epochs, options.out / run.name, options.device)
            for run in runs
        ]
        for number, (run, future) in enumerate(zip(runs, futures), 1):
            correct = future.result()["correct"]
            print(f"[{number}/{len(runs)}] {run.name}: {correct / 100:.2f}%", flush=True)


if __name__ == "__main__":
    main()
