"""`tflite-sparse bench`: the latency of models compared with the stock runtime."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tflite_sparse.cli.input_arguments import SCALING_HELP, add_input_arguments, scaling
from tflite_sparse.cli.json_output import print_json
from tflite_sparse.cli.lists import add_input_size, add_pattern, numbers, words
from tflite_sparse.errors import DelegateError, OptionError
from tflite_sparse.figures import require_matplotlib
from tflite_sparse.files import write_atomically
from tflite_sparse.inputs import Scaling, read_samples
from tflite_sparse.measure import environment
from tflite_sparse.measure.case import Result, Settings, Task, measure_task
from tflite_sparse.measure.compiled import COMPILED, find_bench_runtime
from tflite_sparse.measure.plot import plot_speed_up
from tflite_sparse.measure.variants import MODES, SKIPS, STOCK, Arrays
from tflite_sparse.progress import Progress
from tflite_sparse.runtime import RUNTIME_NAMES, stock_for
from tflite_sparse.table import format_table
from tflite_sparse.verify import verify_model

_EPILOG = f"""\
examples:
  tflite-sparse bench masked.tflite
  tflite-sparse bench model.tflite --sweep 0,0.1,0.2,0.3,0.4,0.5 --plot speedup.png
  tflite-sparse bench masked.tflite --against model.tflite --threads 1,2,4 --cpu 0-3 --json

Variants are timed in interleaved rounds on the same input, after it was checked that they give the
same outputs. With several samples (a folder, or an array with more than one along its first axis) each
round takes the next, and median, p10 and p90 are over the samples. Speed-ups carry a 95% interval (block bootstrap over the rounds). `ideal` is
1 / (1 - share of multiply-accumulates masked), `reached` the speed-up as a share of it.

{SCALING_HELP}

