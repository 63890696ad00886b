#!/usr/bin/env python3
"""`make demo`: find a face in a photo, through the stock interpreter and through this delegate.

The model is MediaPipe's face detector as it is published; the photo is scikit-image's astronaut
(Eileen Collins, NASA). Then activation masks of 30% and 50% are put on the model in memory. They
are random and the model was not trained with them, so what the masked model finds is worth
nothing; what it takes to run is what the demo shows.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tflite_sparse as ts
from tflite_sparse.measure.case import Settings, Task, measure_task
from tflite_sparse.measure.sweep import masked
from tflite_sparse.runtime import find_runtime
from tflite_sparse.table import format_table
from tools.fetch_models import fetched

SIZE = 128
OUT = Path(__file__).resolve().parent.parent / "demo-out"


def anchors() -> np.ndarray:
    """Centres [896, 2] (x, y) of the boxes that the detector scores, in pixels of its input."""
    centres = []
    for cells, per_cell in ((16, 2), (8, 6)):
        step = SIZE / cells
        y, x = np.mgrid[0:cells, 0:cells]
        grid = np.stack([x, y], -1).reshape(-1, 1, 2) * step + step / 2
        centres.append(np.repeat(grid, per_cell, axis=1).reshape(-1, 2))
    return np.concatenate(centres)


def best_face(boxes: np.ndarray, scores: np.ndarray) -> tuple[float, list[float]]:
    """Probability and box [left, top, right, bottom] (shares of the picture) of the best face."""
    best = int(np.argmax(scores))
    x, y, width, height = boxes[0, best, :4]
    x, y = anchors()[best] + (x, y)
    box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return float(1 / (1 + np.exp(-scores.reshape(-1)[best]))), [float(v) / SIZE for v in box]


def main() -> None:
    """Run the demo."""
    model = fetched("face_detection_short_range").read_bytes()
    photo = Image.open(fetched("astronaut")).convert("RGB")
    image = np.asarray(photo.resize((SIZE, SIZE)), np.float32)[None] / 127.5 - 1

    interpreter = ts.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    outputs = [interpreter.get_tensor(out["index"]) for out in interpreter.get_output_details()]
    probability, box = best_face(*outputs)
    OUT.mkdir(exist_ok=True)
    picture = photo.copy()
    corners = [position * side for position, side in zip(box, photo.size * 2)]
    ImageDraw.Draw(picture).rectangle(corners, outline=(0, 255, 0), width=4)
    picture.save(OUT / "face.png")
    print(f"\na face with probability {probability:.3f} at {[round(c) for c in corners]}, drawn in "
          f"{os.path.relpath(OUT / 'face.png')}")  # fmt: skip
    print(interpreter.sparsity_report())

    settings = Settings(
        runtime=find_runtime(),
        modes=("compact", "insert", "off", "stock"),
        warmup=3,
        seconds=4.0,
        rounds=None,
        seed=0,
        profile=False,
        cold=False,
    )
    rows: list[tuple[object, ...]] = []
    for sparsity in (0.0, 0.3, 0.5):
        content = masked(model, sparsity)
        reference = model if sparsity else None
        task = Task("face detection", content, 1, sparsity, reference=reference, inputs=[image])
        result = measure_task(task, settings)
        assert result is not None
        for row in result.rows:
            if sparsity and row.name == "reference":
                continue
            ratio = row.speed_up
            rows.append((f"{sparsity:.0%}", row.name, f"{row.latency.median:.3f}",
                         f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]",
                         f"{result.ideal:.2f}"))  # fmt: skip
    print("\nmasked with random masks, one thread, interleaved; speed-up over the stock interpreter "
          "on the\nmodel without masks (95% interval):")  # fmt: skip
    print(format_table(("sparsity", "variant", "median ms", "speed-up", "ideal"), rows))
    print(f"\nlayers at 50%:\n{result.report}")


if __name__ == "__main__":
    main()
