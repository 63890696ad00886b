"""Train, take the masks, convert, run: the trainer's numbers in every mode of the engine."""

import numpy as np
import pytest
import torch
from training_networks import SHAPES, SIZE, Residual, bars, keras_residual, logits, train

import tflite_sparse as ts
from tflite_sparse.errors import MaskError
from tflite_sparse.graph import ModelFile, find_layers

IMAGES = bars(32, seed=2)[0]


def masks_in(content):
    return {
        layer.name: layer.multiply.mask
        for layer in find_layers(ModelFile.read(content))
        if layer.multiply is not None
    }


def run(content, images, **options):
    interpreter = ts.Interpreter(model_content=content, **options)
    interpreter.allocate_tensors()
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for image in images.transpose(0, 2, 3, 1):
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"])[0].copy())
    return np.array(outputs), interpreter.sparsity_report()


def assert_the_trainers_numbers(content, expected):
    """Single precision sums in another order: 1e-4 of the largest logit."""
    for mode in ("off", "insert", "compact"):
        found, report = run(content, IMAGES, mode=mode)
        assert len(report.layers) == len(SHAPES)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
        assert (found.argmax(1) == expected.argmax(1)).all()


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Residual()
    sparsifier = ts_torch(model)
    train(model, sparsifier, 60)
    return model, sparsifier


def ts_torch(model):
    from tflite_sparse.torch import ActivationSparsifier

    return ActivationSparsifier(model, SIZE, 0.4, 60)


def test_pytorch(trained, tmp_path):
    """Converted as it is, and by a sidecar from a plain model: the same masks and numbers."""
    model, sparsifier = trained
    example = (torch.from_numpy(IMAGES[:1]),)
    expected = logits(model, IMAGES)
    masks = sparsifier.masks()
    content = ts.convert_torch(model, example, progress=False)
    assert masks_in(content).keys() == SHAPES.keys()
    assert all(np.array_equal(mask, masks[name]) for name, mask in masks_in(content).items())
    assert_the_trainers_numbers(content, expected)
    np.testing.assert_array_equal(logits(model, IMAGES), expected)  # its masks are back

    masks.save(tmp_path / "net.masks.npz")
    plain = Residual()
    plain.load_state_dict(model.state_dict())
    sidecar = ts.MaskSet.load(tmp_path / "net.masks.npz")
    by_name = ts.convert_torch(plain.eval(), example, sidecar, progress=False)
    assert_the_trainers_numbers(by_name, expected)


def test_masks_given_beside_the_trained_ones(trained):
    model, sparsifier = trained
    masks = sparsifier.masks()
    example = (torch.from_numpy(IMAGES[:1]),)
    with pytest.raises(MaskError, match=r"'stem' is not the one that its sparsifier put.*remove"):
        ts.convert_torch(model, example, {**masks, "stem": ~masks["stem"]}, progress=False)


def test_keras():
    import keras

    from tflite_sparse.keras import ActivationSparsifier

    keras.utils.set_random_seed(0)
    sparsifier = ActivationSparsifier(keras_residual(), SIZE, 0.4, 30)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    sparsifier.model.compile(keras.optimizers.Adam(0.01), loss)
    images, labels = bars(960)
    images = images.transpose(0, 2, 3, 1)
    sparsifier.model.fit(images, labels, 32, callbacks=[sparsifier], verbose=0)
    content = ts.convert_keras(sparsifier.model, progress=False)
    expected = sparsifier.model.predict(IMAGES.transpose(0, 2, 3, 1), verbose=0)
    found = masks_in(content)
    assert found.keys() == {f"{name}_mask" for name in SHAPES}
    assert all(np.array_equal(found[f"{k}_mask"], m) for k, m in sparsifier.masks().items())
    assert_the_trainers_numbers(content, expected)
