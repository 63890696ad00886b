"""A process may hold two TensorFlow Lites, this package's and another: each calls its own functions."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, os, sys
import numpy as np

flags, *order = sys.argv[1:]
from tflite_sparse import builtin_runtime
mode = getattr(os, flags) | os.RTLD_NOW
sys.setdlopenflags(mode)
for name in order:
    if name == "built-in":
        ctypes.CDLL(str(builtin_runtime.runtime_library()), mode)
    else:
        import ai_edge_litert.interpreter as litert

import tflite_sparse as ts
from tests.runtime.models import content, inputs, run
from tflite_sparse.measure.variants import difference

for model in map(content, ("face_landmark_fp32-s50", "face_landmark_int8-s50")):
    others = [
        litert.Interpreter(model_content=model),
        builtin_runtime.Interpreter(model_content=model),
        *(ts.Interpreter(model_content=model, runtime=name) for name in order),
    ]
    for interpreter in others:
        interpreter.allocate_tensors()
    for seed in range(2):
        values = inputs(others[0], seed)
        stock, *ours = (run(interpreter, values) for interpreter in others)
        for outputs in ours:
            assert difference(stock, outputs)[1]
            # One delegate, in its own library and in the runtime's: one result.
            for a, b in zip(ours[0], outputs):
                np.testing.assert_array_equal(a, b)
    reports = [interpreter.sparsity_report() for interpreter in others[2:]]
    assert all(report.left == () and report.layers for report in reports)
    # What one leaves behind, the other does not free.
    while others:
        others.pop(0)
        for interpreter in others:
            interpreter.invoke()
print("right")
"""


@pytest.mark.parametrize("flags", ["RTLD_LOCAL", "RTLD_GLOBAL"])
@pytest.mark.parametrize("order", [("built-in", "ai-edge-litert"), ("ai-edge-litert", "built-in")])
def test_both_are_right(order, flags):
    command = [sys.executable, "-c", PROGRAM, flags, *order]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    assert done.stdout.endswith("right\n")
