"""torchvision's classification nets in plain torch, written from the papers and torchvision's key names.

Only what decides keys, shapes and outputs is here: `state_dict()` has the very keys of torchvision's own
modules, in order. `calibrate` gives weights and statistics with which outputs are of order 1, since
untrained statistics make comparisons meaningless.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# As torchvision's documentation lists them.
PARAMETERS = {
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
    "regnet_x_400mf": 5_495_976,
    "regnet_x_800mf": 7_259_656,
    "regnet_x_1_6gf": 9_190_136,
    "regnet_x_3_2gf": 15_296_552,
}


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def conv_norm(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    parts: list[nn.Module] = [conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*parts, *([act] if act else []))


class Vgg16(nn.Module):
    def __init__(self, *, norms: bool = False, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for channels, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(depth):
                layers.append(nn.Conv2d(inputs, channels, 3, padding=1))
                layers += [nn.BatchNorm2d(channels)] if norms else []
                layers.append(nn.ReLU())
                inputs = channels
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(self.features(x), 7)
        return self.classifier(pooled.flatten(1))


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, *, stride: int, project: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width), nn.BatchNorm2d(4 * width)
        if project:
            self.downsample = conv_norm(inputs, 4 * width, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.downsample(x) if hasattr(self, "downsample") else x
        x = self.bn1(self.conv1(x)).relu()
        x = self.bn2(self.conv2(x)).relu()
        return (self.bn3(self.conv3(x)) + shortcut).relu()


class ResNet(nn.Module):
    """Of bottlenecks; the stride is in the 3x3 convolution."""

    def __init__(self, *, depths: Sequence[int] = (3, 4, 6, 3), width: int = 64, classes: int = 1000) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
        inputs = width
        for stage, depth in enumerate(depths):
            blocks = []
            for index in range(depth):
                stride = 2 if stage and not index else 1
                blocks.append(Bottleneck(inputs, width << stage, stride=stride, project=not index))
                inputs = 4 * (width << stage)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = self.get_submodule(name)(x)
        return self.fc(x.mean((2, 3)))


def divisible(channels: float) -> int:
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, stride: int, factor: int) -> None:
        super().__init__()
        hidden = inputs * factor
        expand = [conv_norm(inputs, hidden, act=nn.ReLU6())] if factor > 1 else []
        depthwise = conv_norm(hidden, hidden, 3, stride, groups=hidden, act=nn.ReLU6())
        self.conv = nn.Sequential(*expand, depthwise, conv(hidden, outputs), nn.BatchNorm2d(outputs))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, *, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__()
        inputs = divisible(32 * width)
        layers: list[nn.Module] = [conv_norm(3, inputs, 3, 2, act=nn.ReLU6())]
        for factor, channels, depth, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):  # fmt: skip
            outputs = divisible(channels * width)
            for index in range(depth):
                first = stride if index == 0 else 1
                layers.append(InvertedResidual(inputs, outputs, stride=first, factor=factor))
                inputs = outputs
        last = divisible(1280 * max(1.0, width))
        self.features = nn.Sequential(*layers, conv_norm(inputs, last, act=nn.ReLU6()))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class XBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, stride: int, group_width: int) -> None:
        super().__init__()
        if stride != 1 or inputs != outputs:
            self.proj = conv_norm(inputs, outputs, stride=stride)
        self.f = nn.Sequential()
        self.f.add_module("a", conv_norm(inputs, outputs, act=nn.ReLU()))
        self.f.add_module("b", conv_norm(outputs, outputs, 3, stride, outputs // group_width, nn.ReLU()))
        self.f.add_module("c", conv_norm(outputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.proj(x) if hasattr(self, "proj") else x
        return (shortcut + self.f(x)).relu()


class RegNetX(nn.Module):
    """By the paper's rule: widths grow in a straight line, then become powers, then multiples of groups."""

    def __init__(
        self, *, depth: int, first: int, slope: float, factor: float, group_width: int, classes: int = 1000
    ) -> None:
        super().__init__()
        widths = regnet_widths(depth, first, slope, factor, group_width)
        self.stem = conv_norm(3, 32, 3, 2, act=nn.ReLU())
        self.trunk_output = nn.Sequential()
        inputs = 32
        for stage, width in enumerate(sorted(set(widths)), start=1):
            blocks = nn.Sequential()
            for index in range(widths.count(width)):
                stride = 2 if index == 0 else 1
                block = XBlock(inputs, width, stride=stride, group_width=group_width)
                blocks.add_module(f"block{stage}-{index}", block)
                inputs = width
            self.trunk_output.add_module(f"block{stage}", blocks)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.trunk_output(self.stem(x)).mean((2, 3)))


def regnet_widths(depth: int, first: int, slope: float, factor: float, group_width: int) -> list[int]:
    widths = []
    for index in range(depth):
        straight = first + slope * index
        power = round(math.log(straight / first) / math.log(factor))
        quantized = round(first * factor**power / 8) * 8
        whole = (quantized + group_width // 2) // group_width * group_width
        widths.append(whole + group_width if whole < 0.9 * quantized else whole)
    return widths


def build(name: str, *, classes: int = 1000) -> nn.Module:
    regnets = {
        "regnet_x_400mf": (22, 24, 24.48, 2.54, 16),
        "regnet_x_800mf": (16, 56, 35.73, 2.28, 16),
        "regnet_x_1_6gf": (18, 80, 34.01, 2.25, 24),
        "regnet_x_3_2gf": (25, 88, 26.31, 2.25, 48),
    }
    if name in regnets:
        depth, first, slope, factor, group = regnets[name]
        return RegNetX(
            depth=depth, first=first, slope=slope, factor=factor, group_width=group, classes=classes
        )
    if name.startswith("vgg16"):
        return Vgg16(norms=name == "vgg16_bn", classes=classes)
    return {"resnet50": ResNet, "mobilenet_v2": MobileNetV2}[name](classes=classes)


def calibrate(net: nn.Module, *, size: int = 224, seed: int = 0) -> nn.Module:
    """Draws weights and lets BatchNorm average what a few pictures give; returns the net, for testing."""
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.data
            weight.normal_(0, math.sqrt(2 / weight[0].numel()), generator=generator)
            if module.bias is not None:
                module.bias.data.uniform_(-0.1, 0.1, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.3, 0.3, generator=generator)
            module.momentum = None  # the plain average of all passes
    if any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        net.train()
        with torch.no_grad():
            for number in range(2):
                net(torch.stack([normalised(picture(size, seed=10 * number + i)) for i in range(2)]))
    return net.eval()


def picture(size: int, *, seed: int) -> Tensor:
    """An RGB picture (3, size, size) of whole numbers of 0 to 255: shapes, shades, texture and noise."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    image = torch.empty(3, size, size)
    for channel in range(3):
        a, b, c, d = torch.rand(4, generator=generator).tolist()
        image[channel] = 140 * a * rows + 120 * b * columns + 50 * torch.sin(40 * c * rows + 25 * d * columns)
    for _ in range(6):
        y, x, radius = torch.rand(3, generator=generator).tolist()
        colour = 255 * torch.rand(3, generator=generator)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < (0.05 + 0.2 * radius) ** 2
        image[:, inside] = 0.3 * image[:, inside] + 0.7 * colour[:, None]
    image += 12 * torch.randn(image.shape, generator=generator)
    return image.clamp(0, 255).round()


def normalised(rgb: Tensor) -> Tensor:
    """What torchvision's transforms make of a picture of 0 to 255."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (rgb / 255 - mean) / std
