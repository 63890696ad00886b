"""convert_keras: real architectures, quantisations, kinds of models, and what it refuses."""

import sys

import keras
import numpy as np
import pytest
from expectations import assert_masked, assert_skipped, kinds_of, masks_for, masks_in
from keras import layers

from tflite_sparse import convert_keras
from tflite_sparse.convert.checking import Reference
from tflite_sparse.errors import ConversionError, MaskError, OptionError
from tflite_sparse.graph import ModelFile, View
from tflite_sparse.keras import ActivationMask

MASK = np.random.default_rng(0).random((8, 8)) < 0.6


def images(size, count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, size, size, 3)).astype(np.float32)


def convert(model, masks=None, **options):
    return convert_keras(model, masks, progress=False, **options)


def settled(network, size):
    """A keras.applications network, its BatchNorm statistics as training would leave them."""
    keras.utils.set_random_seed(0)
    model = network(weights=None, input_shape=(size, size, 3), classifier_activation=None)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model([images(size, 8, seed=1)], training=True)
    convolutions = (layers.Conv2D, layers.DepthwiseConv2D)
    shapes = {la.name: la.output.shape[1:3] for la in model.layers if isinstance(la, convolutions)}
    return model, masks_for(shapes, size)


@pytest.fixture(scope="module")
def mobilenetv2():
    return settled(keras.applications.MobileNetV2, 96)


@pytest.fixture(scope="module")
def resnet50():
    return settled(keras.applications.ResNet50, 64)


def small(first=None, last=None):
    """conv1 - BatchNorm - ReLU - first - conv2 (linear) - last - conv3."""
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", name="conv1")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = x if first is None else first(x)
    x = layers.Conv2D(4, 1, name="conv2")(x)
    x = x if last is None else last(x)
    return keras.Model(inputs, layers.Conv2D(2, 3, padding="same", name="conv3")(x))


@pytest.mark.parametrize("quantize", [None, "float16", "int8"])
def test_mobilenetv2(mobilenetv2, quantize):
    model, masks = mobilenetv2
    content = convert(model, masks, quantize=quantize, representative_data=images(96, 8))
    left = {name: mask for name, mask in masks.items() if not mask.all()}
    assert len(left) == 52
    assert_masked(content, left)
    assert_skipped(content, left)
    assert set(kinds_of(content)) <= {
        *("CONV_2D", "DEPTHWISE_CONV_2D", "MUL", "ADD", "PAD", "MEAN", "FULLY_CONNECTED"),
        *("QUANTIZE", "DEQUANTIZE"),
    }


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_resnet50(resnet50, quantize):
    model, masks = resnet50
    content = convert(model, masks, quantize=quantize, representative_data=images(64, 8))
    assert len(masks) == 53
    assert kinds_of(content).count("MUL") == len(masks)
    assert_masked(content, masks)
    assert_skipped(content, masks)


def test_dynamic_range():
    content = convert(small(), {"conv1": MASK, "conv2": ~MASK}, quantize="dynamic")
    assert_masked(content, {"conv1": MASK, "conv2": ~MASK})


def test_a_mask_after_a_linear_convolution_is_not_distributed():
    content = convert(small(), {"conv2": MASK})
    assert kinds_of(content) == ["CONV_2D", "CONV_2D", "MUL", "CONV_2D"]


def test_a_mask_stands_before_a_normalisation_that_follows_the_activation():
    """It folds into the next convolution, so behind it there is nothing to fuse with."""
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.BatchNormalization(beta_initializer="ones")(x)
    content = convert(keras.Model(inputs, layers.Conv2D(2, 1)(x)), {"conv1": MASK})
    assert_masked(content, {"conv1": MASK})
    assert kinds_of(content)[:2] == ["CONV_2D", "MUL"]


def test_mask_layers_and_masks_by_name():
    model = small(first=ActivationMask(MASK, name="mask1"))
    content = convert(model, {"conv2": ~MASK})
    assert_masked(content, {"mask1": MASK, "conv2": ~MASK})
    assert kinds_of(content) == ["CONV_2D", "MUL", "CONV_2D", "MUL", "CONV_2D"]


def test_numbers_are_the_models_with_its_masks():
    model = small(ActivationMask(MASK), ActivationMask(~MASK))
    x = images(8, 1)
    (found,) = Reference(convert(model)).run([x])
    np.testing.assert_allclose(found, np.asarray(model(x)), atol=1e-5)


