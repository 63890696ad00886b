"""`make demo`: a trained network, dense, trained for zeros, and with masks, on real pictures.

Takes the runs in `trained/` (README.md has the commands that made them), converts them, names the
10,000 test pictures of Fashion-MNIST in the stock runtime and in this one, holds the counts against
the trainer's and the outputs with zeros skipped against those without, times everything interleaved,
and writes a plot and masked pictures to `demo-out/`.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

import tflite_sparse as ts
from examples.fashion_mnist.data import SIZE, load, pictures
from examples.fashion_mnist.deploy import check_count, classify, convert, trainers_count
from examples.fashion_mnist.plots import Point, plot_accuracy_over_latency, plot_predictions
from tflite_sparse.masks import MaskSet
from tflite_sparse.measure.rounds import measure
from tflite_sparse.measure.statistics import speed_up, summarize
from tflite_sparse.measure.variants import load_variant
from tflite_sparse.runtime import find_runtime
from tflite_sparse.table import format_table

TRAINED = Path(__file__).parent / "trained"
DENSE, MASKED = TRAINED / "resnet-dense-seed0", TRAINED / "resnet-s30-seed0"
ZEROS = TRAINED / "resnet-dense-tuned-tl1-2e-05-seed0"
LATTICE = TRAINED / "resnet-s50-lattice-seed0"
NETWORKS = {
    "as trained": DENSE,
    "trained for zeros": ZEROS,
    "30% masks": MASKED,
    "50% lattice masks": LATTICE,
}
MODES = ("stock", "compact")
OUT = Path("demo-out")
# Latency depends on how many zeros a picture makes, so it is a median over several.
_TIMED_PICTURES = 32
_COMPARED_PICTURES = 200


def main() -> None:
    """Run the demo."""
    # A library of the converter warns that it finds no GPU.
    logging.getLogger("torchao").setLevel(logging.ERROR)
    OUT.mkdir(exist_ok=True)
    values, labels = pictures("t10k", SIZE)
    models = {name: convert(folder) for name, folder in NETWORKS.items()}
    classes, correct, zeros = {}, {}, {}
    for name, folder in NETWORKS.items():
        (OUT / f"{folder.name}.tflite").write_bytes(models[name])
        check_bits(models[name], values[:_COMPARED_PICTURES])
        zeros[name] = ts.measure_activity(models[name], [values[:_COMPARED_PICTURES]]).totals.zeros
        for mode in MODES:
            way = name, mode
            began = time.perf_counter()
            classes[way] = classify(models[name], mode, values)
            correct[way] = check_count(folder, mode, int((classes[way] == labels).sum()))
            print(
                f"{name}, {mode}: {correct[way]} of {len(labels)} right "
                f"(trainer: {trainers_count(folder)}), {time.perf_counter() - began:.0f} s",
                flush=True,
            )

    ways = [(name, mode) for name in NETWORKS for mode in MODES]
    loaded = [
        load_variant(find_runtime(), mode, models[name], 1, label=name) for name, mode in ways
    ]
    samples = [[value[None]] for value in values[:_TIMED_PICTURES]]
    series = measure(loaded, samples, warmup=20, seconds=8.0, rounds=None)
    rows, points = [], []
    for (name, mode), figures in zip(ways, series):
        accuracy = correct[name, mode] / len(labels)
        milliseconds = summarize(figures.samples).median
        ratio = speed_up(series[0].rounds, figures.rounds)
        rows.append(
            (
                *(name, mode, f"{accuracy:.2%}", f"{zeros[name]:.0%}"),
                *(f"{milliseconds:.3f}", f"{ratio:.2f}"),
            )
        )
        points.append(Point(mode, name, milliseconds, 100 * accuracy))
    print("\nOne thread, interleaved; the speed-up is over the network as trained in the stock "
          "runtime (95% interval).\n")  # fmt: skip
    print(format_table(("network", "mode", "accuracy", "zeros", "median ms", "speed-up"), rows))
    used = loaded[ways.index(("trained for zeros", "compact"))].interpreter.sparsity_report()
    print("\nHow the layers of the network trained for zeros ran:\n")
    print(
        format_table(
            ("layer", "form", "zeros", "reason"),
            [
                (
                    *(layer.layer[-24:], layer.form),
                    *(None if layer.zeros is None else f"{layer.zeros:.0%}", layer.reason or None),
                )
                for layer in used.zero_layers
            ],
        )
    )
    print()

    plot_accuracy_over_latency({"Fashion-MNIST": points}, OUT / "accuracy-latency.png")
    first_mask = next(iter(MaskSet.load(MASKED / "masks.npz").values()))
    some = slice(0, 24)
    found = classes["30% masks", "compact"][some]
    plot_predictions(
        load("t10k")[0][some], first_mask, found, labels[some], OUT / "predictions.png"
    )
    print(f"Plot, pictures and .tflite files: {OUT}/")


def check_bits(content: bytes, images: npt.NDArray[np.float32]) -> None:
    """Raise SystemExit unless outputs with zeros skipped are those without, to the bit."""
    outputs = []
    for skip in ("always", "never"):
        interpreter = ts.Interpreter(model_content=content, num_threads=1, skip_zeros=skip)
        interpreter.allocate_tensors()
        given = interpreter.get_input_details()[0]["index"]
        result = interpreter.get_output_details()[0]["index"]
        found = []
        for image in images:
            interpreter.set_tensor(given, image[None])
            interpreter.invoke()
            found.append(interpreter.get_tensor(result))
        outputs.append(np.concatenate(found))
    if not np.array_equal(*outputs):
        worst = float(np.abs(outputs[0] - outputs[1]).max())
        raise SystemExit(f"error: skipping zeros changed an output by {worst}; expected no change")


if __name__ == "__main__":
    main()
