"""The residual network of networks.py in Keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def resnet(width: int, size: int) -> Any:
    """A functional model from pictures ``[N, size, size, 1]`` to ten logits."""
    images = layers.Input((size, size, 1))
    x = layers.ReLU(name="stem_relu")(_conv_bn(images, width, 3, 1, "stem"))
    x = _block(x, width, 1, "block1")
    x = _block(x, 2 * width, 2, "block2")
    x = _block(x, 4 * width, 2, "block3")
    logits = layers.Dense(10, name="logits")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, logits, name="resnet")


def _block(x: Any, channels: int, stride: int, name: str) -> Any:
    y = _conv_bn(x, channels, 3, stride, f"{name}_first")
    y = layers.ReLU(name=f"{name}_first_relu")(y)
    y = _conv_bn(y, channels, 3, 1, f"{name}_second")
    if stride != 1 or x.shape[-1] != channels:
        x = _conv_bn(x, channels, 1, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, x]))


def _conv_bn(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)
