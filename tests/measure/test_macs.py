"""Counted multiply-accumulates are those of the delegate's own report."""

import pytest

import tflite_sparse as ts
from tests.runtime.models import content
from tflite_sparse.measure.macs import count_macs
from tflite_sparse.runtime import find_runtime


@pytest.mark.parametrize(
    "name", ["face_landmark_fp32-s50", "face_landmark_int8-s50", "face_detection_short_range-s50"]
)
def test_macs_of_masked_layers_and_the_whole(name):
    model = content(name)
    total = count_macs(find_runtime(), model)
    report = ts.Interpreter(model_content=model).sparsity_report()
    masked = sum(layer.macs_dense for layer in report.layers)
    # All convolutions but the last few carry a mask, in all of these models.
    assert 0.9 * total < masked <= total
