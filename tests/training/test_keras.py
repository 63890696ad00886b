"""Masks of a Keras model in training, and that they are PyTorch's for the same seed."""

import json

import keras
import numpy as np
import pytest
from keras import layers as kl
from training_networks import SHAPES, SIZE, Residual, bars, keras_residual

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.keras import ActivationMask, ActivationSparsifier
from tflite_sparse.torch import ActivationSparsifier as TorchSparsifier
from tflite_sparse.training.schedule import Schedule

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sparsifier_of(model, sparsity=0.5, total_steps=20, **options):
    return ActivationSparsifier(model, SIZE, sparsity, total_steps, **options)


def data(count, seed=0):
    images, labels = bars(count, seed)
    return images.transpose(0, 2, 3, 1), labels


def fit(sparsifier, steps, batch=4, optimizer="sgd", **options):
    sparsifier.model.compile(optimizer, LOSS, **options)
    images, labels = data(steps * batch)
    sparsifier.model.fit(images, labels, batch, shuffle=False, callbacks=[sparsifier], verbose=0)


@pytest.mark.parametrize("mask_source", ["propagated", "independent", "lattice", "alternating"])
@pytest.mark.parametrize("sparsity", [0.4, {"stem": 0.2, "*": 0.6}])
def test_the_same_masks_as_in_pytorch_at_every_step(mask_source, sparsity):
    options = {"seed": 5, "update_every": 3, "mask_source": mask_source}
    ours = sparsifier_of(keras_residual(), sparsity, **options)
    theirs = TorchSparsifier(Residual(), SIZE, sparsity, 20, **options)
    assert list(ours.masks()) == list(SHAPES)
    for step in range(21):
        assert ours.masks() == theirs.masks(), step
        ours.step()
        theirs.step()


def test_fit_counts_its_steps_and_masks_exactly():
    sparsifier = sparsifier_of(keras_residual(), 0.3)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            layer = self.model.get_layer("stem_mask")
            seen.append(int((np.asarray(layer.mask) == 0).sum()))

    sparsifier.model.compile("sgd", LOSS)
    images, labels = data(80)
    sparsifier.model.fit(images, labels, 4, epochs=1, callbacks=[Watch(), sparsifier], verbose=0)
    schedule = Schedule(20)
    assert seen == [round(0.3 * schedule.fraction(step) * SIZE**2) for step in range(20)]
    assert sparsifier.step_count == 20
    assert sparsifier.frozen


def test_where_the_masks_are():
    """Behind the activation layer, before an activation function, not in the shortcut."""
    model = sparsifier_of(keras_residual()).model
    before = {
        layer.name: layer._inbound_nodes[-1].operation.input.name.split("_mask")[0]
        for layer in model.layers
        if isinstance(layer, ActivationMask)
    }
    assert list(before) == ["stem_mask", "reduce_mask", "middle_mask"]
    producers = {name: model.get_layer(name).input._keras_history.operation.name for name in before}
    assert producers == {
        "stem_mask": "stem_relu",
        "reduce_mask": "reduce_bn",
        "middle_mask": "middle_bn",
    }


def test_masked_pixels_are_zero_and_get_no_gradient():
    import tensorflow as tf

    sparsifier = sparsifier_of(keras_residual(), dense_until=0, freeze_from=0)
    mask = sparsifier.masks()["stem"]
    layer = sparsifier.model.get_layer("stem_mask")
    head = keras.Model(sparsifier.model.inputs[0], layer.input)
    images, _ = data(4)
    with tf.GradientTape() as tape:
        value = head(images)
        tape.watch(value)
        masked = layer(value)
        loss = tf.reduce_sum(masked**2)
    gradient = tape.gradient(loss, value).numpy()
    assert (masked.numpy()[:, ~mask] == 0).all()
    assert (gradient[:, ~mask] == 0).all()
    assert (gradient[:, mask] != 0).any()


def test_weights_are_shared_with_the_plain_model():
    model = keras_residual()
    sparsifier = sparsifier_of(model, dense_until=0, freeze_from=0.5)
    before = model.get_layer("stem").kernel.numpy().copy()
    fit(sparsifier, 4)
    assert sparsifier.model.get_layer("stem") is model.get_layer("stem")
    assert not np.array_equal(model.get_layer("stem").kernel.numpy(), before)


