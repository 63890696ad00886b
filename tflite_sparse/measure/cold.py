"""Start-up cost of one variant, measured in a process of its own.

`python -m tflite_sparse.measure.cold RUNTIME MODE SKIP_ZEROS THREADS MODEL` prints one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tflite_sparse.errors import DelegateError
from tflite_sparse.inputs import random_inputs
from tflite_sparse.measure.compiled import find_bench_runtime
from tflite_sparse.measure.environment import peak_memory_mb, reset_peak_memory
from tflite_sparse.measure.variants import STOCK, load_variant, set_inputs
from tflite_sparse.runtime import Runtime, stock_for


@dataclass(frozen=True)
class Cold:
    """Start-up cost of one variant.

    Attributes:
        load_ms: from the bytes of the model to allocated tensors.
        first_ms: the first inference.
        memory_mb: the most memory that loading and one inference took, besides the model file's own bytes.
    """

    load_ms: float
    first_ms: float
    memory_mb: float


def measure_cold(
    runtime: Runtime, mode: str, content: bytes, threads: int, skip_zeros: str = "auto"
) -> Cold:
    """Load and run a model once in a new process; DelegateError if that process fails."""
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        # Named here, so that importing it there counts as start-up of no variant.
        named = (mode == STOCK and stock_for(runtime)) or runtime
        way = [named.name, mode, skip_zeros, str(threads), file.name]
        command = [sys.executable, "-m", __name__, *way]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise DelegateError(f"{mode} failed in a process of its own: {last}")
    return Cold(**json.loads(result.stdout.splitlines()[-1]))


def _main() -> None:
    runtime_name, mode, skip_zeros, threads, path = sys.argv[1:]
    runtime = find_bench_runtime(runtime_name)
    content = Path(path).read_bytes()
    before = reset_peak_memory()
    variant = load_variant(runtime, mode, content, int(threads), label=path, skip_zeros=skip_zeros)
    set_inputs(variant, random_inputs(variant.interpreter.get_input_details()))
    first_ms = variant.run_ms()
    print(json.dumps({"load_ms": variant.load_ms, "first_ms": first_ms,
                      "memory_mb": peak_memory_mb() - before}))  # fmt: skip


if __name__ == "__main__":
    _main()
