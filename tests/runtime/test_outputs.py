"""Our delegate and the runtime's own agree, on real models."""

import numpy as np
import pytest

import tflite_sparse as ts
from tests.runtime.models import FLOAT, INT8, MASKED, MASKED_INT8, content, expected, inputs, run
from tflite_sparse.measure.variants import difference


def check(runtime, name, values, expected, **options):
    """Our outputs for `values` are the expected ones, and all nodes were taken."""
    with ts.Interpreter(model_content=content(name), runtime=runtime, **options) as ours:
        ours.allocate_tensors()
        worst, allowed = difference(expected, run(ours, values))
        report = ours.sparsity_report()
    assert report.left == ()
    assert report.nodes_taken == report.nodes_total > 50
    assert allowed, f"{name} {options}: outputs differ by {worst}"


def compare(runtime, stock, name, **options):
    """Our outputs are those of the runtime's built-in delegate."""
    reference = stock(content(name))
    values = inputs(reference)
    expected = run(reference, values)
    assert any(np.ptp(output) > 0 for output in expected), "the outputs say nothing"
    check(runtime, name, values, expected, **options)


@pytest.mark.parametrize("name", FLOAT)
def test_float_models_equal_the_built_in_delegate(runtime, stock, name):
    compare(runtime, stock, name)


@pytest.mark.parametrize("name", INT8)
def test_int8_models_equal_a_built_in_delegate(runtime, name):
    check(runtime, name, *expected(name))


@pytest.mark.parametrize("mode", ["compact", "insert", "off"])
@pytest.mark.parametrize("name", MASKED_INT8)
def test_masked_int8_models_equal_a_built_in_delegate(runtime, name, mode):
    check(runtime, name, *expected(name), mode=mode)


@pytest.mark.parametrize("mode", ["compact", "insert", "off"])
@pytest.mark.parametrize("name", MASKED)
def test_masked_models_equal_the_built_in_delegate(runtime, stock, name, mode):
    compare(runtime, stock, name, mode=mode)


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
