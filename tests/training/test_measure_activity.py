"""Zeros and effective multiply-accumulates of PyTorch and Keras models, against counting one by one."""

import copy

import keras
import numpy as np
import pytest
import torch
from torch import nn

import tflite_sparse as ts
from tflite_sparse import keras as in_keras
from tflite_sparse import torch as in_torch
from tflite_sparse.errors import ModelError, OptionError


def sparse(shape, seed=0, share=0.4):
    generator = np.random.default_rng(seed)
    return np.where(generator.random(shape) < share, 0, generator.normal(size=shape)).astype("f")


def sparse_weights(module, seed=0):
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(sparse(module.weight.shape, seed + 1)))
        if module.bias is not None:
            module.bias.fill_(3.0)
    return module


LAYERS = {
    "plain": lambda: nn.Conv2d(4, 6, 3),
    "same": lambda: nn.Conv2d(4, 6, 3, padding="same"),
    "stride": lambda: nn.Conv2d(4, 6, (3, 5), (2, 3), (1, 2)),
    "dilation": lambda: nn.Conv2d(4, 6, 3, padding=2, dilation=2),
    "groups": lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1),
    "transposed groups": lambda: nn.ConvTranspose2d(4, 6, 3, 2, groups=2),
    "linear": lambda: nn.Linear(7, 5),
    "one axis": lambda: nn.Conv1d(4, 6, 3, 2, 1),
}


def counted(module, x):
    """Nonzero products of each sample, by the module itself run on ones and zeros.

    With 0 and 1 for weights and activations and without a bias, each output is the number of
    its nonzero products.
    """
    twin = copy.deepcopy(module).double()
    with torch.no_grad():
        twin.weight.copy_((module.weight != 0).to(torch.float64))
        if twin.bias is not None:
            twin.bias.zero_()
        return twin((x != 0).to(torch.float64)).flatten(1).sum(1).round().numpy()


@pytest.mark.parametrize("name", LAYERS)
def test_torch_layers_are_counted_exactly(name):
    module = sparse_weights(LAYERS[name]())
    shape = {"linear": (3, 7), "one axis": (3, 4, 11)}.get(name, (3, 4, 9, 11))
    x = torch.from_numpy(sparse(shape))
    wanted = counted(module, x)
    report = in_torch.measure_activity(nn.Sequential(module), [x[:2], x[2:]])
    (layer,) = report.layers
    assert (layer.layer, layer.op, report.samples) == ("0", type(module).__name__, 3)
    assert layer.macs_effective == pytest.approx(wanted.mean(), rel=1e-12)
    zeros = (x == 0).flatten(1).double().mean(1)
    assert layer.zeros == pytest.approx(float(zeros.mean()))
    assert layer.zeros_min == pytest.approx(float(zeros.min()))
    # All ones make every product that is not with padding.
    full = nn.Sequential(LAYERS[name]())
    torch.nn.init.ones_(full[0].weight)
    dense = in_torch.measure_activity(full, [torch.ones_like(x)]).layers[0]
    assert dense.macs_effective <= dense.macs_dense == layer.macs_dense
    if name in ("plain", "linear", "transposed groups"):
        assert dense.macs_effective == dense.macs_dense


def keras_twin(module):
    """The same layer in Keras, with the same weights."""
    pairs = tuple(module.stride), tuple(module.dilation)
    kind = keras.layers.Conv2D
    options = {"strides": pairs[0], "dilation_rate": pairs[1], "name": "0"}
    padding = "valid" if module.padding in ((0, 0), "valid") else "same"
    weights = module.weight.detach().numpy()
    if isinstance(module, nn.ConvTranspose2d):
        kind = keras.layers.Conv2DTranspose
        kernel = weights.transpose(2, 3, 1, 0)
    elif module.groups == module.in_channels:
        kind = keras.layers.DepthwiseConv2D
        multiplier = module.out_channels // module.groups
        kernel = weights.reshape(module.groups, multiplier, *weights.shape[2:])
        kernel = kernel.transpose(2, 3, 0, 1)
        layer = kind(module.kernel_size, depth_multiplier=multiplier, padding=padding, **options)
        return layer, kernel
    else:
        options["groups"] = module.groups
        kernel = weights.transpose(2, 3, 1, 0)
    return kind(module.out_channels, module.kernel_size, padding=padding, **options), kernel