def test_a_mask_before_batch_norm_keeps_the_numbers_of_its_training():
    """Where the paper's published code has it; a named one comes after it and gives others."""

    def network(*before):
        keras.utils.set_random_seed(0)
        x = inputs = layers.Input((8, 8, 3))
        for layer in (
            layers.Conv2D(8, 3, padding="same", name="conv1"),
            *before,
            layers.BatchNormalization(beta_initializer="ones"),
            layers.ReLU(),
            layers.Conv2D(2, 3, padding="same"),
        ):
            x = layer(x)
        return keras.Model(inputs, x)

    model, x = network(ActivationMask(MASK, name="mask1")), images(8, 1)
    content = convert(model)
    assert_masked(content, {"mask1": MASK})
    assert_skipped(content, {"mask1": MASK})
    for converted, equal in ((content, True), (convert(network(), {"conv1": MASK}), False)):
        (found,) = Reference(converted).run([x])
        assert np.allclose(found, np.asarray(model(x)), atol=1e-5) == equal


def test_mask_layers_are_saved_and_loaded_with_the_model(tmp_path):
    model = small(ActivationMask(MASK, name="mask1"))
    model.get_layer("mask1").set_mask(~MASK)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(np.asarray(loaded.get_layer("mask1").mask) != 0, ~MASK)
    assert masks_in(convert(loaded)).keys() == {"mask1"}


def test_sequential_nested_and_subclassed_models():
    def block(name):
        return keras.Sequential(
            [layers.Conv2D(4, 3, padding="same", name=f"{name}_conv"),
             layers.BatchNormalization(), layers.Activation("silu")],
            name=name,
        )  # fmt: skip

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = block("first"), layers.Conv2D(2, 1, name="second")

        def call(self, x):
            return self.second(self.first(x))

    subclassed = Subclassed()
    subclassed(images(8, 1))
    sequential = keras.Sequential([layers.Input((8, 8, 3)), block("first"), layers.Conv2D(2, 1)])
    for model in (sequential, subclassed):
        content = convert(model, {"first_conv": MASK})
        assert kinds_of(content) == ["CONV_2D", "LOGISTIC", "MUL", "MUL", "CONV_2D"]
        assert_masked(content, {"first_conv": MASK})


def test_the_model_is_left_as_it_was():
    model = small(ActivationMask(MASK))
    before = [np.array(weight) for weight in model.weights]
    x = images(8, 1)
    expected = np.asarray(model(x))
    convert(model, {"conv2": MASK})
    assert all("call" not in vars(layer) for layer in model._flatten_layers())
    for weight, value in zip(model.weights, before):
        assert np.array_equal(weight, value)
    assert np.array_equal(model(x), expected)


def test_masks_that_keep_every_pixel_are_left_out():
    content = convert(small(ActivationMask()), {"conv2": np.ones((8, 8))})
    assert kinds_of(content) == ["CONV_2D", "CONV_2D", "CONV_2D"]


def test_several_outputs_keep_their_order_and_mask():
    inputs = layers.Input((8, 8, 3))
    one = layers.Conv2D(4, 3, padding="same", name="one")(inputs)
    two = layers.Conv2D(2, 1, name="two")(one)
    content = convert(keras.Model(inputs, [one, two]), {"one": MASK, "two": ~MASK})
    outputs = Reference(content).run([images(8, 1)])
    by_channels = {value.shape[3]: value for value in outputs}
    assert not by_channels[4][0, ~MASK].any()
    assert not by_channels[2][0, MASK].any()


@pytest.mark.parametrize("data", [images(8, 3), list(images(8, 3)[:, None]),
                                  lambda: iter(images(8, 3)[:, None]),
                                  [(x,) for x in images(8, 3)[:, None]],
                                  iter(images(8, 3)[:, None])])  # fmt: skip
def test_representative_data_may_be_given_in_many_forms(data):
    content = convert(small(), {"conv1": MASK}, quantize="int8", representative_data=data)
    assert_masked(content, {"conv1": MASK})


