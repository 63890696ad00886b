"""Thresholds in the place of ReLUs: in PyTorch and Keras models, and searched for."""

import copy

import keras
import numpy as np
import pytest
import torch
from test_regularizer import EXAMPLE, Network, images
from torch import nn
from training_networks import SIZE, bars, keras_residual

import tflite_sparse as ts
from tflite_sparse import keras as in_keras
from tflite_sparse import torch as in_torch
from tflite_sparse.errors import OptionError
from tflite_sparse.training import Star

T = 0.25


def relu(x, t):
    return torch.where(x > t, x, 0.0)


def wanted(model, x, t):
    """What the network gives with these thresholds, written out."""
    x = relu(model.bn(model.first(x)), t["relu"])
    x = relu(model.second(x), t["shared"]).clamp(max=6)
    x = relu(model.third(x), t["shared"]).clamp(max=6)
    return model.head(relu(model.fourth(x), t["fourth"]).mean((2, 3)))


@pytest.mark.parametrize("training", [True, False])
def test_every_relu_gets_its_threshold(training):
    model = Network().train(training)
    state = list(model.state_dict())
    assert in_torch.set_thresholds(model, T, example_inputs=EXAMPLE) is model
    for t in ({"relu": T, "shared": T, "fourth": T}, {"relu": 0.5, "shared": 0.0, "fourth": 0.125}):
        in_torch.set_thresholds(model, t, example_inputs=EXAMPLE)
        assert in_torch.thresholds_of(model) == t
        torch.testing.assert_close(model(images()), wanted(model, images(), t))
    in_torch.set_thresholds(model, {"re*": T})
    assert in_torch.thresholds_of(model) == {"relu": T, "shared": 0.0, "fourth": 0.125}
    in_torch.set_thresholds(model, 0.0, example_inputs=EXAMPLE)
    zero = dict.fromkeys(t, 0.0)
    torch.testing.assert_close(model(images()), wanted(model, images(), zero))
    assert list(model.state_dict()) == state
    assert isinstance(model.relu, in_torch.ThresholdReLU)
    copied = copy.deepcopy(in_torch.set_thresholds(model, T, example_inputs=EXAMPLE))
    assert in_torch.thresholds_of(copied) == dict.fromkeys(t, T)


def test_a_refused_threshold_changes_nothing():
    model = Network()
    with pytest.raises(OptionError, match="expected a threshold t"):
        in_torch.set_thresholds(model, {"relu": T, "shared": -1.0})
    with pytest.raises(OptionError, match="nothing would pass"):
        in_torch.set_thresholds(model, {"relu": T, "shared": 6.0})
    with pytest.raises(OptionError, match="matches none of the names"):
        in_torch.set_thresholds(model, {"conv": T})
    assert in_torch.thresholds_of(model) == {}
    assert isinstance(model.relu, nn.ReLU)
    with pytest.raises(OptionError, match="called as a function and cannot learn"):
        in_torch.set_thresholds(model, T, learnable=True, example_inputs=EXAMPLE)


def test_learned_thresholds_move():
    model = Network().train()
    in_torch.set_thresholds(model, T, learnable=True)
    assert {"relu.t", "shared.t"} <= model.state_dict().keys()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(images()).square().sum().backward()
    optimizer.step()
    moved = in_torch.thresholds_of(model)
    assert all(value != T for value in moved.values())
    hard = {**moved, "fourth": 0.0}
    torch.testing.assert_close(model.eval()(images()), wanted(model, images(), hard))


def test_masks_and_thresholds_share_a_module():
    """Whichever comes first, the other stays, in the model and in the file."""
    outputs = []
    for first in ("masks", "thresholds"):
        torch.manual_seed(0)
        model = Network()
        if first == "thresholds":
            in_torch.set_thresholds(model, T)
        sparsifier = in_torch.ActivationSparsifier(model, SIZE, 0.5, 10, 0, 0, layers=["first"])
        if first == "masks":
            in_torch.set_thresholds(model, T)
        kept = torch.from_numpy(sparsifier.masks()["first"].copy())
        model.eval()(images())
        seen = model.seen[0]
        assert not seen[:, :, ~kept].any()
        assert not ((seen > 0) & (seen <= T)).any()
        assert seen.any()
        outputs.append(seen)
        content = ts.convert_torch(model, (images(1),), progress=False)
        found = run(content, images(1).permute(0, 2, 3, 1).numpy())
        with torch.no_grad():
            np.testing.assert_allclose(found, model(images(1)), rtol=1e-4, atol=1e-5)
    assert torch.equal(*outputs)


