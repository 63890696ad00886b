"""Our delegate and the runtime's own agree, on real models."""

import numpy as np
import pytest

import tflite_sparse as ts
from tests.runtime.models import FLOAT, INT8, MASKED, content, inputs, run
from tflite_sparse.measure.variants import difference


def compare(runtime, stock, name, **options):
    model = content(name)
    reference = stock(model)
    with ts.Interpreter(model_content=model, runtime=runtime, **options) as ours:
        ours.allocate_tensors()
        values = inputs(reference)
        expected, found = run(reference, values), run(ours, values)
        worst, allowed = difference(expected, found)
        report = ours.sparsity_report()
    assert report.left == ()
    assert report.nodes_taken == report.nodes_total > 50
    assert allowed, f"{name} {options}: outputs differ by {worst}"
    return expected


@pytest.mark.parametrize("name", FLOAT)
def test_float_models_equal_the_built_in_delegate(runtime, stock, name):
    expected = compare(runtime, stock, name)
    assert any(np.ptp(output) > 0 for output in expected), "the outputs say nothing"


@pytest.mark.parametrize("name", INT8)
def test_int8_models_equal_the_built_in_delegate(runtime, stock, name):
    compare(runtime, stock, name)


@pytest.mark.parametrize("sparsity", ["compact", "insert", "off"])
@pytest.mark.parametrize("name", MASKED)
def test_masked_models_equal_the_built_in_delegate(runtime, stock, name, sparsity):
    compare(runtime, stock, name, sparsity=sparsity)


def test_two_threads_give_the_same(runtime, stock):
    compare(runtime, stock, "hand_landmark_lite", num_threads=2)
    compare(runtime, stock, "face_landmark_fp32-s50", num_threads=2)


def test_repeated_runs_on_changing_inputs(runtime, stock):
    """A stale buffer would show when masked pixels must be zero again."""
    model = content("face_landmark_fp32-s50")
    reference = stock(model)
    with ts.Interpreter(model_content=model, runtime=runtime) as ours:
        ours.allocate_tensors()
        for seed in range(5):
            values = inputs(reference, seed)
            worst, allowed = difference(run(reference, values), run(ours, values))
            assert allowed, f"run {seed}: outputs differ by {worst}"