@pytest.mark.parametrize(
    ("masks", "text"),
    [
        ({"conv9": MASK}, r"no layer 'conv9'.*did you mean 'conv[123]'"),
        ({"conv1": np.ones((4, 4))}, r"'conv1' has the shape \[4, 4\].*\[1, 8, 8, 8\]"),
        ({"conv1": MASK, "re_lu": MASK}, "two masks for one layer"),
        ({"conv1": np.zeros((8, 8))}, "'conv1' keeps no pixel"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, text):
    keras.backend.clear_session()  # so that the ReLU is called re_lu
    with pytest.raises(MaskError, match=text):
        convert(small(), masks)


def test_a_layer_that_runs_twice_is_refused():
    inputs = layers.Input((8, 8, 3))
    twice = layers.Conv2D(3, 3, padding="same", name="twice")
    with pytest.raises(MaskError, match="'twice' runs 2 times"):
        convert(keras.Model(inputs, twice(twice(inputs))), {"twice": MASK})


def test_an_activation_layer_shared_by_convolutions():
    """It is 0 at 0, so the mask stands before it."""
    inputs = layers.Input((8, 8, 3))
    relu = layers.ReLU(name="shared")
    x = relu(layers.Conv2D(4, 1, name="one")(inputs))
    x = relu(layers.Conv2D(4, 1, name="two")(x))
    content = convert(keras.Model(inputs, x), {"one": MASK})
    assert_masked(content, {"one": MASK})
    assert_skipped(content, {"one": MASK})


def test_a_mask_that_stands_behind_no_convolution_is_refused_by_name():
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1)(inputs)
    x = ActivationMask(MASK, name="late")(layers.Concatenate()([x, inputs]))
    with pytest.raises(ConversionError, match="layer 'late' is not in fusible form"):
        convert(keras.Model(inputs, x))


def test_a_result_that_differs_is_not_handed_out():
    with pytest.raises(ConversionError, match=r"differs from the source model's.*tolerance"):
        convert(small(), {"conv1": MASK}, quantize="dynamic", tolerance=1e-9)


def flattening():
    """Behind each of these a file of open batch has shapes that are known only while it runs."""
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    x = layers.Conv2DTranspose(4, 2, 2, name="up")(layers.MaxPooling2D()(x))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(x)
    x = layers.Reshape((8, 4, 8))(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


@pytest.mark.parametrize(("batch_size", "quantize"), [(1, None), (1, "int8"), (3, None)])
def test_the_batch_is_fixed(batch_size, quantize):
    model, masks = flattening(), {"first": MASK, "second": ~MASK}
    content = convert(
        model, masks, batch_size=batch_size, quantize=quantize, representative_data=images(8, 4)
    )
    assert_masked(content, masks)
    assert_skipped(content, masks)
    reference = Reference(content)
    assert reference.inputs[0]["shape"].tolist() == [batch_size, 8, 8, 3]
    assert reference.inputs[0]["shape_signature"].tolist() == [batch_size, 8, 8, 3]
    view = View(ModelFile.read(content), 0)
    assert not any(any(view.dynamic(tensor)) for tensor in range(len(view.graph.tensors)))


def test_the_batch_may_stay_open():
    content = convert(small(), {"conv1": MASK}, batch_size=None)
    assert Reference(content).inputs[0]["shape_signature"].tolist() == [-1, 8, 8, 3]
    with pytest.raises(OptionError, match="batch_size of at least 1, or None; found 0"):
        convert(small(), batch_size=0)


def test_an_open_input_size_is_refused():
    inputs = layers.Input((None, None, 3))
    with pytest.raises(ConversionError, match=r"leaves its input size open"):
        convert(keras.Model(inputs, layers.Conv2D(4, 1)(inputs)))
    with pytest.raises(MaskError, match=r"fixed height and width"):
        ActivationMask(MASK)(inputs)


def test_options_are_checked():
    with pytest.raises(OptionError, match="unknown quantize='int4'"):
        convert(small(), quantize="int4")
    with pytest.raises(OptionError, match="needs representative_data"):
        convert(small(), quantize="int8")
    with pytest.raises(ConversionError, match="representative_data is empty"):
        convert(small(), quantize="int8", representative_data=[])


def test_a_missing_converter_is_told_with_the_extra_that_brings_it(monkeypatch):
    model = small()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ConversionError, match=r"needs tensorflow.*pip install 'tflite-sparse\["):
        convert(model)
