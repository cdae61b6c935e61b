"""The timed nets as one writes them by hand in PyTorch; a test holds that they compute what ours compute.

They know nothing of caffeflow: no fused layers, no flat buffers, no memory order but the one they are
given. Parameters come in the order of the prototxts' layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn


def lenet() -> nn.Module:
    """LeNet as in Caffe's MNIST example."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2, 2, ceil_mode=True),
        nn.Conv2d(20, 50, 5), nn.MaxPool2d(2, 2, ceil_mode=True),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(inplace=True), nn.Linear(500, 10),
    )  # fmt: skip


def cifar10_quick() -> nn.Module:
    """The quick net of Caffe's CIFAR-10 example."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU(inplace=True),
        nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(inplace=True), nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(inplace=True), nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Flatten(), nn.Linear(1024, 64), nn.Linear(64, 10),
    )  # fmt: skip


def caffenet() -> nn.Module:
    """CaffeNet: AlexNet in one stream, pooling before normalisation."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True), _lrn(),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, ceil_mode=True), _lrn(),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, ceil_mode=True), nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Linear(4096, 1000),
    )  # fmt: skip


# expansion, output channels, how often, stride of the first; shicai's table
_MOBILENET_STAGES: Final = (
    (1, 16, 1, 1), (6, 24, 1, 2), (6, 24, 1, 1), (6, 32, 1, 2), (6, 32, 2, 1), (6, 64, 1, 1),
    (6, 64, 3, 1), (6, 96, 1, 2), (6, 96, 2, 1), (6, 160, 1, 2), (6, 160, 2, 1), (6, 320, 1, 1),
)  # fmt: skip


def mobilenet_v2() -> nn.Module:
    """MobileNet v2 as shicai's Caffe net has it: ReLU, and the 64-channel stage at 28x28."""
    layers: list[nn.Module] = [*_conv_bn_relu(3, 32, 3, stride=2)]
    channels = 32
    for expansion, out, count, stride in _MOBILENET_STAGES:
        for _ in range(count):
            layers.append(_Bottleneck(channels, out, expansion=expansion, stride=stride))
            channels = out
    layers += _conv_bn_relu(channels, 1280, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(1280, 1000, 1), nn.Flatten())


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, out: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.is_residual = stride == 1 and channels == out
        self.body = nn.Sequential(
            *_conv_bn_relu(channels, inner, 1),
            *_conv_bn_relu(inner, inner, 3, stride=stride, groups=inner),
            nn.Conv2d(inner, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.body(x)
        return x + made if self.is_residual else made


def _conv_bn_relu(
    channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> Iterator[nn.Module]:
    padding = kernel // 2
    yield nn.Conv2d(channels, out, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    yield nn.BatchNorm2d(out)
    yield nn.ReLU(inplace=True)


def _lrn() -> nn.Module:
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


PLAIN_NETS: Final[dict[str, Callable[[], nn.Module]]] = {
    "lenet": lenet,
    "cifar10-quick": cifar10_quick,
    "caffenet": caffenet,
    "mobilenet-v2": mobilenet_v2,
}


def build(name: str, *, channels_last: bool, device: str = "cpu") -> nn.Module:
    """Returns a net in training mode, with PyTorch's initial weights."""
    torch.manual_seed(0)
    net: Any = PLAIN_NETS[name]().to(device).train()
    built: nn.Module = net.to(memory_format=torch.channels_last) if channels_last else net
    return built
