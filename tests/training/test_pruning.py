"""Pruned weights stay zero in training, in both frameworks; with zeros in activations too."""

import keras
import numpy as np
import pytest
import torch
from torch import nn
from training_networks import bars, keras_residual

from tflite_sparse import keras as in_keras
from tflite_sparse import torch as in_torch
from tflite_sparse.errors import OptionError
from tflite_sparse.training import DualSparse


def network():
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(8, 4),
    )


def zeros(model):
    weights = [
        module.weight for module in model if hasattr(module, "weight") and module.weight.ndim > 1
    ]
    return sum(int((w == 0).sum()) for w in weights), sum(w.numel() for w in weights)


def test_dual_sparse_training_of_a_torch_model():
    """Exactly the asked share of weights is zero at the end; resuming gives the same to the bit."""

    def start():
        torch.manual_seed(0)
        model = network().train()
        pruner = in_torch.WeightPruner(model)
        regularizer = in_torch.ActivationRegularizer(model)
        dual = DualSparse(pruner, regularizer, 24, weight_l1=1e-4, activation_weight=1e-3)
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        return model, pruner, regularizer, dual, optimizer

    x, labels = map(torch.from_numpy, bars(192))

    def train(parts, steps):
        model, pruner, regularizer, dual, optimizer = parts
        for step in steps:
            part = slice(8 * step, 8 * step + 8)
            loss = nn.functional.cross_entropy(model(x[part]), labels[part])
            optimizer.zero_grad()
            (loss + regularizer.loss() + pruner.loss()).backward()
            optimizer.step()
            dual.step()

    first = start()
    train(first, range(15))
    saved = [part.state_dict() for part in (first[0], first[4], first[3])]
    saved = torch.load(_stored(saved), weights_only=False)
    train(first, range(15, 24))
    found, total = zeros(first[0])
    assert found == round(0.6 * total)
    assert first[1].sparsity == pytest.approx(0.6, abs=1 / total)
    assert first[3].phase == "activations"
    again = start()
    for part, state in zip((again[0], again[4], again[3]), saved):
        part.load_state_dict(state)
    train(again, range(15, 24))
    for name, value in first[0].state_dict().items():
        assert torch.equal(value, again[0].state_dict()[name]), name


def _stored(value):
    import io

    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


def test_the_penalty_is_the_sum_of_magnitudes():
    model = network()
    pruner = in_torch.WeightPruner(model, ["0", "7"], weight=0.5)
    wanted = 0.5 * (model[0].weight.abs().sum() + model[7].weight.abs().sum())
    torch.testing.assert_close(pruner.loss(), wanted)
    pruner.use(0.0)
    assert pruner.loss() == 0


def test_keras_weights_are_pruned_in_fit():
    keras.utils.set_random_seed(0)
    model = keras_residual()
    pruner = in_keras.WeightPruner(model, ["stem", "middle"], weight=0.25)
    kernels = [model.get_layer(name).kernel for name in ("stem", "middle")]
    wanted = 0.25 * sum(np.abs(np.asarray(kernel)).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(float(wanted), rel=1e-5)

    def step(batch, logs):
        if batch == 2:
            pruner.use(0.0)
            pruner.prune(0.5)
        pruner.step()

    x, labels = bars(64)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=step)
    model.fit(np.moveaxis(x, 1, -1), labels, 8, verbose=0, callbacks=[callback])
    assert float(sum(model.losses)) == 0
    found = sum(int((np.asarray(kernel) == 0).sum()) for kernel in kernels)
    assert found == round(0.5 * sum(np.asarray(kernel).size for kernel in kernels))
    other = in_keras.WeightPruner(keras_residual(), ["stem", "middle"])
    other.load_state_dict(pruner.state_dict())
    assert other.sparsity == pruner.sparsity


@pytest.mark.parametrize("make", [lambda **o: in_torch.WeightPruner(network(), **o),
                                  lambda **o: in_keras.WeightPruner(keras_residual(), **o)])  # fmt: skip
def test_bad_options_are_refused(make):
    with pytest.raises(OptionError, match="expected a weight"):
        make(weight=-1.0)
    with pytest.raises(OptionError, match="matches none of the names"):
        make(layers="nothing")
    pruner = make()
    with pytest.raises(OptionError, match="sparsity of weights"):
        pruner.prune(1.0)
    with pytest.raises(OptionError, match="other weights"):
        pruner.load_state_dict({"other": "00"})
