"""The exported graph, read from its file and run by a few lines of numpy and torch, spikes alike."""

import sys

import nir
import numpy as np
import pytest
import torch
from spiking_networks import images, perceptron, prepared
from torch import nn
from torch.nn import functional

from tflite_sparse import spiking
from tflite_sparse.errors import ConversionError
from tflite_sparse.torch import ActivationMask, ThresholdReLU


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(2, 4, (3, 2), padding=1), nn.BatchNorm2d(4)
        self.grouped = nn.Conv2d(4, 4, 3, padding="same", groups=2)
        self.pool, self.head = nn.AvgPool2d(3, 2), nn.Linear(64, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = self.pool(torch.relu(x + self.grouped(x)))
        return self.head(x.flatten(1))


class Doubled(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        x = torch.relu(x)
        return torch.relu(self.norm(x + x))


def run(graph, image, steps):
    """Spikes per IF node and the sum of the output of one image."""

    def apply(node, x):
        if isinstance(node, (nir.Input, nir.Output)):
            return x
        if isinstance(node, nir.Flatten):
            return x.flatten()
        if isinstance(node, nir.Scale):
            return x * torch.from_numpy(node.scale)
        if isinstance(node, (nir.Linear, nir.Affine)):
            return torch.from_numpy(node.weight) @ x + torch.as_tensor(getattr(node, "bias", 0))
        if isinstance(node, nir.AvgPool2d):
            assert not node.padding.any()
            kernel, stride = tuple(node.kernel_size.tolist()), tuple(node.stride.tolist())
            return functional.avg_pool2d(x[None], kernel, stride)[0]
        assert isinstance(node, nir.Conv2d)
        assert tuple(node.input_shape) == tuple(x.shape[1:])
        stride, dilation = (tuple(int(n) for n in pair) for pair in (node.stride, node.dilation))
        padding = node.padding
        padding = padding if isinstance(padding, str) else tuple(int(n) for n in padding)
        weight, bias = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
        groups = int(node.groups)
        return functional.conv2d(x[None], weight, bias, stride, padding, dilation, groups)[0]

    order, total = ["input"], 0
    while len(order) < len(graph.nodes):
        order += [
            name for name in graph.nodes
            if name not in order and all(a in order for a, b in graph.edges if b == name)
        ]  # fmt: skip
    potentials, spikes = {}, dict.fromkeys(graph.nodes, 0)
    for _ in range(steps):
        values = {}
        for name in order:
            node = graph.nodes[name]
            given = [values[a] for a, b in graph.edges if b == name]
            x = sum(given[1:], given[0]) if given else image
            if isinstance(node, nir.IF):
                v = potentials.get(name, 0) + torch.from_numpy(node.r) * x
                fired = (v >= torch.from_numpy(node.v_threshold)).double()
                potentials[name] = v - fired * torch.from_numpy(node.v_threshold)
                spikes[name] += int(fired.sum())
                x = fired
            else:
                x = apply(node, x)
            values[name] = x
        total = total + values["output"]
    fired = {name: n for name, n in spikes.items() if isinstance(graph.nodes[name], nir.IF)}
    return fired, total


@pytest.mark.parametrize("make", [perceptron, Residual])
def test_a_reader_of_the_file_makes_the_same_spikes(make, tmp_path):
    network = spiking.convert(prepared(make()), images(20), 95)
    shown = images(3, seed=5)
    wanted = spiking.simulate(network, shown, 40, progress=False)
    nir.write(tmp_path / "network.nir", spiking.to_nir(network, (2, 9, 8)))
    graph = nir.read(tmp_path / "network.nir", type_check=False)
    for sample, image in enumerate(shown):
        spikes, total = run(graph, image, 40)
        layers = wanted.layers[:-1]
        assert spikes == {f"{layer.name}.neurons": layer.spikes[sample] for layer in layers}
        np.testing.assert_allclose(total / 40, wanted.outputs[sample], atol=1e-9)


REFUSED = {
    "threshold": (lambda: ThresholdReLU(0.1), "'0' has a threshold"),
    "mask": (lambda: nn.Sequential(nn.ReLU(), ActivationMask(np.eye(7, 6))), "'0' has a mask"),
    "max pooling": (lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(1)), "through max pooling"),
    "normalised sum": (Doubled, "'add' adds a bias to a shortcut"),
    "short windows": (
        lambda: nn.Sequential(nn.ReLU(), nn.AvgPool2d(2, ceil_mode=True)),
        "'1.1' averages windows that are not all alike",
    ),
    "padding": (
        lambda: nn.Sequential(nn.ReLU(), nn.AvgPool2d(2, 1, 1)),
        "'1.1' averages windows that are not all alike",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_representation_lacks(name):
    make, message = REFUSED[name]
    model = nn.Sequential(nn.Conv2d(2, 3, 3), make(), nn.Flatten())
    with torch.no_grad():
        count = model(images(1).float()).shape[1]
    model.append(nn.Linear(count, 5))
    network = spiking.convert(prepared(model), images(4))
    with pytest.raises(ConversionError, match=f"{message}.*simulate"):
        spiking.to_nir(network, (2, 9, 8))


def test_without_the_package(monkeypatch):
    network = spiking.convert(prepared(perceptron()), images(4))
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ImportError, match=r"pip install 'tflite-sparse\[nir\]'"):
        spiking.to_nir(network, (2, 9, 8))
