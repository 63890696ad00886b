"""Models, environments and buffers go in any order, and many compilations do not grow."""

import itertools
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tflite_sparse as ts
from tests.runtime.models import content, inputs, run
from tests.runtime.test_lifetime import in_threads, resident_mb
from tflite_sparse.measure.compiled import CompiledInterpreter
from tools.make_models import made

MASKED = "face_detection_short_range-s50"
THREADS = 2

# What closes first may be used by what closes later; a crash would end the process.
PROGRAM = """
import gc, sys
import numpy as np
import tflite_sparse as ts

path, *orders = sys.argv[1:]
for order in orders:
    environment = ts.litert_environment()
    model = ts.compile_model(path, environment=environment)
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    inputs[0].write(np.ones((1, 128, 128, 3), np.float32))
    model.run_by_index(0, inputs, outputs)
    expected = outputs[0].read(896 * 16, np.float32)
    assert np.ptp(expected) > 0
    for what in order.split(","):
        if what == "model":
            model.close()
        elif what == "environment":
            environment.close()
        elif what == "buffers":
            for buffer in (*inputs, *outputs):
                buffer.destroy()
            inputs = outputs = None
        gc.collect()
        if outputs:
            if "model" != what and model._compiled is not None:
                model.run_by_index(0, inputs, outputs)
            assert np.array_equal(outputs[0].read(896 * 16, np.float32), expected)
print("all", len(orders))
# Python ends with a model that is still open.
model = ts.compile_model(path)
"""


@pytest.mark.parametrize("by", ["closing", "dropping"])
def test_closing_in_any_order(by):
    program = PROGRAM
    if by == "dropping":
        program = program.replace("model.close()", "del model; model = None")
        program = program.replace("environment.close()", "environment = None")
        program = program.replace("buffer.destroy()", "pass")
        program = program.replace("model._compiled is not None", "model is not None")
    orders = [
        ",".join(order) for order in itertools.permutations(("model", "environment", "buffers"))
    ]
    command = [sys.executable, "-c", program, str(made(MASKED)), *orders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-500:]}"
    assert done.stdout.split() == ["all", "6"]


def test_a_hundred_compilations_do_not_grow():
    model = content(MASKED)
    first = CompiledInterpreter.ours(model)
    values = inputs(first)
    expected = run(first, values)
    failures = []

    def rounds(count):
        try:
            for number in range(count):
                with ts.compile_model(model_content=model, num_threads=1 + number % 2) as compiled:
                    for a, b in zip(expected, run(CompiledInterpreter(compiled), values)):
                        if not np.array_equal(a, b):
                            failures.append(f"round {number} differs")
        except Exception as error:  # a thread's exception would be lost
            failures.append(repr(error))

    in_threads(rounds, 50, THREADS)
    before = resident_mb()
    in_threads(rounds, 100, THREADS)
    grown = resident_mb() - before
    assert not failures, failures[:3]
    # What one leaked copy of the weights a compilation would be; threads fragment some memory too.
    leak = 100 * THREADS * len(model) / 2**20
    assert grown < leak / 2, (
        f"{grown:.1f} MB more after 100 compilations a thread; a leak: {leak:.0f}"
    )
    assert Path("/proc/self/maps").read_text().count("libtflite_sparse_delegate.so") < 20


def test_a_model_outlives_the_thread_that_compiled_it():
    made_there = []
    thread = threading.Thread(
        target=lambda: made_there.append(ts.compile_model(made(MASKED), num_threads=2))
    )
    thread.start()
    thread.join()
    (model,) = made_there
    values = inputs(CompiledInterpreter(model))
    here = CompiledInterpreter.ours(content(MASKED))
    for a, b in zip(run(CompiledInterpreter(model), values), run(here, values)):
        np.testing.assert_array_equal(a, b)
    assert model.sparsity_report().num_threads == 2
