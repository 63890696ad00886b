"""Two small networks in PyTorch, of the two families that the paper measures."""

from __future__ import annotations

import torch
from torch import nn


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    """A convolution that keeps the size but for its stride, and its BatchNorm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions parallel to a shortcut (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_bn(inputs, outputs, 3, stride)
        self.first_relu = nn.ReLU()
        self.second = conv_bn(outputs, outputs, 3)
        plain = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if plain else conv_bn(inputs, outputs, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, inputs, H, W]`` to ``[N, outputs, H / stride, W / stride]``."""
        y = self.second(self.first_relu(self.first(x)))
        return self.relu(y + self.shortcut(x))


class InvertedResidual(nn.Module):
    """1 x 1 to four times the channels, 3 x 3 depthwise, 1 x 1 back (Sandler et al., 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = 4 * inputs
        self.expand = nn.Sequential(conv_bn(inputs, hidden, 1), nn.ReLU6())
        self.depthwise = nn.Sequential(conv_bn(hidden, hidden, 3, stride, hidden), nn.ReLU6())
        self.project = conv_bn(hidden, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, inputs, H, W]`` to ``[N, outputs, H / stride, W / stride]``."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


def resnet(width: int) -> nn.Module:
    """Three blocks of `width`, 2 x `width` and 4 x `width` channels: 78,000 weights at 16."""
    return nn.Sequential(
        nn.Sequential(conv_bn(1, width, 3), nn.ReLU()),
        ResidualBlock(width, width, 1),
        ResidualBlock(width, 2 * width, 2),
        ResidualBlock(2 * width, 4 * width, 2),
        *_head(4 * width),
    )


def mobilenet(width: int) -> nn.Module:
    """A stem of stride 2, four inverted residuals of `width` to 4 x `width` channels: 67,000 weights."""
    return nn.Sequential(
        nn.Sequential(conv_bn(1, width, 3, 2), nn.ReLU6()),
        InvertedResidual(width, 2 * width, 1),
        InvertedResidual(2 * width, 2 * width, 1),
        InvertedResidual(2 * width, 4 * width, 2),
        InvertedResidual(4 * width, 4 * width, 1),
        *_head(4 * width),
    )


def lenet5(width: int) -> nn.Module:
    """Two 5 x 5 convolutions and three linear layers (LeCun et al., 1998), with ReLUs.

    `width` 16 has the published 6, 16, 120 and 84 channels: 62,000 weights.
    """
    first, second, third, fourth = (channels * width // 16 for channels in (6, 16, 120, 84))
    return nn.Sequential(
        *(nn.Conv2d(1, first, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(first, second, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(25 * second, third), nn.ReLU()),
        *(nn.Linear(third, fourth), nn.ReLU(), nn.Linear(fourth, 10)),
    )


#: What makes each network from its width.
NETWORKS = {"resnet": resnet, "mobilenet": mobilenet, "lenet5": lenet5}


def _head(channels: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)
