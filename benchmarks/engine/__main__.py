"""What the masks gain: whole networks and single layers, dense, insert, compact and ideal.

    python -m benchmarks.engine --networks mobilenetv2 --types float32 --sparsities 0.3,0.5
    python -m benchmarks.engine --write          # everything, into benchmarks/results

The networks are those of benchmarks/networks.py, with propagated random masks. `dense` is the
network without masks; `off` multiplies by the masks as the file says; `insert` and `compact` skip.
All four run in this project's delegate, so that nothing but the masks differs. Before anything is
timed, the outputs of `insert` and `compact` are checked to equal those of `off`, exactly.

Variants run in blocks, 2 inferences to settle and at least 5 that count, and the blocks are
interleaved in random order, round by round. Blocks, because the weights of eight loaded models do
not fit into the last-level cache together, while a user runs one model; interleaved, because what
disturbs the machine then disturbs all variants. Speed-ups are ratios of medians within one run,
with a 95% interval (moving-block bootstrap over the rounds). `ideal` is the ratio of the
multiply-accumulates of all convolutions, masked or not, without and with masks; `reached` is the
speed-up as a share of it. `threads' ratio` is the speed-up on more threads over that on the first
number of threads. `masks KB` is memory that exists for the masks alone, also as a share of the
dense arena.

Single layers are timed by the delegate's own profile, on one thread, in such blocks too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import networks
from benchmarks.engine.by_layer import Layers, measure_layers
from benchmarks.engine.case import RESIDUAL, Case
from benchmarks.engine.end_to_end import Row, measure_end_to_end
from benchmarks.engine.tables import end_to_end_table, layers_table, overview_table
from tflite_sparse.errors import TfliteSparseError
from tflite_sparse.files import write_atomically
from tflite_sparse.measure import environment
from tflite_sparse.runtime import Runtime, find_runtime

RESULTS = Path(__file__).resolve().parent.parent / "results"
_PARTS = ("end-to-end", "layers")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the arguments ask for; returns the exit code."""
    args = _parse(argv)
    runtime = find_runtime(None)
    emulated = environment.emulation()
    if emulated is not None:
        print(f"this is emulation ({emulated}): times would mean nothing", file=sys.stderr)
        return 1
    if args.cpu:
        environment.pin(args.cpu)
    records = []
    try:
        for case in _cases(args):
            record, text = _measure(case, args, runtime)
            records.append(record)
            if not args.json:
                print(text, flush=True)
            if args.write:
                _write(record, text)
    except TfliteSparseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(records, indent=1))
    return 0


def _cases(args: argparse.Namespace) -> Iterator[Case]:
    for network in args.networks:
        for dtype in args.types:
            for rule in args.rules:
                if rule == "paper" or network in RESIDUAL:
                    yield Case(network, dtype, rule)


def _measure(case: Case, args: argparse.Namespace, runtime: Runtime) -> tuple[dict[str, Any], str]:
    """All figures of one case: as a record for JSON, and as text."""
    before = environment.read_state()
    rows: list[Row] = []
    layers: list[Layers] = []
    for sparsity in args.sparsities:
        print(f"{case.name}, sparsity {sparsity:.0%} ...", file=sys.stderr, flush=True)
        if "end-to-end" in args.parts:
            rows += measure_end_to_end(case, sparsity, args.threads, args.rounds, runtime)
        if "layers" in args.parts:
            layers.append(measure_layers(case, sparsity, args.rounds, runtime))
    after = environment.read_state()
    machine = environment.describe_machine(runtime)
    warnings = environment.warnings(before, after)
    text = [f"## {case.name}", f"{machine.cpu}, {machine.cores} cores; {machine.runtime}"]
    text += [f"Warning: {warning}" for warning in warnings]
    if rows:
        text.append(end_to_end_table(rows))
    for of_sparsity in layers:
        text += [f"### Layers at {of_sparsity.sparsity:.0%}", layers_table(of_sparsity)]
    record = {
        "name": case.name,
        **asdict(case),
        "rounds": args.rounds,
        "machine": environment.as_dict(machine),
        "before": environment.as_dict(before),
        "after": environment.as_dict(after),
        "warnings": warnings,
        "end_to_end": [{**asdict(row), "reached": row.speed_up.value / row.ideal} for row in rows],
        "layers": [
            {
                **asdict(of_sparsity),
                "row_copy_share": {
                    name: of_sparsity.row_copy_share(name) for name in of_sparsity.total_us
                },
            }
            for of_sparsity in layers
        ],
    }
    return record, "\n\n".join(text) + "\n"


def _write(record: dict[str, Any], text: str) -> None:
    """Write one case's files, and the overview over all files that are there."""
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / f"engine-{record['name']}"
    write_atomically(stem.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(stem.with_suffix(".md"), text.encode())
    records = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("engine-*.json"))]
    overview = (
        "# The engine, end to end\n\nWritten by `python -m benchmarks.engine --write`, which "
        "explains the columns; one file per network\nbeside this one has all variants, intervals "
        f"and single layers.\n\n{overview_table(records)}\n"
    )
    write_atomically(RESULTS / "engine.md", overview.encode())


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = list(networks.NETWORKS)
    parser.add_argument("--networks", type=_some_of(names), default=names, metavar="N,N")
    types = ["float32", "int8"]
    parser.add_argument("--types", type=_some_of(types), default=types, metavar="T,T")
    parser.add_argument(
        "--rules",
        type=_some_of(networks.RULES),
        default=list(networks.RULES),
        metavar="R,R",
        help="which layers have masks, see benchmarks/networks.py; `all` is for the ResNets only",
    )
    parser.add_argument("--sparsities", type=_sparsities, default=[0, 0.05, 0.1, 0.3, 0.5],
                        metavar="S,S", help="default 0,0.05,0.1,0.3,0.5")  # fmt: skip
    parser.add_argument("--threads", type=_counts, default=[1, 2], metavar="N,N",
                        help="default 1,2")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=15, help="of blocks, default 15")
    parser.add_argument("--parts", type=_some_of(_PARTS), default=list(_PARTS), metavar="P,P",
                        help=f"of {', '.join(_PARTS)}")  # fmt: skip
    parser.add_argument("--cpu", type=_counts, metavar="N,N", help="stay on these cpus")
    parser.add_argument("--json", action="store_true", help="only JSON on standard output")
    parser.add_argument("--write", action="store_true", help=f"also write into {RESULTS.name}/")
    args = parser.parse_args(argv)
    if args.rounds < 1 or min(args.threads) < 1:
        parser.error("--rounds and --threads must be at least 1")
    return args


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = list(dict.fromkeys(text.split(",")))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"expected some of {', '.join(known)}, found {unknown[0]!r}"
            )
        return names

    return parse


def _sparsities(text: str) -> list[float]:
    shares = [float(part) for part in text.split(",")]
    if any(not 0 <= share < 1 for share in shares):
        raise argparse.ArgumentTypeError(f"expected shares of at least 0 and below 1, found {text}")
    return shares


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
