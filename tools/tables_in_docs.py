#!/usr/bin/env python3
"""Fill the tables of figures in README.md, docs/benchmarks.md and examples from their results.

python3 -m tools.tables_in_docs          # rewrites the tables; a test compares them

A table stands between the lines `<!-- table NAME -->` and `<!-- end -->`. A figure so has one
source, and all pages show that one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from examples.spiking import tables as spiking
from tflite_sparse.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "benchmarks.md",
    ROOT / "examples" / "spiking" / "README.md",
)
RESULTS = ROOT / "benchmarks" / "results"
# Sweeps over sparsity, by the pattern of their masks.
RANDOM, LATTICE = "speedup.json", "speedup-lattice.json"

_PLACE = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NETWORKS = {"resnet18.tflite": "ResNet-18", "mobilenetv2.tflite": "MobileNetV2"}
# End to end on a Raspberry Pi 4: Grimaldi et al., ICCV workshops 2023.
_PAPER = {
    "resnet18.tflite": {0.1: 1.11, 0.2: 1.25, 0.3: 1.42},
    "mobilenetv2.tflite": {0.1: 1.04, 0.2: 1.10, 0.3: 1.20, 0.5: 1.44},
}
# Lines of the table of benchmarks/engine: what they are called, the file, the mode.
_ENGINE = (
    ("ResNet-18", "resnet18-float32", "compact"),
    ("ResNet-18 all", "resnet18-float32-all", "compact"),
    ("ResNet-50", "resnet50-float32", "compact"),
    ("ResNet-50 all", "resnet50-float32-all", "compact"),
    ("MobileNetV2", "mobilenetv2-float32", "compact"),
    ("YOLOv5n at 480", "yolov5n-float32", "compact"),
    ("ResNet-18", "resnet18-float32", "insert"),
    ("MobileNetV2", "mobilenetv2-float32", "insert"),
    ("MobileNetV2 int8", "mobilenetv2-int8", "compact"),
)


_ZEROS = (
    ("ResNet-18, 41% zeros", "resnet18-zeros41"),
    ("ResNet-18, 68%", "resnet18-zeros68"),
    ("ResNet-18, 68%, 30% masked", "resnet18-zeros68-masked30"),
    ("ResNet-50, 41%", "resnet50-zeros41"),
    ("ResNet-50, 68%", "resnet50-zeros68"),
    ("YOLOv5n at 480 x 480 (SiLU: none)", "yolov5n"),
)


def speed_up() -> str:
    """Speed-up of both networks over the stock runtime, for the README."""
    sparsities = (0.1, 0.2, 0.3, 0.4, 0.5)
    ideal = [_swept("resnet18.tflite", s, RANDOM)["ideal_speed_up"] for s in sparsities]
    rows = [("ideal, 1 / (1 - s)", *_numbers(ideal))]
    for model, name in _NETWORKS.items():
        for pattern, file in (("random", RANDOM), ("lattice", LATTICE)):
            figures = _speed_ups(model, "compact", sparsities, file)
            rows.append((f"{name}, 224 x 224, {pattern} masks", *_numbers(figures)))
    percents = [f"{s:.0%}" for s in sparsities]
    return _table(
        ["speed-up over stock, one x86-64 core", *percents[:-1], f"{percents[-1]} masked"], rows
    )


def paper() -> str:
    """The same run, both modes, with the paper's figures."""
    sparsities = (0.1, 0.2, 0.3, 0.5)
    rows = []
    for model, name in _NETWORKS.items():
        rows.append((f"{name}, paper", *_numbers(_PAPER[model].get(s) for s in sparsities)))
        for mode, note in (("compact", ""), ("insert", " (the paper's way)")):
            figures = _speed_ups(model, mode, sparsities)
            rows.append((f"{name}, `{mode}`{note}", *_numbers(figures)))
    return _table(["", *(f"{s:.0%}" for s in sparsities)], rows)


def zeros() -> str:
    """Speed-up over the stock runtime by zeros that ReLUs write, with and without skipping them."""
    rows = []
    for name, model in _ZEROS:
        swept = _swept(f"{model}.tflite", None, "zeros.json")
        figures = (_speed_up(swept, variant) for variant in ("compact", "compact never"))
        rows.append((name, *_numbers(figures)))
    return _table(["", "`auto`", "`never`"], rows)


def engine() -> str:
    """Speed-up over the same network without masks in this delegate, one thread."""
    sparsities = (0.05, 0.1, 0.3, 0.5)
    rows = []
    for name, file, mode in _ENGINE:
        found = {
            row["sparsity"]: row
            for row in json.loads((RESULTS / f"engine-{file}.json").read_text())["end_to_end"]
            if row["variant"] == mode and row["threads"] == 1
        }
        figures = [found[s]["speed_up"]["value"] for s in sparsities]
        rows.append((f"{name}, `{mode}`", *_numbers([*figures, found[0.5]["ideal"]])))
    return _table(["", *(f"{s:.0%}" for s in sparsities), "ideal at 50%"], rows)


def _of_spiking(table: Callable[[list[dict[str, Any]]], spiking.Table]) -> str:
    return _table(*table(spiking.read()))


TABLES: dict[str, Callable[[], str]] = {
    "speed-up": speed_up,
    "paper": paper,
    "zeros": zeros,
    "engine": engine,
    "spiking-reductions": lambda: _of_spiking(spiking.reductions),
    "spiking-areas": lambda: _of_spiking(spiking.areas),
    "spiking-convergence": lambda: _of_spiking(spiking.convergence),
}


def filled(text: str) -> str:
    """A page with each of its tables made again."""
    return _PLACE.sub(lambda place: f"{place[1]}{TABLES[place[2]]()}{place[3]}", text)


def _swept(model: str, sparsity: float | None, file: str) -> dict[str, Any]:
    for result in json.loads((RESULTS / file).read_text())["results"]:
        if result["model"] == model and result["sparsity"] == sparsity:
            found: dict[str, Any] = result
            return found
    raise SystemExit(f"error: {RESULTS / file} has no {model} at sparsity {sparsity}")


def _speed_up(swept: dict[str, Any], variant: str) -> float:
    return next(
        float(row["speed_up"]["value"]) for row in swept["variants"] if row["name"] == variant
    )


def _speed_ups(
    model: str, mode: str, sparsities: Iterable[float], file: str = RANDOM
) -> list[float]:
    return [_speed_up(_swept(model, s, file), f"{mode} never") for s in sparsities]


def _numbers(values: Iterable[float | None]) -> list[str]:
    return ["-" if value is None else f"{value:.2f}" for value in values]


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    for page in PAGES:
        write_atomically(page, filled(page.read_text()).encode())
