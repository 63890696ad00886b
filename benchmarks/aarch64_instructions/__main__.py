"""Executed Arm instructions of one masked layer and of the dense one, counted under emulation.

    make native-aarch64-benchmarks emulator
    python -m benchmarks.aarch64_instructions            # print the table
    python -m benchmarks.aarch64_instructions --write    # into benchmarks/results, layer by layer

These are numbers of instructions, not times: emulation says nothing of time. They repeat exactly.
The layer stands in a chain of equal layers with equal random masks, as in a network, so that its
input is in the form that the engine gives it; the number is that of a chain of three less that of a
chain of two, each less its preparation, so that neither that nor the ends of the chain count. A 1x1
layer is a pair, expansion and projection, as MobileNetV2 has them. `dense` has no masks. An `insert`
or `compact` figure is dense instructions / masked instructions; `1/(1-s)` is what skipping the masked
outputs, and nothing else, would give. What `--write` has counted of the same program is not counted
again: after an interruption, the same command goes on.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.aarch64_instructions.count import arguments, count
from benchmarks.engine.tables import markdown_table
from tflite_sparse.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "bazel-aarch64-bin" / "native" / "benchmarks" / "masked_chain"
RESULT = ROOT / "benchmarks" / "results" / "aarch64_instructions.json"
SPARSITIES = (0.3, 0.5)
MODES = ("insert", "compact")


@dataclass(frozen=True)
class Layer:
    """A layer of a network at 224 x 224; `other` is the width between a pair of 1x1 layers."""

    network: str
    kind: str
    size: int
    channels: int
    other: int = 0

    def __str__(self) -> str:
        shape = {
            "square": f"3x3, {self.channels}",
            "depthwise": f"depthwise 3x3, {self.channels}",
            "pointwise": f"1x1, {self.channels} to {self.other} and back",
        }[self.kind]
        return f"{self.network}: {shape} at {self.size}x{self.size}"


LAYERS = (
    Layer("MobileNetV2", "pointwise", 28, 32, 192),
    Layer("MobileNetV2", "pointwise", 14, 96, 576),
    Layer("MobileNetV2", "depthwise", 56, 144),
    Layer("MobileNetV2", "depthwise", 28, 192),
    Layer("MobileNetV2", "depthwise", 14, 576),
    # The network's other 3x3 layers have as many multiply-accumulates.
    Layer("ResNet-18", "square", 56, 64),
)


def instructions(cpu: str, layer: Layer, sparsity: float, mode: str) -> int:
    """Instructions of one inference of one layer in the middle of a chain."""

    def of_chain(layers: int) -> int:
        program = [str(PROGRAM), layer.kind, str(layer.size), str(layer.channels), str(layer.other)]
        program += [str(sparsity), mode, str(layers)]
        return count(cpu, [*program, "1"]) - count(cpu, [*program, "0"])

    return of_chain(3) - of_chain(2)


def page(cpu: str, records: Iterable[Mapping[str, Any]]) -> str:
    """The records as a page of Markdown."""
    rows = []
    for record in records:
        layer = Layer(*(record[field.name] for field in fields(Layer)))
        ratios = [f"{record['dense'] / record[mode]:.2f}" for mode in MODES]
        ideal = f"{1 / (1 - record['sparsity']):.2f}"
        row = [str(layer), f"{record['sparsity']:.0%}", f"{record['dense']:,}", *ratios, ideal]
        rows.append(row)
    table = markdown_table(["layer", "s", "dense instructions", *MODES, "1/(1-s)"], rows)
    return (
        f"# Instructions on an emulated {cpu}: instructions, not time\n\n"
        "Written by `python -m benchmarks.aarch64_instructions --write`, which explains the columns:\n"
        "executed instructions of one float32 layer without masks, and how many times fewer it\n"
        "executes with them. In `insert` the engine leaves a layer dense where it expects no gain from\n"
        f"skipping, and masking costs a little instead.\n\n{table}\n"
    )


def written(counted: Mapping[str, str]) -> list[dict[str, Any]]:
    """The records that the result file has of the same program on the same processor."""
    if not RESULT.is_file():
        return []
    content: dict[str, Any] = json.loads(RESULT.read_text())
    records: list[dict[str, Any]] = content.pop("layers")
    return records if content == counted else []


def main() -> int:
    """Count and print; returns the exit code."""
    args = arguments(__doc__, PROGRAM)
    counted = {"cpu": args.cpu, "program": hashlib.sha256(PROGRAM.read_bytes()).hexdigest()}
    records = written(counted) if args.write else []
    for layer in LAYERS:
        if any(record.items() >= asdict(layer).items() for record in records):
            continue
        print(f"{layer} ...", file=sys.stderr, flush=True)
        dense = instructions(args.cpu, layer, 0, "dense")
        for sparsity in SPARSITIES:
            masked = {mode: instructions(args.cpu, layer, sparsity, mode) for mode in MODES}
            records.append({**asdict(layer), "sparsity": sparsity, "dense": dense, **masked})
        if args.write:
            content = json.dumps({**counted, "layers": records}, indent=1) + "\n"
            write_atomically(RESULT, content.encode())
    text = page(args.cpu, records)
    print(text, end="")
    if args.write:
        write_atomically(RESULT.with_suffix(".md"), text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
