"""The same networks in other hands: plain torch with as many channels (the floor), and GrouPy-style layers."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata import Group
from zoo.layers import GroupBatchNorm2d, GroupConv2d, GroupPool, LiftingConv2d
from zoo.layers.bank import bank_index


def plain(model: nn.Module) -> nn.Module:
    """`model` with every layer of ours replaced, in place, by torch's own with the expanded channels."""
    for name, child in model.named_children():
        setattr(model, name, plain_layer(child))
        plain(getattr(model, name))
    return model


def plain_layer(layer: nn.Module) -> nn.Module:
    """Torch's own layer of the same cost; other layers come back as they are."""
    if isinstance(layer, LiftingConv2d | GroupConv2d):
        out, bias = layer.out_fields * layer.group.order, layer.bias is not None
        return nn.Conv2d(
            layer.in_channels, out, layer.kernel_size, layer.stride, layer.padding, layer.dilation, bias=bias
        )
    if isinstance(layer, GroupBatchNorm2d):
        return nn.BatchNorm2d(layer.num_fields * layer.group.order)
    return layer


class GroupyConv2d(nn.Module):
    """A group convolution as GrouPy has it: fields (B, C, |G|, H, W), the bank gathered at every call, in eval too."""

    def __init__(self, layer: LiftingConv2d | GroupConv2d) -> None:
        super().__init__()
        self.stride, self.padding, self.order = layer.stride, layer.padding, layer.group.order
        self.lifting, self.out_fields = isinstance(layer, LiftingConv2d), layer.out_fields
        inputs, k = (1 if self.lifting else self.order), layer.kernel_size
        self.weight = nn.Parameter(torch.empty(layer.out_fields, layer.in_fields, inputs, k, k))
        self.bias = None if layer.bias is None else nn.Parameter(torch.zeros(layer.out_fields))
        nn.init.uniform_(self.weight, -1 / math.sqrt(layer.in_fields * k * k), 1 / math.sqrt(layer.in_fields * k * k))
        self.index = self._index(layer.group, inputs, k)

    def _index(self, group: Group, inputs: int, k: int) -> tuple[Tensor, Tensor, Tensor]:
        flat = bank_index(group, 1, 1, k, lifting=self.lifting).long().view(self.order, inputs, k, k)
        return flat // (k * k), flat // k % k, flat % k

    def forward(self, x: Tensor) -> Tensor:
        h, u, v = self.index
        bank = self.weight[:, :, h, u, v].permute(0, 2, 1, 3, 4, 5)  # (O, |G|, C, J, k, k)
        o, g, c, j, k, _ = bank.shape
        bank = bank.reshape(o * g, c * j, k, k)
        y = F.conv2d(x.flatten(1, 2) if x.ndim == 5 else x, bank, None, self.stride, self.padding)
        y = y.view(len(y), o, g, *y.shape[-2:])
        return y if self.bias is None else y + self.bias.view(1, -1, 1, 1, 1)


class GroupyPool(nn.Module):
    """Max pooling of (B, C, |G|, H, W), orientation by orientation."""

    def forward(self, x: Tensor) -> Tensor:
        b, c, g, h, w = x.shape
        y = F.max_pool2d(x.view(b, c * g, h, w), 2)
        return y.view(b, c, g, *y.shape[-2:])


class GroupyCoset(nn.Module):
    """The maximum over the group axis, which comes after the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(2)


def groupy(model: nn.Module) -> nn.Module:
    """`model` with every layer of ours replaced, in place, by the GrouPy-style one."""
    for name, child in model.named_children():
        if isinstance(child, LiftingConv2d | GroupConv2d):
            child = GroupyConv2d(child)
        elif isinstance(child, GroupBatchNorm2d):
            child = nn.BatchNorm3d(child.num_fields)
        elif isinstance(child, nn.MaxPool2d):
            child = GroupyPool()
        elif isinstance(child, GroupPool):
            child = GroupyCoset()
        else:
            groupy(child)
        setattr(model, name, child)
    return model
