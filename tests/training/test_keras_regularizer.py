"""Penalties on the activations of Keras models in training."""

import keras
import numpy as np
import pytest
import torch
from training_networks import SIZE, bars, keras_residual

from tflite_sparse.errors import OptionError
from tflite_sparse.keras import ActivationRegularizer, ActivationSparsifier, set_thresholds
from tflite_sparse.training.penalties import L1, PartialL1, TransformedL1

SUM = L1()
X = np.moveaxis(bars(16)[0], 1, -1)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return keras_residual()


def relus(model, x=X):
    """The results of the ReLUs ``{name: [N, H, W, C]}``, by a model of their own."""
    stem = model.get_layer("stem_relu").output
    last = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)][-1]
    reduce = model.get_layer("reduce_bn").output
    outputs = [stem, keras.ops.relu(reduce), last.output]
    values = keras.Model(model.inputs, outputs)(x, training=True)
    names = ("stem_relu", "reduce_bn", last.name)
    return {name: np.asarray(value) for name, value in zip(names, values)}


def penalty_of(values, penalty=SUM):
    flat = torch.from_numpy(values).flatten(1)
    return float(penalty(flat, torch).mean())


def test_the_loss_is_the_sum_over_relus(model):
    wanted = relus(model)
    regularizer = ActivationRegularizer(model, "transformed_l1", {"stem*": 1e-3, "*": 2e-3})
    assert regularizer.weights.keys() == wanted.keys()
    with pytest.raises(OptionError, match="no call of the model in training"):
        regularizer.loss()
    model(X, training=True)
    total = sum(
        regularizer.weights[name] * penalty_of(values, TransformedL1())
        for name, values in wanted.items()
    )
    assert float(regularizer.loss()) == pytest.approx(total, rel=1e-4)
    assert float(sum(model.losses)) == pytest.approx(total, rel=1e-4)
    model(X)
    assert not model.losses


def test_mean_over_elements(model):
    wanted = relus(model)["stem_relu"].mean()
    regularizer = ActivationRegularizer(model, "l1", {"stem*": 1.0}, mean="elements")
    model(X, training=True)
    assert float(regularizer.loss()) == pytest.approx(float(wanted), rel=1e-4)


def test_masked_pixels_do_not_count(model):
    sparsifier = ActivationSparsifier(model, SIZE, 0.5, 10, 0, 0, layers=["stem"])
    kept = sparsifier.masks()["stem"]
    values = relus(model)["stem_relu"][:, kept]
    for mean, wanted in (("batch", values.sum() / 16), ("elements", values.mean())):
        regularizer = ActivationRegularizer(sparsifier.model, "l1", {"stem*": 1.0}, mean=mean)
        sparsifier.model(X, training=True)
        assert float(regularizer.loss()) == pytest.approx(float(wanted), rel=1e-4)
        regularizer.remove()


def test_activations_count_before_their_threshold(model):
    values = relus(model)["stem_relu"]
    wanted = values[values < 0.5].sum() / 16
    with_thresholds = set_thresholds(model, 0.5)
    regularizer = ActivationRegularizer(with_thresholds, PartialL1(0.5), {"stem*": 1.0})
    with_thresholds(X, training=True)
    assert float(regularizer.loss()) == pytest.approx(float(wanted), rel=1e-4)


def test_fit_has_the_penalty_in_its_loss_and_follows_changes(model):
    """With a learning rate of 0 the rest of the loss is 0; BatchNorm works on the same batch."""
    values = relus(model)
    regularizer = ActivationRegularizer(model, "l1", 1e-3)
    model.compile(keras.optimizers.SGD(0.0), loss=lambda wanted, found: 0.0 * found)
    losses = []

    def step(batch, logs):
        losses.append(float(logs["loss"]))
        if batch == 0:
            regularizer.use(weight=2e-3)
        if batch == 1:
            regularizer.use("transformed_l1", {"stem*": 1e-3})

    callback = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: model.reset_metrics(), on_train_batch_end=step
    )
    same = np.concatenate([X] * 3)
    model.fit(same, np.zeros((48, 4)), 16, shuffle=False, verbose=0, callbacks=[callback])
    l1 = sum(penalty_of(v) for v in values.values())
    last = 1e-3 * penalty_of(values["stem_relu"], TransformedL1())
    assert losses == pytest.approx([1e-3 * l1, 2e-3 * l1, last], rel=1e-4)


def test_fit_makes_zeros(model):
    x, labels = np.moveaxis(bars(256)[0], 1, -1), bars(256)[1]
    shares = []
    for weight in (0.0, 3e-3):
        keras.utils.set_random_seed(0)
        network = keras_residual()
        regularizer = ActivationRegularizer(network, "transformed_l1", weight)
        network.compile(
            keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(True)
        )
        network.fit(x, labels, 32, epochs=6, verbose=0, shuffle=False)
        regularizer.remove()
        shares.append((relus(network, x)["stem_relu"] == 0).mean())
    assert shares[1] > shares[0] + 0.1


def test_mixed_precision_is_summed_in_single_precision():
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.layers.Input((SIZE, SIZE, 1), dtype="float32"),
            keras.layers.Conv2D(8, 3, activation="relu", dtype="mixed_bfloat16"),
        ]
    )
    regularizer = ActivationRegularizer(network, "l1", 1.0)
    values = np.asarray(keras.ops.cast(network(X, training=True), "float32"), np.float64)
    assert "float32" in str(regularizer.loss().dtype)
    assert float(regularizer.loss()) == pytest.approx(values.sum() / 16, rel=1e-5)


def test_bad_options_are_refused(model):
    with pytest.raises(OptionError, match="matches none of the names; they are 'stem_relu'"):
        ActivationRegularizer(model, "l1", {"conv*": 1.0})
    with pytest.raises(OptionError, match="unknown penalty"):
        ActivationRegularizer(model, "l3")
    network = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(OptionError, match="no ReLU that can be reached"):
        ActivationRegularizer(network)