exit codes: 0 done; 1 outputs differ, or the figures would mean nothing (emulation); 2 bad usage or
bad input; 130 interrupted, nothing written
"""


def add_parser(subparsers: Any) -> None:
    """Add `bench` to the command line."""
    parser = subparsers.add_parser(
        "bench",
        help="measure the latency of models with masks",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help=".tflite files")
    parser.add_argument("--threads", type=_threads, default=[1], metavar="N,N", help="default 1")
    parser.add_argument(
        "--sweep",
        type=_shares,
        metavar="S,S",
        help="put made-up masks of each sparsity on the model",
    )
    add_pattern(parser)
    add_input_size(parser)
    parser.add_argument(
        "--mode",
        type=_modes,
        default=list(MODES),
        metavar="M,M",
        help=f"modes to measure: {', '.join(MODES)} (default all; the first for a model without masks)",
    )
    parser.add_argument(
        "--skip-zeros",
        type=_skips,
        default=["auto", "never"],
        metavar="Z,Z",
        help=f"what to do about zeros, for each mode: {', '.join(SKIPS)} (default auto,never)",
    )
    parser.add_argument(
        "--against",
        default=STOCK,
        metavar="WHAT",
        help="what speed-ups are relative to: stock (a stock runtime's own delegate), off (ours, "
        "skipping nothing), or a .tflite file that the stock runtime runs. With --sweep it runs "
        "the model without masks. Default stock",
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="per table, default 10")
    parser.add_argument("--rounds", type=int, help="rounds per table, instead of --seconds")
    parser.add_argument("--warmup", type=int, default=3, help="inferences first, default 3")
    add_input_arguments(
        parser,
        required=False,
        what="picture, folder of pictures, or .npy file; default: random numbers",
    )
    parser.add_argument("--seed", type=int, default=0, help="of masks, input and order, default 0")
    parser.add_argument("--cpu", type=_cpus, metavar="N,N-N", help="stay on these cpus")
    parser.add_argument(
        "--runtime",
        choices=(*RUNTIME_NAMES, COMPILED),
        help=f"default: the first installed; {COMPILED} is ai-edge-litert's CompiledModel",
    )
    parser.add_argument("--profile", action="store_true", help="also print time per operation")
    parser.add_argument(
        "--no-cold", action="store_true", help="leave out load time, first inference and memory"
    )
    parser.add_argument("--json", action="store_true", help="only JSON on standard output")
    parser.add_argument("--csv", type=Path, metavar="F.csv", help="write the rows to a file")
    parser.add_argument("--plot", type=Path, metavar="F.png", help="draw speed-up over sparsity")


def run(args: argparse.Namespace) -> int:
    """Measure; returns the exit code."""
    settings = _settings(args)
    _check_files(args)
    tasks = list(_tasks(args))
    if args.cpu:
        _pin(args.cpu)
    emulated = environment.emulation()
    machine = environment.describe_machine(settings.runtime)
    before = environment.read_state()
    results = []
    for number, task in enumerate(tasks, 1):
        with Progress().step(f"[{number}/{len(tasks)}] {_title(task)}") as progress:
            result = measure_task(task, settings, timing=emulated is None, progress=progress)
        if result:
            results.append(result)
            if not args.json:
                print(_table(result), flush=True)
    if emulated is not None:
        raise DelegateError(
            f"all variants give the same outputs, but this is emulation ({emulated}): times would "
            "mean nothing, so none were taken; run it on the real machine"
        )
    after = environment.read_state()
    doubts = environment.warnings(before, after)
    doubts += [doubt for result in results for doubt in result.doubts]
    if args.csv:
        write_atomically(args.csv, _csv(results).encode())
    if args.plot:
        write_atomically(args.plot, plot_speed_up(results))
    record = {
        "machine": environment.as_dict(machine),
        "before": environment.as_dict(before),
        "after": environment.as_dict(after),
        "cpus": args.cpu,
        "warnings": doubts,
        "results": [result.to_dict() for result in results],
    }
    if args.json:
        print_json(record)
    else:
        print(_machine_lines(record["machine"], record["after"]))
    for doubt in doubts:
        print(f"warning: {doubt}", file=sys.stderr)
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    if not args.seconds > 0:
        raise OptionError(f"--seconds: expected a positive number, found {args.seconds}")
    for name, least in (("rounds", 1), ("warmup", 0), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise OptionError(f"--{name}: expected at least {least}, found {value}")
    runtime = find_bench_runtime(args.runtime)
    # Speed-ups over ours alone are had without a stock runtime.
    has_stock = args.against != "off" or stock_for(runtime) is not None
    return Settings(
        runtime=runtime,
        modes=(*args.mode, STOCK) if has_stock else tuple(args.mode),
        warmup=args.warmup,
        seconds=args.seconds,
        rounds=args.rounds,
        seed=args.seed,
        profile=args.profile,
        cold=not args.no_cold,
        skip_zeros=tuple(args.skip_zeros),
    )


def _check_files(args: argparse.Namespace) -> None:
    """Refuse files that could not be written: before measuring, not after."""
    if args.plot:
        require_matplotlib()
        if args.plot.suffix.lower() != ".png":
            raise OptionError(f"--plot: expected a name ending in .png, found {args.plot}")
    for path in (args.csv, args.plot):
        if path and not path.parent.is_dir():
            raise OptionError(
                f"cannot write {path}: expected {path.parent} to be a folder; make it"
            )


def _tasks(args: argparse.Namespace) -> Iterator[Task]:
    against, other, reference_label = args.against, None, ""
    if against not in (STOCK, "off"):
        if not Path(against).is_file():
            raise OptionError(f"--against: expected stock, off or a .tflite file, found {against}")
        other = _read(Path(against))
        against, reference_label = STOCK, against
    fed: dict[str, Any] = {"reference_label": reference_label, "source": str(args.input)}
    for path in map(Path, args.models):
        content = _read(path)
        if args.input:
            fed["samples"] = _samples(args.input, str(path), scaling(args))
        for threads in args.threads:
            if args.sweep is None:
                yield Task(str(path), content, threads, None, against, other, **fed)
                continue
            from tflite_sparse.measure.sweep import masked

            for sparsity in args.sweep:
                model = masked(
                    *(path, sparsity, args.seed), pattern=args.pattern, input_size=args.input_size
                )
                reference = other or (content if sparsity else None)
                yield Task(str(path), model, threads, sparsity, against, reference, **fed)


def _samples(
    source: Path, model: str, scaled: Scaling
) -> Callable[[list[dict[str, Any]]], list[Arrays]]:
    return lambda details: [[value] for value in read_samples(source, details, model, scaled)]


def _read(path: Path) -> bytes:
    """A model, checked before anything is measured."""
    content = path.read_bytes()
    verify_model(content, str(path))
    return content


def _pin(cpus: list[int]) -> None:
    try:
        environment.pin(cpus)
    except ValueError as error:
        raise OptionError(f"--cpu: {error}") from error


def _title(task: Task) -> str:
    threads = "1 thread" if task.threads == 1 else f"{task.threads} threads"
    sparsity = "" if task.sparsity is None else f", sparsity {task.sparsity:.0%}"
    return f"{task.label}{sparsity}, {threads}"


def _table(result: Result) -> str:
    against = result.task.reference_label or "the model without masks"
    reference = f"; reference: {against} on {result.task.against}" if result.task.reference else ""
    rows = []
    for row in result.rows:
        ratio = row.speed_up
        cold = row.cold
        rows.append(
            (
                row.name,
                f"{row.latency.median:.3f}",
                f"{row.latency.p10:.3f}",
                f"{row.latency.p90:.3f}",
                f"{row.latency.mean:.3f}",
                f"{ratio:.3f}",
                f"{ratio.value / result.ideal:.0%}",
                f"{cold.load_ms:.1f}" if cold else None,
                f"{cold.first_ms:.1f}" if cold else None,
                f"{cold.memory_mb:.1f}" if cold else None,
            )
        )
    headers = ("variant", "median ms", "p10", "p90", "mean", "speed-up", "reached", "load ms",
               "first ms", "memory MB")  # fmt: skip
    skipped = sum(layer.accelerated for layer in result.report.layers)
    zeros = sum(layer.form == "zeros" for layer in result.report.zero_layers)
    samples = "1 sample" if result.samples == 1 else f"{result.samples} samples"
    lines = [
        f"\n{_title(result.task)}",
        f"{result.mac_sparsity:.1%} of {result.macs / 1e6:.1f} M multiply-accumulates masked: ideal "
        f"speed-up {result.ideal:.2f}; {skipped} of {len(result.report.layers)} masked layers "
        f"skip; zeros skipped in {zeros} of {len(result.report.zero_layers)} layers; "
        f"{result.rounds} rounds{reference}",
        f"input: {result.input}, {samples}",
        format_table(headers, rows),
    ]
    if result.profile:
        lines += ["", str(result.profile)]
    return "\n".join(lines)


def _machine_lines(machine: dict[str, Any], after: dict[str, Any]) -> str:
    state = ", ".join(
        part
        for part in (
            f"governor {after['governor']}" if after["governor"] else "",
            f"{max(after['frequency_mhz']):.0f} MHz" if after["frequency_mhz"] else "",
            f"{after['temperature_c']:.0f} degrees C" if after["temperature_c"] else "",
            f"load {after['load']:.1f}",
        )
        if part
    )
    return (
        f"\n{machine['cpu']} ({machine['board']}), {machine['cores']} cores, {state}\n"
        f"{machine['runtime']}, tflite-sparse {machine['tflite_sparse']}, "
        f"Python {machine['python']}, Linux {machine['kernel']} {machine['architecture']}"
    )


def _csv(results: list[Result]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        (
            "model",
            "sparsity",
            "threads",
            "mac_sparsity",
            "ideal",
            "input",
            "samples",
            "variant",
            "median_ms",
            "p10_ms",
            "p90_ms",
            "mean_ms",
            "speed_up",
            "speed_up_low",
            "speed_up_high",
            "load_ms",
            "first_ms",
            "memory_mb",
        )
    )
    for result in results:
        for row in result.rows:
            cold = asdict(row.cold) if row.cold else {}
            writer.writerow(
                (
                    result.task.label,
                    result.task.sparsity,
                    result.task.threads,
                    result.mac_sparsity,
                    result.ideal,
                    result.input,
                    result.samples,
                    row.name,
                    row.latency.median,
                    row.latency.p10,
                    row.latency.p90,
                    row.latency.mean,
                    row.speed_up.value,
                    row.speed_up.low,
                    row.speed_up.high,
                    *cold.values(),
                )
            )
    return file.getvalue()


def _threads(text: str) -> list[int]:
    return numbers(text, int, "numbers from 1 to 1024", lambda number: 1 <= number <= 1024)


def _shares(text: str) -> list[float]:
    return numbers(text, float, "shares of at least 0 and below 1", lambda share: 0 <= share < 1)


def _modes(text: str) -> list[str]:
    return _some_of(MODES, text)


def _skips(text: str) -> list[str]:
    return _some_of(SKIPS, text)


def _some_of(known: Sequence[str], text: str) -> list[str]:
    found = words(text)
    if any(word not in known for word in found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(known)}, found {text}")
    return found


def _cpus(text: str) -> list[int]:
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise argparse.ArgumentTypeError(f"expected cpus like 0,2-3, found {text}")
        cpus.update(range(int(first), int(last or first) + 1))
    if not cpus:
        raise argparse.ArgumentTypeError(f"expected cpus like 0,2-3, found {text}")
    return sorted(cpus)