def test_nothing_is_inserted_at_sparsity_0():
    model = keras_residual()
    assert sparsifier_of(model, 0.0).model is model


def test_models_in_models_and_sequential_ones():
    backbone = keras.Sequential(
        [kl.Input((SIZE, SIZE, 3)), kl.Conv2D(4, 3, name="inside"), kl.BatchNormalization()],
        name="backbone",
    )
    images = kl.Input((SIZE, SIZE, 3))
    x = kl.ReLU(name="outside")(backbone(images))
    model = keras.Model(images, kl.Conv2D(2, 1, name="last")(x))
    sparsifier = sparsifier_of(model, dense_until=0, freeze_from=0)
    assert list(sparsifier.masks()) == ["inside", "last"]
    producer = sparsifier.model.get_layer("inside_mask").input._keras_history.operation
    assert producer.name == "outside"
    value = np.random.default_rng(0).random((1, SIZE, SIZE, 3), np.float32)
    last = sparsifier.model(value).numpy()[0]
    assert (last[~sparsifier.masks()["last"]] == 0).all()
    sequential = sparsifier_of(backbone, dense_until=0, freeze_from=0)
    assert (sequential.model(value).numpy()[0][~sequential.masks()["inside"]] == 0).all()


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.conv, self.mask = kl.Conv2D(4, 3, padding="same"), ActivationMask(name="first")

    def call(self, x):
        return self.mask(keras.ops.sigmoid(self.conv(x)))


def test_mask_layers_of_a_subclassed_model():
    model = Subclassed()
    model(np.zeros((1, SIZE, SIZE, 3), np.float32))
    sparsifier = ActivationSparsifier(model, SIZE, 0.5, 1, 0, 0)
    assert sparsifier.model is model
    value = model(np.ones((1, SIZE, SIZE, 3), np.float32)).numpy()[0]
    assert np.array_equal((value != 0).all(-1), sparsifier.masks()["first"])


def test_some_of_the_mask_layers_are_chosen_by_name():
    images = kl.Input((SIZE, SIZE, 3))
    hidden = ActivationMask(name="hidden_mask")(kl.Conv2D(4, 3, activation="relu")(images))
    model = keras.Model(images, ActivationMask(name="last_mask")(kl.Conv2D(2, 1)(hidden)))
    assert list(sparsifier_of(model).masks()) == ["hidden_mask", "last_mask"]
    assert list(sparsifier_of(model, layers="last*").masks()) == ["last_mask"]
    with pytest.raises(MaskError, match=r"'first' matches none of .*'hidden_mask', 'last_mask'"):
        sparsifier_of(model, layers=["last*", "first"])


def test_magnitude():
    images = kl.Input((4, 4, 1))
    model = keras.Model(images, kl.ReLU()(kl.Conv2D(1, 1, use_bias=False, name="c")(images)))
    model.get_layer("c").kernel.assign(np.ones((1, 1, 1, 1)))
    sparsifier = ActivationSparsifier(
        model, 4, 0.5, 4, dense_until=0, freeze_from=0.25, mask_source="magnitude"
    )
    image = np.concatenate([np.full((2, 4), -9.0), np.ones((2, 4))])[None, :, :, None]
    sparsifier.model.compile("sgd", "mse")
    sparsifier.model.fit(image, image, callbacks=[sparsifier], verbose=0)
    assert sparsifier.masks()["c"].tolist() == [[False] * 4] * 2 + [[True] * 4] * 2


def test_resuming_gives_the_same_run_bit_for_bit():
    """By magnitude, which also has to carry on what it measured."""

    def run(parts, state=None):
        keras.utils.set_random_seed(0)
        sparsifier = sparsifier_of(keras_residual(), mask_source="magnitude", update_every=3)
        sparsifier.model.compile(keras.optimizers.SGD(0.1), LOSS)
        if state is not None:
            sparsifier.model.set_weights(state[0])
            sparsifier.load_state_dict(json.loads(json.dumps(state[1])))
        images, labels = data(8 * 22)
        for part in parts:
            chosen = slice(8 * part.start, 8 * part.stop)
            sparsifier.model.fit(
                images[chosen], labels[chosen], 8, shuffle=False, callbacks=[sparsifier], verbose=0
            )
        return sparsifier.model.get_weights(), sparsifier.state_dict()

    whole = run([range(7), range(7, 22)])
    resumed = run([range(7, 22)], run([range(7)]))
    assert resumed[1] == whole[1]
    for value, other in zip(resumed[0], whole[0]):
        np.testing.assert_array_equal(value, other)


