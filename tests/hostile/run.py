"""Load and run mutants of models, each batch in a process of its own: `python -m tests.hostile.run`.

Fails if a mutant ends the process that does not end the interpreter without our delegate too, or if
its results are neither those of the reference kernels nor those of the stock delegate (in 8 bits,
and with numbers far from 1, these two are not the same). With --sanitizer, a library built with
AddressSanitizer is loaded; then bad accesses that happen not to crash are found as well.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import tflite_sparse as ts
from tests.hostile.mutants import Mutants
from tflite_sparse import builtin_runtime, delegate

BATCH = 250
SECONDS = 120
GIGABYTES = 8


def infer(interpreter: object) -> list[np.ndarray]:
    """Outputs of one inference on the inputs as they are after allocation, set to ones."""
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        value = np.ones(detail["shape"], detail["dtype"])
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def plain(model: bytes) -> list[np.ndarray]:
    """What the interpreter computes by itself."""
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return infer(Interpreter(model_content=model, experimental_op_resolver_type=resolver))


def is_wrong(found: list[np.ndarray], right: list[np.ndarray], model: bytes) -> bool:
    """Whether neither the reference kernels nor the stock delegate give these results."""
    if not differs(found, right):
        return False
    try:
        return differs(found, infer(Interpreter(model_content=model)))
    except (ValueError, RuntimeError):
        return True


def differs(found: list[np.ndarray], right: list[np.ndarray]) -> bool:
    """Whether results are not the same, up to rounding.

    What is no number without the delegate may be one with it: a masked pixel is zero, while the
    interpreter multiplies by zero what may be infinite. Where an output says it is int64 and the
    inputs are not, TensorFlow Lite's kernels read beyond the inputs: no result is right.
    """
    for a, b in zip(found, right, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return True
        if a.dtype == np.float32:
            finite = np.isfinite(b)
            scale = np.max(np.abs(b), initial=1.0, where=finite)
            if not np.allclose(a[finite] / scale, b[finite] / scale, atol=1e-4):
                return True
        elif (
            a.dtype.kind in "iu"
            and a.dtype != np.int64
            and np.max(np.abs(a.astype(int) - b), initial=0) > 2
        ):
            return True
    return False


def work(first: int, count: int, runtime: str, is_plain: bool) -> None:
    """Run mutants and say on standard output how far it got."""
    mutants = Mutants()
    for number in range(first, first + count):
        model = mutants[number]
        print("begin", number, flush=True)
        signal.alarm(SECONDS)
        try:
            if is_plain:
                plain(model)
                continue
            if runtime == "built-in":
                # As programs in C run it, which have no check of the file's structure.
                infer(builtin_runtime.Interpreter(model_content=model))
                signal.alarm(SECONDS)
            interpreter = ts.Interpreter(model_content=model, runtime=runtime)
            found = infer(interpreter)
        except (ts.ModelError, ts.OptionError, ValueError, RuntimeError, MemoryError, TypeError):
            continue
        taken = interpreter.sparsity_report().nodes_taken
        print("ran", number, taken, flush=True)
        if taken:
            signal.alarm(SECONDS)
            try:
                if is_wrong(found, plain(model), model):
                    print("differs", number, flush=True)
            except (ValueError, RuntimeError, MemoryError, TypeError):
                print("more", number, flush=True)


def child(
    first: int, count: int, runtime: str, is_plain: bool, library: Path | None
) -> tuple[str, int]:
    """Output of a process that runs mutants, and how it ended."""
    environment = dict(os.environ)
    if library is not None:
        preloaded = subprocess.run(
            ["clang-19", "-print-file-name=libclang_rt.asan-x86_64.so"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        loaded = builtin_runtime if runtime == "built-in" else delegate
        environment |= {
            "LD_PRELOAD": preloaded,
            loaded.LIBRARY_VARIABLE: str(library),
            "ASAN_OPTIONS": "abort_on_error=1:handle_abort=1:detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=2000",
        }
    numbers = ["--work", str(first), str(count)]
    command = [sys.executable, "-m", "tests.hostile.run", "--runtime", runtime, *numbers]
    if is_plain:
        command.append("--plain")

    def limit() -> None:
        # AddressSanitizer reserves terabytes of addresses, and has a limit of its own.
        if library is None:
            resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))

    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, preexec_fn=limit, check=False
    )
    if done.returncode > 0:
        raise RuntimeError(done.stderr)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        about = [line for line in lines if "ERROR" in line or line.startswith("    #")][:6]
        print("\n".join(about or lines[-3:]), file=sys.stderr)
    return done.stdout, done.returncode


def run(
    first: int, count: int, runtime: str = "ai-edge-litert", library: Path | None = None
) -> dict[str, list[int]]:
    """Numbers of the mutants by what became of them.

    ran: through our delegate; crashed: and not without it; wrong: results differ; more: ran with our
    delegate alone, or is too large to compare; theirs: the stock interpreter ends on it;
    unrepeatable: not in a process of its own, so that an earlier one has left memory damaged.
    """
    names = ("ran", "crashed", "wrong", "more", "theirs", "unrepeatable")
    found: dict[str, list[int]] = {name: [] for name in names}
    number, end = first, first + count
    while number < end:
        output, code = child(number, min(BATCH, end - number), runtime, False, library)
        last = number - 1
        for line in output.splitlines():
            word, value, *rest = line.split()
            last = int(value)
            if word == "ran" and rest != ["0"]:
                found["ran"].append(last)
            elif word in ("differs", "more"):
                found["wrong" if word == "differs" else "more"].append(last)
        number = last + 1
        if code:
            again, repeated = child(last, 1, runtime, False, library)
            kind = "crashed"
            if not repeated:
                kind = "unrepeatable"
            # The runtime built-in is ours: its own crashes are no excuse.
            elif runtime != "built-in" or "ran" in again:
                kind = "theirs" if child(last, 1, runtime, True, library)[1] else "crashed"
            found[kind].append(last)
    return found


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument(
        "--runtime", choices=("ai-edge-litert", "built-in"), default="ai-edge-litert"
    )
    parser.add_argument("--sanitizer", type=Path, help="library built with AddressSanitizer")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work, arguments.runtime, arguments.plain)
        return 0
    found = run(arguments.first, arguments.count, arguments.runtime, arguments.sanitizer)
    for name, numbers in found.items():
        print(f"{name}: {len(numbers)}", numbers if name not in ("ran", "more") else "")
    return 1 if found["crashed"] or found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
