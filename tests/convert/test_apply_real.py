"""apply_masks on models that others made: MediaPipe's, float16 and float32 weights, and int8."""

import numpy as np
import pytest
from expectations import assert_masked, assert_skipped, kinds_of

import tflite_sparse as ts
from tflite_sparse import MaskSet, apply_masks
from tflite_sparse.convert.checking import Reference
from tflite_sparse.graph import ModelFile, View, choose_layers
from tflite_sparse.inspection import inspect_model
from tflite_sparse.masks import propagate_masks
from tools.fetch_models import fetched
from tools.make_models import made

MODELS = (
    "face_detection_short_range",
    "face_detection_back",
    "face_landmark",
    "face_landmark_fp32",
    "hand_landmark_lite",
    "iris_landmark_fp32",
    "palm_detection_lite",
    "pose_detection",
    "face_detection_full_range_sparse",
    "hand_recrop",
    "face_landmark_int8",
    "iris_landmark_int8",
)


def path_of(name):
    return made(name) if name.endswith("_int8") else fetched(name)


def masks_for(name, sparsity=0.3):
    file = ModelFile.read(path_of(name))
    view = View(file, 0)
    size = view.shape(int(view.graph.inputs[0]))[1:3]
    shapes = {layer.name: view.shape(layer.output)[1:3] for layer in choose_layers(file)}
    return propagate_masks(shapes, size, sparsity)


@pytest.mark.parametrize("name", MODELS)
def test_masked_pixels_are_zero_and_nothing_else_changed(name):
    masks = masks_for(name)
    content = apply_masks(path_of(name), masks)
    assert_masked(content, masks)
    dense = kinds_of(path_of(name).read_bytes())
    assert len(kinds_of(content)) == len(dense) + len(masks)


@pytest.mark.parametrize("name", MODELS)
def test_masks_that_keep_everything_change_no_number(name):
    masks = MaskSet({layer: np.ones_like(mask) for layer, mask in masks_for(name).items()})
    dense = Reference(path_of(name).read_bytes())
    inputs = dense.random_inputs()
    expected = dense.run(inputs)
    found = Reference(apply_masks(path_of(name), masks)).run(inputs)
    for before, after in zip(expected, found):
        assert np.array_equal(before, after)


@pytest.mark.parametrize("name", MODELS)
def test_the_delegate_takes_every_mask_as_inspect_says(name):
    masks = masks_for(name)
    content = apply_masks(path_of(name), masks)
    assert_skipped(content, masks)
    # Skipping does not pay in every layer: what inspect says is what the engine does.
    with ts.Interpreter(model_content=content) as interpreter:
        report = interpreter.sparsity_report()
    inspection = inspect_model(content)
    found = {layer.name: (layer.skips, layer.reason) for layer in inspection.layers if layer.masked}
    assert found == {row.layer: (row.accelerated, row.reason) for row in report.layers}
    totals = inspection.totals
    assert totals.macs_dense - totals.macs_kept == sum(
        row.macs_dense - row.macs_kept for row in report.layers
    )