def run(content, value, **options):
    interpreter = ts.Interpreter(model_content=content, **options)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_functional_thresholds_are_in_the_file():
    model = Network().eval()
    in_torch.set_thresholds(model, T, example_inputs=EXAMPLE)
    content = ts.convert_torch(model, (images(1),), progress=False)
    with torch.no_grad():
        expected = wanted(model, images(1), dict.fromkeys(("relu", "shared", "fourth"), T))
    found = run(content, images(1).permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_star_sets_thresholds_of_a_running_training():
    model = Network().train()
    regularizer = in_torch.ActivationRegularizer(model)
    star = Star(regularizer, lambda t: in_torch.set_thresholds(model, t), 4, t=T)
    compiled = torch.compile(model, backend="aot_eager")
    losses = []
    for _ in range(4):
        compiled(images())
        losses.append(float(regularizer.loss()))
        star.step()
    shared = {"relu": T, "shared": T}
    assert in_torch.thresholds_of(model) == shared
    torch.testing.assert_close(compiled(images()), wanted(model, images(), {**shared, "fourth": 0}))
    # Fewer activations count between 0 and t than above 0.
    assert losses[0] == losses[1] > losses[2] == losses[3] > 0


@pytest.fixture(scope="module")
def plain():
    """A Keras network with a ReLU layer, two that are functions or follow an Add, and a fused one."""
    keras.utils.set_random_seed(0)
    model = keras_residual()
    value = keras.layers.Conv2D(3, 3, activation="relu", name="fused")(model.inputs[0])
    pooled = keras.layers.GlobalAveragePooling2D()(value)
    return keras.Model(model.inputs, keras.ops.concatenate([model.outputs[0], pooled], -1))


def test_every_relu_of_a_keras_model_gets_its_threshold(plain):
    x = np.moveaxis(bars(8)[0], 1, -1)
    before = np.asarray(plain(x))
    same = in_keras.set_thresholds(plain, 0.0)
    np.testing.assert_array_equal(np.asarray(same(x)), before)
    model = in_keras.set_thresholds(plain, T)
    names = in_keras.thresholds_of(model)
    assert set(names.values()) == {T}
    assert len(names) == 4, names
    assert "stem_relu" in names
    assert "fused_threshold" in names
    # Every result of a ReLU, seen by layers after them.
    seen = {}
    for layer in model.layers:
        if isinstance(layer, in_keras.ThresholdReLU):
            inner = keras.Model(model.inputs, layer.output)
            seen[layer.name] = np.asarray(inner(x))
    for name, values in seen.items():
        assert not ((values > 0) & (values <= T)).any(), name
        assert (values > T).any(), name
    np.testing.assert_array_equal(np.asarray(plain(x)), before)
    assert model.get_layer("stem") is plain.get_layer("stem")
    again = in_keras.set_thresholds(model, {"stem_relu": 0.5})
    assert again is model
    assert in_keras.thresholds_of(model)["stem_relu"] == 0.5
    content = ts.convert_keras(model, progress=False)
    np.testing.assert_allclose(run(content, x[:1]), model(x[:1]), rtol=1e-4, atol=1e-5)


def test_keras_thresholds_change_in_a_running_fit(plain):
    model = in_keras.set_thresholds(plain, 0.0)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.moveaxis(bars(32)[0], 1, -1)
    losses = []

    def step(batch, logs):
        losses.append(logs["loss"])
        if batch == 1:
            in_keras.set_thresholds(model, 0.5)

    callback = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: model.reset_metrics(), on_train_batch_end=step
    )
    batch = np.repeat(x[:8], 4, 0)
    model.fit(batch, np.zeros((32, 7)), 8, shuffle=False, verbose=0, callbacks=[callback])
    assert losses[0] != losses[3]


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_the_search_keeps_the_budget(framework, plain):
    """Global, then per layer, against the loss of each candidate computed apart."""
    x = bars(64)[0]
    if framework == "torch":
        model = Network().eval()
        package, options = in_torch, {}

        def outputs():
            with torch.no_grad():
                return model(torch.from_numpy(x)).numpy()
    else:
        model = in_keras.set_thresholds(plain, 0.0)
        package, options = in_keras, {}

        def outputs():
            return np.asarray(model(np.moveaxis(x, 1, -1)))

    dense = outputs()

    def loss():
        return float(np.abs(outputs() - dense).max())

    package.set_thresholds(model, 2.0**-3)
    budget = loss()
    package.set_thresholds(model, 0.0)
    found = package.search_thresholds(model, loss, budget, **options)
    assert found.dense_loss == 0
    assert found.loss == loss() <= budget
    assert set(found.thresholds.values()) == {2.0**-3}
    assert package.thresholds_of(model) == found.thresholds
    finer = package.search_thresholds(model, loss, budget * 1.001, per_layer=True)
    assert finer.loss == loss() <= budget * 1.001
    assert all(finer.thresholds[name] >= t for name, t in found.thresholds.items())
    assert finer.evaluations > found.evaluations


def test_a_keras_search_needs_thresholds(plain):
    with pytest.raises(OptionError, match=r"set_thresholds\(model, 0.0\)"):
        in_keras.search_thresholds(plain, lambda: 0.0, 0.1)
