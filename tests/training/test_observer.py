"""Observers of activations: what they are handed, when, and that they leave no trace."""

import copy

import keras
import numpy as np
import torch
from keras import layers as kl
from torch import nn
from torch.nn import functional as F
from training_networks import SIZE, Residual, bars, keras_residual

from tflite_sparse import keras as in_keras
from tflite_sparse import torch as in_torch
from tflite_sparse.keras.record import record_forward as record_keras
from tflite_sparse.places import choose_places
from tflite_sparse.torch.record import record_forward as record_torch

IMAGES = bars(4)[0]


def places_of(model, layers="all"):
    return choose_places(record_torch(model, [torch.zeros(1, 1, SIZE, SIZE)]), layers)


class Watch(list):
    def __call__(self, place, activation, training):
        self.append((place.name, activation, training))

    def named(self, name):
        return [activation for other, activation, _ in self if other == name]


class Many(nn.Module):
    """Every way to write an activation, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(1, 1, 1) for _ in range(6))
        self.module, self.bn = nn.ReLU(inplace=True), nn.BatchNorm2d(1)
        self.head = nn.Linear(SIZE * SIZE, 3)
        self.seen = {}

    def forward(self, x):
        a, b, c, d, e, f = self.convs
        for name, value in (
            ("convs.0", self.module(self.bn(a(x)))),
            ("convs.1", F.relu(b(x))),
            ("convs.2", c(x).relu_()),
            ("convs.3", torch.sigmoid(d(x))),
            ("convs.4", F.dropout(F.hardswish(e(x), inplace=True), training=self.training)),
            ("convs.5", f(x)),
            ("head", F.relu(self.head(x.flatten(1)))),
        ):
            self.seen[name] = value.clone()
            value += 1  # what is handed over must not change
        return x


def test_activations_as_the_next_layer_reads_them():
    model = Many()
    places = places_of(model)
    watch = Watch()
    observer = in_torch.ActivationObserver(places, watch)
    model.eval()(torch.from_numpy(IMAGES))
    assert sorted(name for name, _, _ in watch) == sorted(model.seen)
    for name, activation, training in watch:
        torch.testing.assert_close(activation, model.seen[name], rtol=0, atol=0, msg=name)
        assert not training
    kinds = {place.name: place.activation and place.activation.operation for place in places}
    assert kinds == {
        "convs.0": "relu",
        "convs.1": "relu",
        "convs.2": "relu",
        "convs.3": "sigmoid",
        "convs.4": "hardswish",
        "convs.5": None,
        "head": "relu",
    }
    watch.clear()
    model.train()(torch.from_numpy(IMAGES))
    assert {training for _, _, training in watch} == {True}
    observer.remove()
    watch.clear()
    model(torch.from_numpy(IMAGES))
    assert not watch
    assert not any(module._forward_hooks for module in model.modules())


def test_gradients_pass_and_what_follows_in_place_does_not_hurt():
    """`y += shortcut` overwrites the BatchNorm's output that the penalty was computed from."""
    model = Residual()
    penalty = []
    in_torch.ActivationObserver(places_of(model), lambda p, a, t: penalty.append((a**2).sum()))
    model.train()(torch.from_numpy(IMAGES))
    torch.stack(penalty).sum().backward()
    assert all(p.weight.grad.abs().sum() > 0 for p in (model.stem, model.middle, model.head))


def test_masked_pixels_are_zero_for_an_observer_whoever_came_first():
    model = Residual()
    places = places_of(model, "paper")
    before, after, unmasked = Watch(), Watch(), Watch()
    in_torch.ActivationObserver(places, before)
    sparsifier = in_torch.ActivationSparsifier(model, SIZE, 0.5, 1, 0, 0)
    in_torch.ActivationObserver(places, after)
    in_torch.ActivationObserver(places, unmasked, unmasked=True)
    model.eval()(torch.from_numpy(IMAGES))
    for name, mask in sparsifier.masks().items():
        mask = torch.from_numpy(mask.copy())
        for watch in (before, after):
            (activation,) = watch.named(name)
            assert (activation[:, :, ~mask] == 0).all()
        assert (unmasked.named(name)[0][:, :, ~mask] != 0).any()


