"""Under CompiledModel the delegate gives what it gives in an Interpreter, on real models."""

import numpy as np
import pytest

import tflite_sparse as ts
from tests.runtime.models import FLOAT, INT8, MASKED, MASKED_INT8, content, expected, inputs, run
from tflite_sparse.measure.compiled import CompiledInterpreter
from tflite_sparse.measure.variants import difference


def compare(name, values=None, reference=None, **options):
    """Outputs are bit for bit those of our Interpreter, and those of LiteRT's own XNNPACK."""
    model = content(name)
    compiled = CompiledInterpreter.ours(model, **options)
    values = values or inputs(compiled)
    found = run(compiled, values)
    report = compiled.sparsity_report()
    assert report.left == ()
    assert report.nodes_taken == report.nodes_total > 50
    assert any(output.min() < output.max() for output in found), "the outputs say nothing"
    with ts.Interpreter(model_content=model, runtime="ai-edge-litert", **options) as interpreter:
        interpreter.allocate_tensors()
        by_interpreter = run(interpreter, values)
        layers = interpreter.sparsity_report().layers
    assert len(found) == len(by_interpreter)
    for a, b in zip(found, by_interpreter):
        np.testing.assert_array_equal(a, b)
    assert report.layers == layers
    if reference is None:
        reference = run(CompiledInterpreter.stock(model, threads=1), values)
    worst, allowed = difference(reference, found)
    assert allowed, f"{name} {options}: outputs differ by {worst}"
    return report


@pytest.mark.parametrize("name", FLOAT)
def test_float_models(name):
    compare(name)


@pytest.mark.parametrize("name", INT8)
def test_int8_models(name):
    compare(name, *expected(name))


@pytest.mark.parametrize("mode", ["compact", "insert", "off"])
@pytest.mark.parametrize("name", MASKED)
def test_masked_models(name, mode):
    report = compare(name, mode=mode)
    assert report.mode == mode
    assert any(layer.accelerated for layer in report.layers) == (mode != "off")


@pytest.mark.parametrize("mode", ["compact", "insert", "off"])
@pytest.mark.parametrize("name", MASKED_INT8)
def test_masked_int8_models(name, mode):
    compare(name, *expected(name), mode=mode)


@pytest.mark.parametrize("skip_zeros", ["always", "never"])
@pytest.mark.parametrize("name", ["pose_detection", "face_detection_short_range-s50"])
def test_zeros(name, skip_zeros):
    report = compare(name, skip_zeros=skip_zeros)
    assert report.skip_zeros == skip_zeros
    forms = {layer.form for layer in report.zero_layers}
    assert ("zeros" in forms) == (skip_zeros == "always"), forms


def test_two_threads():
    for name in ("hand_landmark_lite", "face_landmark_fp32-s50"):
        assert compare(name, num_threads=2).num_threads == 2


def test_repeated_runs_on_changing_inputs():
    """A stale buffer would show when masked pixels must be zero again."""
    model = content("face_landmark_fp32-s50")
    compiled = CompiledInterpreter.ours(model)
    stock = CompiledInterpreter.stock(model, threads=1)
    for seed in range(5):
        values = inputs(compiled, seed)
        worst, allowed = difference(run(stock, values), run(compiled, values))
        assert allowed, f"run {seed}: outputs differ by {worst}"
