"""One model in one interpreter, timed on request.

    python -m benchmarks.dense_parity.worker RUNTIME MODE THREADS MODEL

MODE is stock (the runtime's built-in delegate) or a sparsity mode of ours. For each line N on
standard input it runs the model once, then N times, and prints the N times in milliseconds as JSON.
"""

import json
import sys
from pathlib import Path

from tflite_sparse.inputs import random_inputs
from tflite_sparse.measure.variants import load_variant, set_inputs
from tflite_sparse.runtime import find_runtime


def main():
    runtime, mode, threads, path = sys.argv[1:]
    content = Path(path).read_bytes()
    variant = load_variant(find_runtime(runtime), mode, content, int(threads), label=path)
    set_inputs(variant, random_inputs(variant.interpreter.get_input_details()))
    for line in sys.stdin:
        variant.run_ms()
        print(json.dumps([variant.run_ms() for _ in range(int(line))]), flush=True)


if __name__ == "__main__":
    main()
