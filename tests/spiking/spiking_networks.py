"""Small random networks, and a simulation of them that knows neither convolutions nor batches."""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


def images(count, size=(2, 9, 8), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((count, *size), generator=generator, dtype=torch.float64)


def prepared(model, seed=0, zeros=0.3):
    """In double precision, with random weights, some of them zero, and BatchNorms that matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                shape = module.weight.shape
                pruned = torch.rand(shape, generator=generator) < zeros
                module.weight.copy_(torch.randn(shape, generator=generator) * ~pruned)
                module.weight /= shape[1:].numel() ** 0.5
                if module.bias is not None:
                    module.bias.copy_(torch.randn(shape[:1], generator=generator) / 8)
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                channels = module.weight.shape
                if module.running_mean is None:
                    continue
                module.running_mean.copy_(torch.randn(channels, generator=generator) / 4)
                module.running_var.copy_(0.5 + torch.rand(channels, generator=generator))
                module.weight.copy_(torch.randn(channels, generator=generator))
                module.bias.copy_(torch.randn(channels, generator=generator) / 4)
    return model.double().eval()


def perceptron():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(144, 20), nn.ReLU(), nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 5)
    )


class Residual(nn.Module):
    """Convolutions of every kind, both poolings and both kinds of shortcut."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(2, 4, (3, 2), (1, 2), (2, 1), bias=False), nn.BatchNorm2d(4)
        )
        self.grouped = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.BatchNorm2d(4))
        self.down = nn.Conv2d(4, 6, 3, 2, 2, dilation=2)
        self.shortcut = nn.Conv2d(4, 6, 1, 2, bias=False)
        self.max_pool, self.average_pool = nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, ceil_mode=True)
        self.head = nn.Linear(12, 5)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.stem(x))
        y = torch.clamp(self.grouped(x) + x, min=0)
        y = self.max_pool(y)
        y = self.relu(self.down(y) + self.shortcut(y))
        return self.head(self.average_pool(y).flatten(1))


@dataclass
class Reads:
    """What one layer of neurons reads of another one, or (source None) of the input.

    `windows` are, of each element that is read, the neurons whose largest count it is.
    """

    source: int | None
    module: nn.Module
    windows: list | None = None


def windows(shape, kernel, stride, padding):
    channels, height, width = shape
    numbers = np.arange(channels * height * width).reshape(shape)
    rows = range(-padding, height + padding - kernel + 1, stride)
    columns = range(-padding, width + padding - kernel + 1, stride)
    return [
        [
            numbers[c, y, x]
            for y, x in itertools.product(range(top, top + kernel), range(left, left + kernel))
            if 0 <= y < height and 0 <= x < width
        ]
        for c, top, left in itertools.product(range(channels), rows, columns)
    ]


def layers_of(model):
    """The layers of neurons of the two networks here, each a list of what it reads."""
    if isinstance(model, nn.Sequential):
        return [[Reads(k - 1 if k else None, m)] for k, m in enumerate((model[1], model[3], model[5]))]  # fmt: skip
    pooled = windows((4, 11, 5), 3, 2, 1)
    return [
        [Reads(None, model.stem)],
        [Reads(0, model.grouped), Reads(0, nn.Identity())],
        [Reads(1, model.down, pooled), Reads(1, model.shortcut, pooled)],
        [Reads(2, model.average_pool)],
        [Reads(3, nn.Sequential(nn.Flatten(), model.head))],
    ]


def matrix(module, shape):
    """``[outputs, inputs]`` of a layer, its bias ``[outputs]``, and its output's shape."""
    size = int(np.prod(shape))
    with torch.no_grad():
        zero = module(torch.zeros((1, *shape), dtype=torch.float64))
        made = module(torch.eye(size, dtype=torch.float64).view(size, *shape)) - zero
    weights = made.flatten(1).T.numpy()
    weights[np.abs(weights) < 1e-12] = 0
    return weights, zero.flatten().numpy(), tuple(zero.shape[1:])


def brute_force(model, scales, image, steps):
    """Neuron by neuron, spike by spike: spikes, synaptic operations, outputs of one image."""
    shapes, connected = [], []
    for reads in layers_of(model):
        sets = []
        for read in reads:
            shape = image.shape if read.source is None else shapes[read.source]
            if read.windows is not None:
                shape = (4, 6, 3)
            if isinstance(model, nn.Sequential):
                shape = (int(np.prod(shape)),)
            weights, bias, made = matrix(read.module, shape)
            sets.append((read, weights, bias))
        shapes.append(made)
        connected.append(sets)
    counts = [np.zeros(int(np.prod(shape)), int) for shape in shapes]
    potentials = [np.zeros(int(np.prod(shape))) for shape in shapes]
    spikes, synops = np.zeros(len(shapes), int), np.zeros(len(shapes), int)
    passed = {}
    for _ in range(steps):
        fired = []
        for index, sets in enumerate(connected):
            scale, last = scales[index], index == len(connected) - 1
            for number, (read, weights, bias) in enumerate(sets):
                potentials[index] += bias / scale
                if read.source is None:
                    potentials[index] += weights @ image.flatten().numpy() / scale
                    continue
                sources = fired[read.source]
                if read.windows is not None:
                    before = passed.get((index, number), np.zeros(len(read.windows), int))
                    now = np.array([max(counts[read.source][w] for w in some) for some in read.windows])  # fmt: skip
                    passed[index, number] = now
                    sources = np.flatnonzero(now - before)
                for source in sources:
                    for target in np.flatnonzero(weights[:, source]):
                        potentials[index][target] += (
                            weights[target, source] * scales[read.source] / scale
                        )
                        synops[index] += 1
            fired.append([] if last else np.flatnonzero(potentials[index] >= 1))
            potentials[index][fired[-1]] -= 1
            counts[index][fired[-1]] += 1
            spikes[index] += len(fired[-1])
    return spikes, synops, potentials[-1] * scales[-1] / steps
