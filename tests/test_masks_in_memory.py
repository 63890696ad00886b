"""`Interpreter(masks=...)` is the model with the masks written into it."""

import numpy as np
import pytest

import tflite_sparse as ts
from tests.runtime.models import content, inputs, run
from tflite_sparse.measure.sweep import made_masks
from tools.make_models import made

NAME = "face_landmark_fp32"


@pytest.mark.parametrize("as_path", [True, False])
def test_masks_in_memory_equal_the_masked_file(as_path):
    sidecar = made(f"{NAME}-s50").with_suffix(".masks.npz")
    masks = sidecar if as_path else ts.MaskSet.load(sidecar)
    from_memory = ts.Interpreter(model_content=content(NAME), masks=masks)
    from_file = ts.Interpreter(model_content=content(f"{NAME}-s50"))
    values = None
    outputs = []
    for interpreter in (from_memory, from_file):
        interpreter.allocate_tensors()
        values = values or inputs(interpreter)
        outputs.append(run(interpreter, values))
    for a, b in zip(*outputs):
        np.testing.assert_array_equal(a, b)
    assert len(from_memory.sparsity_report().layers) == 43


def test_mask_of_another_size_is_refused():
    with pytest.raises(ts.MaskError, match="conv2d_1"):
        ts.Interpreter(model_content=content(NAME), masks={"conv2d_1": np.ones((3, 3), bool)})


@pytest.mark.parametrize("sparsity", [0.1, 0.9])
def test_strict_accepts_masks_whether_or_not_skipping_pays(sparsity):
    masks = made_masks(content(NAME), sparsity)
    interpreter = ts.Interpreter(model_content=content(NAME), masks=masks, strict=True)
    interpreter.allocate_tensors()
    report = interpreter.sparsity_report()
    assert len(report.layers) > 30
    assert all(layer.by_choice for layer in report.not_accelerated())
    assert bool(report.not_accelerated()) == (sparsity < 0.5)
