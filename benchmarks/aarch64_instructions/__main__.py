"""Executed Arm instructions of one masked layer beside the dense one, counted under emulation.

    make native-aarch64-benchmarks emulator
    python -m benchmarks.aarch64_instructions            # print the table, about ten minutes
    python -m benchmarks.aarch64_instructions --write    # into benchmarks/results

These are numbers of instructions, not times: emulation says nothing of time. They repeat exactly.
The layer stands in a chain of equal layers with equal random masks, as in a network, so that its
input is in the form that the engine gives it; the number is that of a chain of three less that of a
chain of two, each less its preparation, so that neither that nor the ends of the chain count. A 1x1 layer is a pair, expansion and projection, as MobileNetV2 has them. `dense` has no
masks. A `compact` or `insert` figure is dense instructions / masked instructions; `1/(1-s)` is what
skipping the masked outputs, and nothing else, would give.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.aarch64_instructions.count import count
from tflite_sparse.files import write_atomically
from tflite_sparse.table import format_table
from tools import emulator

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "bazel-aarch64-bin" / "native" / "benchmarks" / "masked_chain"
RESULT = ROOT / "benchmarks" / "results" / "aarch64_instructions.json"
SPARSITIES = (0.3, 0.5)


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
    Layer("ResNet-18", "square", 56, 64),
    Layer("ResNet-18", "square", 14, 256),
    Layer("MobileNetV2", "pointwise", 28, 32, 192),
    Layer("MobileNetV2", "pointwise", 14, 96, 576),
    Layer("MobileNetV2", "depthwise", 56, 144),
    Layer("MobileNetV2", "depthwise", 28, 192),
    Layer("MobileNetV2", "depthwise", 14, 576),
)


def instructions(cpu: str, layer: Layer, sparsity: float, mode: str) -> int:
    """Instructions of one inference of one layer in the middle of a chain."""

    def of_chain(layers: int) -> int:
        program = [str(PROGRAM), layer.kind, str(layer.size), str(layer.channels), str(layer.other)]
        program += [str(sparsity), mode, str(layers)]
        return count(cpu, [*program, "1"]) - count(cpu, [*program, "0"])

    return of_chain(3) - of_chain(2)


def main() -> int:
    """Count and print; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cpu", choices=emulator.BOARDS, default="cortex-a72")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/results")
    args = parser.parse_args()
    if not PROGRAM.is_file():
        print(f"error: expected {PROGRAM}; run `make native-aarch64-benchmarks`", file=sys.stderr)
        return 1
    emulator.make()
    rows, records = [], []
    for layer in LAYERS:
        dense = instructions(args.cpu, layer, 0, "dense")
        for sparsity in SPARSITIES:
            masked = {m: instructions(args.cpu, layer, sparsity, m) for m in ("insert", "compact")}
            ratios = [f"{dense / masked[mode]:.2f}" for mode in masked]
            ideal = f"{1 / (1 - sparsity):.2f}"
            rows.append([str(layer), f"{sparsity:.0%}", f"{dense:,}", *ratios, ideal])
            records.append({**asdict(layer), "sparsity": sparsity, "dense": dense, **masked})
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    header = ["layer", "s", "dense instructions", "insert", "compact", "1/(1-s)"]
    table = format_table(header, rows)
    print(table)
    if args.write:
        record = json.dumps({"cpu": args.cpu, "layers": records}, indent=1) + "\n"
        write_atomically(RESULT, record.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
