"""ResNet-18 and YOLOv5n in PyTorch; torchvision does not import with the CPU build of torch."""

import torch
from torch import nn


def conv_bn(channels_in, channels, kernel, stride=1, activation=None):
    layers = [
        nn.Conv2d(channels_in, channels, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.BatchNorm2d(channels),
    ]
    return nn.Sequential(*layers, *([] if activation is None else [activation]))


class BasicBlock(nn.Module):
    """Its one ReLU runs twice, as in torchvision."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1:
            self.downsample = conv_bn(channels_in, channels, 1, stride)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 64, 7, 2, nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, 1)
        blocks, channels_in = [], 64
        for stage, channels in enumerate((64, 128, 256, 512)):
            for block in range(2):
                blocks.append(BasicBlock(channels_in, channels, 2 if stage and not block else 1))
                channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))

    def forward(self, x):
        return self.head(self.blocks(self.pool(self.stem(x))))


def conv(channels_in, channels, kernel=1, stride=1):
    return conv_bn(channels_in, channels, kernel, stride, nn.SiLU(inplace=True))


class C3(nn.Module):
    def __init__(self, channels_in, channels, repeats, shortcut=True):
        super().__init__()
        half = channels // 2
        self.cv1, self.cv2 = conv(channels_in, half), conv(channels_in, half)
        self.cv3 = conv(channels, channels)
        self.shortcut = shortcut
        self.inner = nn.ModuleList(
            nn.Sequential(conv(half, half), conv(half, half, 3)) for _ in range(repeats)
        )

    def forward(self, x):
        y = self.cv1(x)
        for inner in self.inner:
            y = y + inner(y) if self.shortcut else inner(y)
        return self.cv3(torch.cat((y, self.cv2(x)), 1))


class YoloV5n(nn.Module):
    """Version 6, up to the three detection maps."""

    def __init__(self):
        super().__init__()
        stem = conv(3, 16, 6, 2)
        stem[0].padding = (2, 2)
        self.to_p3 = nn.Sequential(
            stem, conv(16, 32, 3, 2), C3(32, 32, 1), conv(32, 64, 3, 2), C3(64, 64, 2)
        )
        self.to_p4 = nn.Sequential(conv(64, 128, 3, 2), C3(128, 128, 3))
        self.to_p5 = nn.Sequential(conv(128, 256, 3, 2), C3(256, 256, 1))
        self.sppf1, self.sppf2 = conv(256, 128), conv(512, 256)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.lateral5, self.lateral4 = conv(256, 128), conv(128, 64)
        self.top4, self.top3 = C3(256, 128, 1, False), C3(128, 64, 1, False)
        self.down3, self.down4 = conv(64, 64, 3, 2), conv(128, 128, 3, 2)
        self.bottom4, self.bottom5 = C3(128, 128, 1, False), C3(256, 256, 1, False)
        self.detect = nn.ModuleList(nn.Conv2d(channels, 255, 1) for channels in (64, 128, 256))

    def forward(self, x):
        p3 = self.to_p3(x)
        p4 = self.to_p4(p3)
        x = self.sppf1(self.to_p5(p4))
        once = self.pool(x)
        twice = self.pool(once)
        p5 = self.lateral5(self.sppf2(torch.cat((x, once, twice, self.pool(twice)), 1)))
        middle = self.lateral4(self.top4(torch.cat((self.up(p5), p4), 1)))
        small = self.top3(torch.cat((self.up(middle), p3), 1))
        medium = self.bottom4(torch.cat((self.down3(small), middle), 1))
        large = self.bottom5(torch.cat((self.down4(medium), p5), 1))
        return [detect(y) for detect, y in zip(self.detect, (small, medium, large))]


def settled(network, size, seed=0):
    """The network with random weights and BatchNorm statistics as training would leave them."""
    torch.manual_seed(seed)
    module = network()
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.momentum = None  # the average over the one batch that follows
    with torch.no_grad():
        module.train()(torch.randn(4, 3, size, size))
    return module.eval()


def conv_shapes(module, size):
    """{name: (H, W)} of every convolution's output."""
    shapes, hooks = {}, []
    for name, child in module.named_modules():
        if isinstance(child, nn.Conv2d):
            hooks.append(
                child.register_forward_hook(
                    lambda _, __, output, name=name: shapes.update({name: tuple(output.shape[2:])})
                )
            )
    with torch.no_grad():
        module(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return shapes
