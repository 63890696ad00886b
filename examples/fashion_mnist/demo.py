"""`make demo`: a trained network, dense and with 30% of its pixels masked, on real pictures.

Takes the two runs in `trained/` (README.md has the command that made them), converts them, names the
10,000 test pictures of Fashion-MNIST in every mode, holds the counts against the trainer's, times
everything interleaved, and writes a plot and masked pictures to `demo-out/`.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from examples.fashion_mnist.data import SIZE, load, pictures
from examples.fashion_mnist.deploy import (
    MODES,
    check_count,
    classify,
    convert,
    trainers_count,
)
from examples.fashion_mnist.plots import Point, plot_accuracy_over_latency, plot_predictions
from tflite_sparse.masks import MaskSet
from tflite_sparse.measure.case import REFERENCE, Settings, Task, measure_task
from tflite_sparse.runtime import find_runtime
from tflite_sparse.table import format_table

TRAINED = Path(__file__).parent / "trained"
DENSE, MASKED = TRAINED / "resnet-dense-seed0", TRAINED / "resnet-s30-seed0"
OUT = Path("demo-out")
# Latency depends on how many zeros a picture makes, so it is a median over several.
_TIMED_PICTURES = 32


def main() -> None:
    """Run the demo."""
    # A library of the converter warns that it finds no GPU.
    logging.getLogger("torchao").setLevel(logging.ERROR)
    OUT.mkdir(exist_ok=True)
    values, labels = pictures("t10k", SIZE)
    models = {folder: convert(folder) for folder in (DENSE, MASKED)}
    for folder, content in models.items():
        (OUT / f"{folder.name}.tflite").write_bytes(content)

    classes, correct = {}, {}
    for way in ((DENSE, "stock"), *((MASKED, mode) for mode in MODES)):
        folder, mode = way
        began = time.perf_counter()
        classes[way] = classify(models[folder], mode, values)
        correct[way] = check_count(folder, mode, int((classes[way] == labels).sum()))
        print(
            f"{folder.name}, {mode}: {correct[way]} of {len(labels)} right "
            f"(trainer: {trainers_count(folder)}), {time.perf_counter() - began:.0f} s",
            flush=True,
        )

    settings = Settings(
        runtime=find_runtime(),
        modes=("compact", "insert", "off", "stock"),
        warmup=20,
        seconds=8.0,
        rounds=None,
        seed=0,
        profile=False,
        cold=False,
    )
    task = Task(
        *(MASKED.name, models[MASKED], 1),
        reference=models[DENSE],
        samples=lambda details: [[value[None]] for value in values[:_TIMED_PICTURES]],
        source="test pictures",
    )
    result = measure_task(task, settings)
    assert result is not None
    rows, points = [], []
    for row in result.rows:
        way = (DENSE, "stock") if row.name == REFERENCE else (MASKED, row.name)
        name, accuracy = way[0].name, correct[way] / len(labels)
        rows.append(
            (name, way[1], f"{accuracy:.2%}", f"{row.latency.median:.3f}", f"{row.speed_up:.2f}")
        )
        points.append(Point(name, way[1], row.latency.median, 100 * accuracy))
    print(f"\nOne thread, interleaved; the speed-up is over {DENSE.name} in the stock runtime (95% "
          f"interval); by the\nmultiply-accumulates left it would be {result.ideal:.2f}.\n")  # fmt: skip
    print(format_table(("network", "mode", "accuracy", "median ms", "speed-up"), rows))
    print(f"\n{result.report}\n")

    plot_accuracy_over_latency({"Fashion-MNIST": points}, OUT / "accuracy-latency.png")
    first_mask = next(iter(MaskSet.load(MASKED / "masks.npz").values()))
    some = slice(0, 24)
    found = classes[MASKED, "compact"][some]
    plot_predictions(
        load("t10k")[0][some], first_mask, found, labels[some], OUT / "predictions.png"
    )
    print(f"Plot, pictures and .tflite files: {OUT}/")


if __name__ == "__main__":
    main()
