"""Small networks with the building blocks of well-known ones."""

import torch
from torch import nn
from torch.nn import functional as F
from torch_networks import conv_bn


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x):
        scale = F.relu(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * F.hardsigmoid(self.expand(scale))


class InvertedResidual(nn.Module):
    """MobileNetV3's block: expand, depthwise, squeeze and excite, project."""

    def __init__(self, channels, activation):
        super().__init__()
        self.expand = conv_bn(channels, 2 * channels, 1, 1, activation())
        self.depthwise = nn.Sequential(
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels, bias=False),
            nn.BatchNorm2d(2 * channels),
            activation(),
        )
        self.excite = SqueezeExcite(2 * channels)
        self.project = conv_bn(2 * channels, channels, 1)

    def forward(self, x):
        return x + self.project(self.excite(self.depthwise(self.expand(x))))


class SqueezeExciteNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            conv_bn(3, 16, 3, 2, nn.Hardswish()),
            InvertedResidual(16, nn.ReLU),
            InvertedResidual(16, nn.Hardswish),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 10),
        )


class UNet(nn.Module):
    """One level up by a transposed convolution, one by bilinear, one by nearest resizing."""

    def __init__(self):
        super().__init__()
        relu = nn.ReLU
        self.down = nn.ModuleList(
            [
                conv_bn(3, 8, 3, 1, relu()),
                conv_bn(8, 12, 3, 1, relu()),
                conv_bn(12, 16, 3, 1, relu()),
            ]
        )
        self.bottom = conv_bn(16, 16, 3, 1, relu())
        self.up = nn.ConvTranspose2d(16, 16, 2, 2)
        self.join = nn.ModuleList(
            [
                conv_bn(32, 12, 3, 1, relu()),
                conv_bn(24, 8, 3, 1, relu()),
                conv_bn(16, 8, 3, 1, relu()),
            ]
        )
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        levels = []
        for down in self.down:
            levels.append(down(x))
            x = F.max_pool2d(levels[-1], 2)
        x = self.join[0](torch.cat((self.up(self.bottom(x)), levels[2]), 1))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = self.join[1](torch.cat((x, levels[1]), 1))
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.head(self.join[2](torch.cat((x, levels[0]), 1)))


class ConvNeXtBlock(nn.Module):
    """A depthwise 7 x 7, LayerNorm and two linear layers over channels, scaled and added."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.expand, self.project = (
            nn.Linear(channels, 2 * channels),
            nn.Linear(2 * channels, channels),
        )
        self.scale = nn.Parameter(torch.full((channels,), 0.5))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.project(F.gelu(self.expand(y)))
        return x + y.permute(0, 3, 1, 2)


class ConvNeXt(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 16, 4, 4),
            ConvNeXtBlock(16),
            ConvNeXtBlock(16),
            nn.Conv2d(16, 24, 2, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 10),
        )


class ShuffleBlock(nn.Module):
    """Half of the channels pass; then the channels are shuffled."""

    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv_bn(half, half, 1, 1, nn.ReLU()),
            nn.Sequential(
                nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False), nn.BatchNorm2d(half)
            ),
            conv_bn(half, half, 1, 1, nn.ReLU()),
        )

    def forward(self, x):
        left, right = x.chunk(2, 1)
        y = torch.cat((left, self.branch(right)), 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            conv_bn(3, 16, 3, 2, nn.ReLU()),
            nn.MaxPool2d(3, 2, 1),
            ShuffleBlock(16),
            ShuffleBlock(16),
            conv_bn(16, 24, 1, 1, nn.ReLU()),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 10),
        )
