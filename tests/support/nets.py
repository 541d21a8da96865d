"""Small networks of our layers, as the papers describe them: the tests of the layers and of exactness share them."""

import torch.nn.functional as F
from torch import Tensor, nn

from symdata.groups import Group
from zoo.layers import GroupBatchNorm2d, GroupConv2d, GroupMaxPool2d, GroupPool, LiftingConv2d


class GlobalMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


def cnn(group: Group | str, planes: int, pools: int = 1, channels: int = 3, padding: int = 1) -> nn.Sequential:
    """P4CNN of the rotation experiments on `c4` with 10 planes; Z2CNN on `c1` with 20."""

    def block(conv: nn.Module) -> list[nn.Module]:
        return [conv, GroupBatchNorm2d(group, planes), nn.ReLU()]

    def middle(kernel: int, pad: int) -> list[nn.Module]:
        return block(GroupConv2d(group, planes, planes, kernel, padding=pad))

    layers = block(LiftingConv2d(group, channels, planes, 3, padding=padding)) + middle(3, padding)
    layers += [GroupMaxPool2d(2), *middle(3, padding)]
    layers += [GroupMaxPool2d(2)] if pools == 2 else []
    for _ in range(3):
        layers += middle(3, padding)
    return nn.Sequential(*layers, *middle(4, 0), GlobalMean(), GroupPool(group), nn.Linear(planes, 10))


class Block(nn.Module):
    """Pre-activation, with a strided 1x1 shortcut on the raw input where the shape changes."""

    def __init__(self, group: Group | str, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = GroupBatchNorm2d(group, before), GroupBatchNorm2d(group, after)
        self.conv1 = GroupConv2d(group, before, after, 3, stride, padding=1, bias=False)
        self.conv2 = GroupConv2d(group, after, after, 3, padding=1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            conv = GroupConv2d(group, before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, GroupBatchNorm2d(group, after))

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))
        return out + self.shortcut(x)


class ResNet(nn.Module):
    """Three stages with strides 1, 2, 2: ResNet44 with 7 blocks a stage."""

    def __init__(self, group: Group | str, width: int, blocks: int = 1, stages: int = 3) -> None:
        super().__init__()
        widths = [width << stage for stage in range(stages) for _ in range(blocks)]
        strides = [2 if stage and not block else 1 for stage in range(stages) for block in range(blocks)]
        self.stem = LiftingConv2d(group, 3, width, 3, padding=1, bias=False)
        chain = zip([width, *widths[:-1]], widths, strides, strict=True)
        self.blocks = nn.Sequential(*(Block(group, a, b, s) for a, b, s in chain))
        self.norm = GroupBatchNorm2d(group, widths[-1])
        self.pool, self.head = GroupPool(group), nn.Linear(widths[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        features = F.relu(self.norm(self.blocks(self.stem(x))))
        return self.head(self.pool(features).mean((-2, -1)))


def knight(kernel: int = 3, stride: int = 2, padding: int = 1) -> nn.Sequential:
    """One strided lifting convolution to one field of c4, pooled over space and group, and a classifier of two."""
    conv = LiftingConv2d("c4", 1, 1, kernel, stride, padding)
    return nn.Sequential(conv, GlobalMean(), GroupPool("c4"), nn.Linear(1, 2))