def test_the_masked_model_is_saved_and_loaded(tmp_path):
    sparsifier = sparsifier_of(keras_residual(), dense_until=0, freeze_from=0)
    sparsifier.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images, _ = data(4)
    np.testing.assert_array_equal(loaded(images), sparsifier.model(images))
    again = sparsifier_of(loaded, dense_until=0, freeze_from=0)
    assert list(again.masks()) == ["stem_mask", "reduce_mask", "middle_mask"]


def test_a_tiny_training_reaches_its_accuracy():
    """Half of all pixels masked; chance is 25%."""
    keras.utils.set_random_seed(0)
    sparsifier = sparsifier_of(keras_residual(), 0.5, 160)
    sparsifier.model.compile(keras.optimizers.Adam(0.01), LOSS)
    images, labels = data(1280)
    sparsifier.model.fit(images, labels, 32, epochs=4, callbacks=[sparsifier], verbose=0)
    images, labels = data(500, seed=1)
    assert sparsifier.frozen
    predicted = sparsifier.model.predict(images, verbose=0).argmax(1)
    assert (predicted == labels).mean() >= 0.9


def open_size():
    images = kl.Input((None, None, 3))
    return keras.Model(images, kl.Conv2D(4, 3)(images))


def no_convolution():
    images = kl.Input((SIZE, SIZE, 3))
    return keras.Model(images, kl.Dense(2)(images))


def shared():
    images, conv = kl.Input((SIZE, SIZE, 3)), kl.Conv2D(3, 3, padding="same", name="twice")
    return keras.Model(images, conv(conv(images)))


def sigmoid_function():
    images = kl.Input((SIZE, SIZE, 3))
    return keras.Model(images, keras.ops.sigmoid(kl.Conv2D(3, 3, name="gate")(images)))


def channels_first():
    images = kl.Input((SIZE, SIZE, SIZE))
    return keras.Model(images, kl.Conv2D(3, 3, data_format="channels_first", name="c")(images))


@pytest.mark.parametrize(
    ("model", "options", "text"),
    [
        (keras_residual, {"layers": "stm"}, "'stm' matches none.*'stem'"),
        (no_convolution, {}, "no convolution"),
        (open_size, {}, r"leaves its input size open.*Input\(\(height, width, channels\)\)"),
        (shared, {}, "'twice'.* runs 2 times"),
        (sigmoid_function, {}, "'gate'.*sigmoid.*make it a layer"),
        (channels_first, {}, "'c' has its channels first"),
        (lambda: keras.Sequential([kl.Conv2D(3, 3)]), {}, r"no image input|build it with Input"),
    ],
)
def test_errors(model, options, text):
    with pytest.raises(MaskError, match=text):
        sparsifier_of(model(), **options)


@pytest.mark.parametrize("sparsity", [1.0, -0.5])
def test_a_sparsity_out_of_range(sparsity):
    with pytest.raises(OptionError, match=f"below 1, found {sparsity} for layer 'stem'"):
        sparsifier_of(keras_residual(), sparsity)


def test_an_input_size_that_does_not_fit():
    with pytest.raises(MaskError, match=r"input_size=\[8, 8\] does not fit .*expected \[16, 16\]"):
        ActivationSparsifier(keras_residual(), 8, 0.5, 10)


def test_fitting_another_model_is_refused():
    model = keras_residual()
    sparsifier = sparsifier_of(model)
    model.compile("sgd", LOSS)
    with pytest.raises(MaskError, match=r"compile and fit sparsifier\.model"):
        model.fit(*data(4), callbacks=[sparsifier], verbose=0)


def test_several_steps_at_a_time_are_refused():
    sparsifier = sparsifier_of(keras_residual())
    with pytest.raises(OptionError, match="steps_per_execution=1"):
        fit(sparsifier, 4, steps_per_execution=2)


def test_measuring_needs_its_own_layers():
    masked = sparsifier_of(keras_residual()).model
    with pytest.raises(OptionError, match="without ActivationMask layers"):
        sparsifier_of(masked, mask_source="magnitude")
