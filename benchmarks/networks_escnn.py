"""P4CNN and P4-ResNet44 on escnn, whose 3x3 basis spans 24 of the 36 free weights of ours."""

import warnings
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from symdata.installation.lie_learn import stand_in

stand_in()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import escnn
    from escnn import gspaces

GSPACE = gspaces.rot2dOnR2(4)


def regular(fields: int) -> Any:
    """The type of `fields` fields of the regular representation of C4."""
    return escnn.nn.FieldType(GSPACE, fields * [GSPACE.regular_repr])


def image(channels: int) -> Any:
    """The type of an image."""
    return escnn.nn.FieldType(GSPACE, channels * [GSPACE.trivial_repr])


def conv(before: Any, after: Any, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True) -> nn.Module:
    """A steerable convolution, with an initialisation that takes no minutes: only its speed is asked for."""
    layer = escnn.nn.R2Conv(before, after, kernel, stride=stride, padding=padding, bias=bias, initialize=False)
    nn.init.normal_(layer.weights, std=0.1)
    return layer


class EscnnCNN(nn.Module):
    """P4CNN(planes): seven convolutions, one max pool, coset pooling."""

    def __init__(self, planes: int, channels: int = 3) -> None:
        super().__init__()
        self.into, kind = image(channels), regular(planes)
        layers: list[nn.Module] = []
        for i in range(7):
            kernel, padding = (4, 0) if i == 6 else (3, 1)
            layers += [conv(self.into if i == 0 else kind, kind, kernel, padding=padding)]
            layers += [escnn.nn.InnerBatchNorm(kind), escnn.nn.ReLU(kind, inplace=True)]
            layers += [escnn.nn.PointwiseMaxPool(kind, 2)] if i == 1 else []
        self.body = escnn.nn.SequentialModule(*layers)
        self.head, self.planes = nn.Linear(planes, 10), planes

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(escnn.nn.GeometricTensor(x, self.into)).tensor.mean((-2, -1))
        return self.head(y.view(len(y), self.planes, 4).amax(2))


class EscnnBlock(nn.Module):
    """A pre-activation block."""

    def __init__(self, before: Any, after: Any, stride: int) -> None:
        super().__init__()
        self.norm1, self.relu1 = escnn.nn.InnerBatchNorm(before), escnn.nn.ReLU(before)
        self.norm2, self.relu2 = escnn.nn.InnerBatchNorm(after), escnn.nn.ReLU(after)
        self.conv1 = conv(before, after, 3, stride, 1, bias=False)
        self.conv2 = conv(after, after, 3, 1, 1, bias=False)
        self.shortcut = None
        if stride != 1:
            one = conv(before, after, 1, stride, bias=False)
            self.shortcut = escnn.nn.SequentialModule(one, escnn.nn.InnerBatchNorm(after))

    def forward(self, x: Any) -> Any:
        y = self.conv2(self.relu2(self.norm2(self.conv1(self.relu1(self.norm1(x))))))
        return y + (x if self.shortcut is None else self.shortcut(x))


class EscnnResNet44(nn.Module):
    """Three stages of seven blocks, strides 1, 2, 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        kinds = [regular(width), regular(2 * width), regular(4 * width)]
        self.into = image(3)
        self.stem = conv(self.into, kinds[0], 3, 1, 1, bias=False)
        blocks = []
        for stage, kind in enumerate(kinds):
            before = kinds[max(0, stage - 1)]
            blocks += [EscnnBlock(before, kind, 2 if stage else 1)]
            blocks += [EscnnBlock(kind, kind, 1) for _ in range(6)]
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.relu = escnn.nn.InnerBatchNorm(kinds[2]), escnn.nn.ReLU(kinds[2])
        self.head, self.width = nn.Linear(4 * width, 10), 4 * width

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm(self.blocks(self.stem(escnn.nn.GeometricTensor(x, self.into))))).tensor
        y = F.adaptive_avg_pool2d(y, 1).view(len(y), self.width, 4)
        return self.head(y.amax(2))
