"""Group-equivariant networks as ordinary ones, whose filters can be moved and whose channels can be permuted."""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.exactness.tracer import duplicate
from zoo.layers.bank import BankedConv2d
from zoo.layers.bank_cache import BankedLayer
from zoo.layers.linear import GroupLinear
from zoo.layers.norm import GroupBatchNorm2d
from zoo.layers.regular import order
from zoo.layers.steerable.convolution import ExpandedConv2d
from zoo.layers.upsampling import GroupConvTranspose2d, GroupUpsampleConv2d

L = TypeVar("L", bound=nn.Module)


@torch.no_grad()
def plain_copy(model: nn.Module) -> nn.Module:
    """A copy in eval mode in which torch's own layers stand for group convolutions and their norms.

    It computes the same, to rounding. The filters of `zoo.layers` are expanded over the group, and nothing ties them
    any more. Layers without weights stay, such as pools over the group.

    Args:
        model: any module; one without layers of ours is copied as it is.

    Raises:
        ModelError: for a layer that no layer of torch computes, such as one that interpolates first.

    Example:
        >>> import zoo
        >>> net = zoo.create("p4cnn_28", width=2)
        >>> plain_copy(net).trunk.conv2
        Conv2d(8, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """
    copy = duplicate(model)
    for module in copy.modules():  # what described the tied weights does not describe these
        if isinstance(vars(module).get("architecture"), dict):
            module.architecture = {}  # type: ignore[assignment]
    if (whole := _plain(copy, "")) is not None:
        return whole
    for name, module in list(copy.named_modules()):
        for child, layer in list(module.named_children()):
            if (plain := _plain(layer, f"{name}.{child}".strip("."))) is not None:
                setattr(module, child, plain)
    return copy


def _plain(layer: nn.Module, name: str) -> nn.Module | None:
    """The layer of torch that computes the same; None for a layer that stays."""
    if isinstance(layer, GroupUpsampleConv2d):
        raise ModelError(
            f"{name!r} is a GroupUpsampleConv2d, which interpolates and then convolves, and no layer of torch is that; "
            "analyse the part of the network before it"
        )
    if isinstance(layer, BankedConv2d):
        return _convolution(layer)
    if isinstance(layer, ExpandedConv2d):
        spec = layer.spec
        conv = nn.Conv2d(spec.in_channels, spec.out_channels, spec.kernel, spec.stride, spec.padding, bias=False)
        return _filled(conv, layer.filter(), None, layer)
    if isinstance(layer, GroupLinear):
        return _linear(layer)
    if isinstance(layer, GroupBatchNorm2d):
        return _norm(layer)
    if isinstance(layer, BankedLayer):
        raise ModelError(f"{name!r} is a {type(layer).__name__}, which no layer of torch computes; leave it out")
    return None


def _convolution(layer: BankedConv2d) -> nn.Module:
    filters = layer.filters()  # (|G| O, J C, k, k)
    bias = None if layer.bias is None else layer.bias.repeat(order(layer.group))  # (|G| O,), whatever the parts
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    options: dict[str, Any] = {name: getattr(layer, name) for name in names} | {"bias": bias is not None}
    if isinstance(layer, GroupConvTranspose2d):
        up = nn.ConvTranspose2d(filters.shape[1], filters.shape[0], **options)
        return _filled(up, filters.transpose(0, 1), bias, layer)
    return _filled(nn.Conv2d(filters.shape[1], filters.shape[0], **options), filters, bias, layer)


def _linear(layer: GroupLinear) -> nn.Linear:
    weight, bias, *_ = (*layer.expand(), None)
    assert weight is not None
    if layer.invariant:
        weight = weight.repeat(1, order(layer.group))  # the sum over the group, then W
    plain = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _filled(plain, weight, bias, layer)


def _norm(layer: GroupBatchNorm2d) -> nn.BatchNorm2d:
    size = order(layer.group)
    plain = nn.BatchNorm2d(size * layer.num_fields, layer.eps, layer.momentum)
    plain.running_mean = layer.running_mean.repeat(size)
    plain.running_var = layer.running_var.repeat(size)
    return _filled(plain, layer.weight.repeat(size), layer.bias.repeat(size), layer)


def _filled(plain: L, weight: Tensor, bias: Tensor | None, like: nn.Module) -> L:
    """The layer with these numbers, in eval mode, in the precision and the place of the layer that it stands for."""
    plain.weight = nn.Parameter(weight.detach().clone().contiguous())
    if bias is not None:
        plain.bias = nn.Parameter(bias.detach().clone())
    return plain.to(next(like.parameters())).eval()