@pytest.mark.parametrize("name", ["plain", "same", "dilation", "groups", "depthwise"])
def test_keras_counts_what_torch_counts(name):
    module = sparse_weights(LAYERS[name]())
    x = sparse((3, 4, 9, 11))
    wanted = in_torch.measure_activity(nn.Sequential(module), [torch.from_numpy(x)])
    layer, kernel = keras_twin(module)
    model = keras.Sequential([keras.layers.Input((9, 11, 4)), layer])
    layer.kernel.assign(kernel)
    value = np.moveaxis(x, 1, -1)
    np.testing.assert_allclose(
        np.moveaxis(np.asarray(model(value)), -1, 1) + 3,
        module(torch.from_numpy(x)).detach(),
        atol=1e-4,
    )
    found = in_keras.measure_activity(model, [value])
    assert found.layers[0].macs_effective == wanted.layers[0].macs_effective
    assert found.layers[0].macs_dense == wanted.layers[0].macs_dense
    assert found.layers[0].zeros == wanted.layers[0].zeros


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kind", ["Conv2D", "Conv2DTranspose", "Dense"])
def test_keras_layers_are_counted_exactly(kind, padding, stride):
    """Against the layer itself on ones and zeros, as above; even kernels pad unevenly."""
    for size in (7, 8):
        layer = (
            keras.layers.Dense(5)
            if kind == "Dense"
            else getattr(keras.layers, kind)(5, (4, 3), strides=stride, padding=padding)
        )
        model = keras.Sequential([keras.layers.Input((size, 8, 2)), layer])
        layer.kernel.assign(sparse(layer.kernel.shape, 1))
        x = sparse((2, size, 8, 2))
        found = in_keras.measure_activity(model, [x]).layers[0]
        layer.kernel.assign((np.asarray(layer.kernel) != 0).astype("f"))
        products = np.asarray(model((x != 0).astype("f")), np.float64)
        assert found.macs_effective == round(products.sum()) / 2
        layer.kernel.assign(np.ones(layer.kernel.shape))
        if padding == "valid" and stride == 1:
            assert found.macs_dense == np.asarray(model(np.ones((1, size, 8, 2)))).sum()


def test_a_whole_network_with_thresholds_and_masks():
    """The next layer reads what threshold and mask leave."""
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, padding=1), nn.ReLU6()
    )
    x = torch.from_numpy(sparse((4, 1, 8, 8)))
    in_torch.set_thresholds(model, 0.25)
    sparsifier = in_torch.ActivationSparsifier(model, 8, 0.5, 10, 0, 0, layers=["0"])
    with torch.no_grad():
        hidden = model.eval()[:2](x)
    kept = sparsifier.masks()["0"]
    assert not hidden[:, :, torch.from_numpy(~kept)].any()
    model.train()
    report = in_torch.measure_activity(torch.compile(model), [x])
    assert model.training
    assert [layer.layer for layer in report.layers] == ["0", "2"]
    assert report.layers[1].zeros == pytest.approx(float((hidden == 0).float().mean()))
    assert report.layers[1].macs_effective == counted(model[2], hidden).mean()


def test_the_file_has_the_activity_of_the_trainer():
    """With weights and inputs of few bits every sum is exact, so the zeros are the same ones."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, 2, 1),
        nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3),
    )  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-1, 2, parameter.shape))
    in_torch.set_thresholds(model, 2.0)
    x = torch.randint(-2, 3, (3, 2, 16, 16)).float()
    mine = in_torch.measure_activity(model, [x])
    content = ts.convert_torch(model, (x[:1],), progress=False)
    file = ts.measure_activity(content, [x.permute(0, 2, 3, 1).contiguous().numpy()])
    assert len(file.layers) == 4
    for layer, other in zip(mine.layers, file.layers):
        assert layer.macs_effective == other.macs_effective
        assert layer.macs_dense == other.macs_dense
    # Before its convolutions the file has operations that pad, whose zeros are inputs there.
    assert mine.layers[3].zeros == file.layers[3].zeros
    assert 0.1 < mine.layers[1].zeros < file.layers[1].zeros < 0.9


def test_bad_requests_are_refused():
    model = nn.Sequential(nn.Conv2d(1, 2, 3))
    with pytest.raises(OptionError, match="at least one batch"):
        in_torch.measure_activity(model, [])
    with pytest.raises(ModelError, match="nothing to count"):
        in_torch.measure_activity(nn.Sequential(nn.ReLU()), [torch.zeros(1, 2)])
    with pytest.raises(ModelError, match="padding_mode='reflect'"):
        in_torch.measure_activity(
            nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")), [torch.zeros(1)]
        )
    assert not model[0]._forward_hooks
    network = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(OptionError, match="at least one batch"):
        in_keras.measure_activity(network, [])
    causal = keras.Sequential(
        [keras.layers.Input((8, 1)), keras.layers.Conv1D(2, 3, padding="causal", name="past")]
    )
    with pytest.raises(ModelError, match="'past' pads causally"):
        in_keras.measure_activity(causal, [np.zeros((1, 8, 1))])
