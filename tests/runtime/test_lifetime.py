"""Many interpreters, made and dropped in several threads, neither crash nor grow."""

import threading
from pathlib import Path

import numpy as np

import tflite_sparse as ts
from tests.runtime.models import content, inputs, run

ROUNDS = 1000
THREADS = 4


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def in_threads(work, count, number):
    """Share `count` rounds of `work(count)` among a number of threads, and wait for them."""
    threads = [threading.Thread(target=work, args=(count // number,)) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_thousand_rounds_in_four_threads(runtime):
    model = content("face_detection_short_range-s50")
    first = ts.Interpreter(model_content=model, runtime=runtime)
    first.allocate_tensors()
    values = inputs(first)
    expected = run(first, values)
    failures = []

    def rounds(count):
        try:
            for number in range(count):
                options = {"num_threads": 1 + number % 2}
                with ts.Interpreter(model_content=model, runtime=runtime, **options) as interpreter:
                    interpreter.allocate_tensors()
                    for a, b in zip(expected, run(interpreter, values)):
                        if not np.array_equal(a, b):
                            failures.append(f"round {number} differs")
        except Exception as error:  # a thread's exception would be lost
            failures.append(repr(error))

    in_threads(rounds, ROUNDS // 5, THREADS)
    before = resident_mb()
    in_threads(rounds, ROUNDS - ROUNDS // 5, THREADS)
    grown = resident_mb() - before
    assert not failures, failures[:3]
    # One leaked copy of the weights a round would be 180 MB. An allocator's arenas, one a thread,
    # come and go by some 30 MB; over 5,000 rounds they stay where they are.
    assert grown < 60, f"{grown:.1f} MB more after {ROUNDS} rounds"