def test_a_reused_layer_is_handed_over_in_each_run():
    conv = nn.Conv2d(1, 1, 3, padding=1)
    model = nn.Sequential(conv, nn.ReLU(), conv)
    watch = Watch()
    places = places_of(model)
    assert len(places) == 2
    in_torch.ActivationObserver(places[1:], watch)
    model(torch.from_numpy(IMAGES))
    assert len(watch) == 2


def test_autocast_and_data_parallel_and_copies():
    model = Residual()
    watch = Watch()
    in_torch.ActivationObserver(places_of(model), watch)
    with torch.autocast("cpu", torch.bfloat16):
        nn.DataParallel(model)(torch.from_numpy(IMAGES))
    assert watch.named("stem")[0].dtype == torch.bfloat16
    watch.clear()
    copy.deepcopy(model)(torch.from_numpy(IMAGES))
    assert not watch
    record_torch(model, [torch.zeros(1, 1, SIZE, SIZE)])
    assert not watch  # our own passes are not observed


def test_compiled():
    torch.compiler.reset()
    model = Residual().eval()
    places = places_of(model)
    seen = Watch()
    in_torch.ActivationObserver(places, torch.compiler.disable(seen.__call__))
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        compiled(torch.from_numpy(IMAGES))
        compiled(torch.from_numpy(IMAGES))
    assert len(seen) == 2 * len(places)
    torch.compiler.reset()


def keras_many():
    images = kl.Input((SIZE, SIZE, 1))
    shared = kl.ReLU(name="shared")
    x = shared(kl.BatchNormalization()(kl.Conv2D(2, 3, name="a")(images)))
    x = kl.Dropout(0.5)(keras.ops.hard_silu(kl.Conv2D(2, 3, name="b")(x)))
    x = shared(kl.Conv2D(2, 3, name="c")(x))
    x = kl.Activation("sigmoid")(kl.DepthwiseConv2D(3, name="d")(x))
    x = kl.Conv2D(2, 3, activation="relu", name="e")(x)
    return keras.Model(images, kl.Dense(3, activation="relu", name="head")(kl.Flatten()(x)))


def test_keras_activations():
    model = keras_many()
    images = IMAGES.transpose(0, 2, 3, 1)
    places = choose_places(record_keras(model, [images]), "all")
    names = {place.name: place.activation.operation for place in places}
    assert names == {
        "a": "relu",
        "b": "hardsilu",
        "c": "relu",
        "d": "sigmoid",
        "e": "conv2d",
        "head": "dense",
    }
    assert {place.name: place.layer.fused for place in places if place.layer.fused} == {
        "e": "relu",
        "head": "relu",
    }
    seen = {}
    observer = in_keras.ActivationObserver(
        places, lambda place, value, training: seen.update({place.name: (value, training)})
    )
    result = model(images)
    assert seen.keys() == names.keys()
    # What each next layer reads, from models cut off there.
    for name, index in (("a", 3), ("b", 5), ("d", -4), ("e", -3)):
        cut = keras.Model(model.inputs[0], model.operations[index].output)
        assert np.array_equal(cut(images), seen[name][0]), (name, model.operations[index].name)
    assert np.array_equal(result, seen["head"][0])
    assert {training for _, training in seen.values()} == {False}
    model(images, training=True)
    assert {training for _, training in seen.values()} == {True}
    observer.remove()
    seen.clear()
    model(images)
    assert not seen
    assert all("call" not in vars(layer) for layer in model.layers)


def test_keras_in_fit_a_term_of_the_loss_and_observers_apart():
    model = keras_residual()
    places = choose_places(
        record_keras(model, [np.zeros((1, SIZE, SIZE, 1), np.float32)]), ["stem"]
    )
    passes = keras.Variable(0.0, trainable=False)
    first = in_keras.ActivationObserver(places, lambda p, v, t: passes.assign_add(1.0))
    second = in_keras.ActivationObserver(
        places, lambda place, value, t: place.module.add_loss(1e3 * keras.ops.mean(value))
    )
    images, labels = bars(8)

    def loss():
        model.compile(
            keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        history = model.fit(images.transpose(0, 2, 3, 1), labels, 4, verbose=0).history
        return history["loss"][0]

    assert loss() > 10
    assert float(passes) == 2
    first.remove()  # in another order than they came
    assert loss() > 10
    assert float(passes) == 2
    second.remove()
    assert loss() < 10
    assert all("call" not in vars(layer) for layer in model.layers)


def test_the_same_names_in_both():
    assert in_torch.__all__ == in_keras.__all__
