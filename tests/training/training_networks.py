"""A small residual network in PyTorch and in Keras, and a task of seconds."""

import numpy as np
import torch
from torch import nn

SIZE = 16
#: The convolutions of both networks in the order of their calls, and their outputs.
SHAPES = {"stem": (16, 16), "reduce": (8, 8), "middle": (8, 8)}
SHORTCUT = "shortcut"


class Residual(nn.Module):
    """One ReLU module runs three times; the last ReLU is a function."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.reduce, self.reduce_bn = nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.middle, self.middle_bn = nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.shortcut, self.shortcut_bn = nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.relu(self.stem_bn(self.stem(x)))
        y = self.relu(self.reduce_bn(self.reduce(x)))
        y = self.middle_bn(self.middle(y))
        y += self.shortcut_bn(self.shortcut(x))
        return self.head(nn.functional.relu(y).mean((2, 3)))


def keras_residual():
    import keras
    from keras import layers as kl

    def conv_bn(x, channels, kernel, stride, name):
        x = kl.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=name)(x)
        return kl.BatchNormalization(name=f"{name}_bn")(x)

    images = kl.Input((SIZE, SIZE, 1))
    x = kl.ReLU(name="stem_relu")(conv_bn(images, 8, 3, 1, "stem"))
    y = keras.ops.relu(conv_bn(x, 16, 3, 2, "reduce"))
    y = kl.Add()([conv_bn(y, 16, 3, 1, "middle"), conv_bn(x, 16, 1, 2, SHORTCUT)])
    y = kl.GlobalAveragePooling2D()(kl.ReLU()(y))
    return keras.Model(images, kl.Dense(4, name="head")(y))


def bars(count, seed=0):
    """Images ``[count, 1, 16, 16]`` of a noisy bar, and which of 4 directions it has."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, count)
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    shifts = generator.uniform(-4, 4, (2, count, 1, 1))
    angles = (labels * np.pi / 4)[:, None, None]
    away = (rows - shifts[0]) * np.cos(angles) + (columns - shifts[1]) * np.sin(angles)
    images = (np.abs(away) < 1.5) + generator.normal(0, 0.3, away.shape)
    return images[:, None].astype(np.float32), labels


def train(model, sparsifier, steps, seed=0, batch=32, images=None):
    """Trains with Adam; one sparsifier step per batch."""
    images, labels = map(torch.from_numpy, images or bars(1024, seed))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(steps):
        chosen = torch.randint(0, len(images), (batch,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[chosen]), labels[chosen]).backward()
        optimizer.step()
        sparsifier.step()


@torch.no_grad()
def logits(model, images):
    model.eval()
    return model(torch.from_numpy(images)).numpy()
