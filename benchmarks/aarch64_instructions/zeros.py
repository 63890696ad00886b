"""Executed Arm instructions of layers that skip zeros and of dense ones, counted under emulation.

    make native-aarch64-benchmarks emulator
    python -m benchmarks.aarch64_instructions.zeros            # print the table
    python -m benchmarks.aarch64_instructions.zeros --write    # into benchmarks/results

These are numbers of instructions, not times: emulation says nothing of time. They repeat exactly.
A layer runs once in native/benchmarks:zero_layers, alone: upstream's kernel, or ours, which finds the
zeros first. Each number is less that of the program without the layer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.aarch64_instructions.count import arguments, count
from benchmarks.engine.tables import markdown_table
from tflite_sparse.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "bazel-aarch64-bin" / "native" / "benchmarks" / "zero_layers"
RESULT = ROOT / "benchmarks" / "results" / "aarch64_zeros.json"
ZEROS = (0.5, 0.65, 0.8)
#: SIZExCHANNELSxOUTPUTSxKERNEL, as the program takes them, and what can be done with them.
LAYERS = {
    "28x16x16x3": ("lists", "spread"),
    "28x32x32x3": ("lists", "spread"),
    "14x64x64x3": ("lists", "spread"),
    "14x128x128x3": ("lists",),
    "14x96x576x1": ("lists",),
    "14x576x96x1": ("lists",),
    "7x256x256x1": ("lists",),
    "1x512x512x1": ("lists",),
}
#: Of all instructions, and of loads, by the start of their names.
KINDS = {"instructions": "", "loads": "ld"}


def counts(cpu: str, layer: str, zeros: float, form: str) -> dict[str, int]:
    """Of one run of a layer: "dense", "lists" or "spread", the number of each of KINDS."""

    def of(form: str, start_of_name: str) -> int:
        program = [str(PROGRAM), "--once", form, layer, str(zeros)]
        return count(cpu, program, start_of_name=start_of_name)

    return {kind: of(form, start) - of("none", start) for kind, start in KINDS.items()}


def page(cpu: str, records: Iterable[Mapping[str, Any]]) -> str:
    """The records as a page of Markdown."""
    rows = []
    for record in records:
        dense = record["dense"]
        row = [record["layer"], f"{record['zeros']:.0%}", f"{dense['instructions']:,}"]
        row.append(f"{dense['loads'] / dense['instructions']:.0%}")
        for form in ("lists", "spread"):
            if form in record:
                ours = record[form]
                row.append(f"{dense['instructions'] / ours['instructions']:.2f}")
                row.append(f"{ours['loads'] / ours['instructions']:.0%}")
            else:
                row += ["", ""]
        rows.append(row)
    headings = ["layer", "zeros", "dense instructions", "loads"]
    table = markdown_table([*headings, "lists", "loads", "spread", "loads"], rows)
    return (
        f"# Zeros on an emulated {cpu}: instructions, not time\n\n"
        "Written by `python -m benchmarks.aarch64_instructions.zeros --write`: executed instructions\n"
        "of one float32 layer (size x channels x outputs x kernel) in upstream's kernel, and how many\n"
        "times fewer it executes where zeros are skipped, finding them included, in the two forms of\n"
        "[the engine](../../docs/engine.md#zeros-found-at-run-time). `loads` are each form's share of\n"
        "loads; one of them may fill two registers.\n\n"
        f"{table}\n"
    )


def main() -> int:
    """Count and print; returns the exit code."""
    args = arguments(__doc__, PROGRAM)
    records: list[dict[str, Any]] = []
    for layer, forms in LAYERS.items():
        print(f"{layer} ...", file=sys.stderr, flush=True)
        dense = counts(args.cpu, layer, ZEROS[0], "dense")
        for zeros in ZEROS:
            ours = {form: counts(args.cpu, layer, zeros, form) for form in forms}
            records.append({"layer": layer, "zeros": zeros, "dense": dense, **ours})
    text = page(args.cpu, records)
    print(text, end="")
    if args.write:
        write_atomically(
            RESULT, (json.dumps({"cpu": args.cpu, "layers": records}, indent=1) + "\n").encode()
        )
        write_atomically(RESULT.with_suffix(".md"), text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
