"""What every converted model must show."""

import numpy as np

import tflite_sparse as ts
from tflite_sparse.convert.checking import Reference, check_masked_pixels
from tflite_sparse.graph import ModelFile, View, find_layers
from tflite_sparse.masks import propagate_masks


def kinds_of(content):
    view = View(ModelFile.read(content), 0)
    return [view.op_kind(op) for op in range(len(view.ops))]


def masks_in(content):
    """The masks of a file by layer name."""
    return {
        layer.name: layer.multiply.mask
        for layer in find_layers(ModelFile.read(content))
        if layer.multiply is not None
    }


def assert_masked(content, masks):
    """Each mask behind its layer and nothing else masked; masked pixels zero, others untouched."""
    found = masks_in(content)
    assert found.keys() == masks.keys()
    for name, mask in masks.items():
        assert np.array_equal(found[name], mask), name
    assert check_masked_pixels(content) == len(masks)


def assert_skipped(content, masks):
    """This project's delegate understands every mask, and gives the numbers of multiplying by them.

    Float numbers are the stock interpreter's. 8-bit kernels of the stock interpreter round in
    another way, so there the delegate is held to its own dense form, bit by bit.
    """
    reference = Reference(content)
    inputs = reference.random_inputs()
    sparse = ts.Interpreter(model_content=content)
    found = _run(sparse, inputs)
    report = sparse.sparsity_report()
    # Small layers may run dense because skipping would cost more: the engine's choice, which it
    # makes only for masks that it has understood.
    assert {
        layer.reason for layer in report.not_accelerated() if " costs: " not in layer.reason
    } == set()
    assert {layer.layer for layer in report.layers} == set(masks)
    if _is_quantised(content):
        expected = _run(ts.Interpreter(model_content=content, mode="off"), inputs)
        tolerance = 0.0
    else:
        expected, tolerance = reference.run(inputs), 1e-3
    for value, other in zip(found, expected):
        atol = tolerance * max(float(np.abs(other).max()), 1e-6)
        np.testing.assert_allclose(value, other, rtol=0, atol=atol)


def _is_quantised(content):
    file = ModelFile.read(content)
    return any(View(file, 0).dtype(layer.output) != "FLOAT32" for layer in find_layers(file))


def _run(interpreter, inputs):
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    details = interpreter.get_output_details()
    return [interpreter.get_tensor(detail["index"]) for detail in details]


def masks_for(shapes, size, sparsity=0.3, seed=0):
    """Propagated masks for layers by name."""
    return propagate_masks(shapes, size, sparsity, seed)
