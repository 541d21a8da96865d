"""Layers between feature maps that need not be convolutions, and the mean of a convolution and a free layer.

Layer-wise equivariance learned by gradients (van der Ouderaa, Immer & van der Wilk 2023): a block is a convolution, a
linear map of all pixels, or both; the precisions of their priors decide which of them a network uses, see
`zoo.evidence`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, one_of

Size = int | tuple[int, int]

PATHS = {
    "conv": ("conv",),
    "dense": ("dense",),
    "factored": ("factored",),
    "residual": ("conv", "dense"),
    "residual-factored": ("conv", "factored"),
}
"""Choice of a block -> the layers whose mean it is."""


class DenseSpatial2d(nn.Module):
    """Every output pixel from every input pixel: (B, in_channels, H, W) to (B, out_channels, H', W').

    No weights are shared between pixels. Weight: (out_channels H' W', in_channels H W), bias: (out_channels H' W',).

    Args:
        in_channels: C.
        out_channels: C'.
        in_size: (H, W) of its input, or the side of a square; no other size fits.
        out_size: (H', W') of its output, or the side of a square.
        bias: whether to add a number to every output pixel of every channel.
    """

    def __init__(self, in_channels: int, out_channels: int, in_size: Size, out_size: Size, bias: bool = True) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.in_size, self.out_size = pair(in_size), pair(out_size)
        inputs, outputs = in_channels * math.prod(self.in_size), out_channels * math.prod(self.out_size)
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(fan in), as `torch.nn.Linear` has it."""
        _draw(self, 1 / math.sqrt(self.weight.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        check_maps(x, self.in_channels, self.in_size)
        return F.linear(x.flatten(1), self.weight, self.bias).view(x.shape[0], self.out_channels, *self.out_size)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, {self.in_size}, {self.out_size}, bias={self.bias is not None}"

    @staticmethod
    def count(in_channels: int, out_channels: int, in_pixels: int, out_pixels: int) -> int:
        """Number of weights and biases."""
        return out_channels * out_pixels * (in_channels * in_pixels + 1)


class ChannelReduction(nn.Module):
    """The first factor U: (B, C, H, W) to (B, C', C), a plane to one number for each pair of channels.

    z[c', c] = sum over (y, x) of U[c', c, y, x] input[c, y, x]. Weight: (C', C, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int, size: Size) -> None:
        super().__init__()
        self.in_channels, self.size = in_channels, pair(size)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *self.size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Of variance 1 / (H W): numbers z are as large as pixels."""
        _draw(self, math.sqrt(3 / math.prod(self.size)))

    def forward(self, x: Tensor) -> Tensor:
        check_maps(x, self.in_channels, self.size)
        return torch.einsum("ncp,dcp->ndc", x.flatten(2), self.weight.flatten(2))


class ChannelExpansion(nn.Module):
    """The second factor V: (B, C', C) to (B, C', H', W'), every number times a plane, summed over C.

    out[c', y, x] = sum over c of z[c', c] V[c', c, y, x] + bias[c', y, x]. Weight: (C', C, H', W').
    """

    def __init__(self, in_channels: int, out_channels: int, size: Size, bias: bool = True) -> None:
        super().__init__()
        self.size = pair(size)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *self.size))
        self.bias = nn.Parameter(torch.empty(out_channels, *self.size)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Of variance 1 / (3 C): with the other factor that of a dense layer, 1 / (3 C H W)."""
        _draw(self, 1 / math.sqrt(self.weight.shape[1]))

    def forward(self, z: Tensor) -> Tensor:
        out = torch.einsum("ndc,dcp->ndp", z, self.weight.flatten(2))
        out = out.reshape(*out.shape[:2], *self.size)
        return out if self.bias is None else out + self.bias


class FactoredSpatial2d(nn.Module):
    """A dense layer of spatial rank one per pair of channels (F-FC): (B, C, H, W) to (B, C', H', W').

    W[c', c, y', x', y, x] = U[c', c, y, x] V[c', c, y', x']: C' C (H W + H' W') weights where a dense layer has
    C' C H W H' W'. Bias: (C', H', W'). Arguments as in `DenseSpatial2d`.
    """

    def __init__(self, in_channels: int, out_channels: int, in_size: Size, out_size: Size, bias: bool = True) -> None:
        super().__init__()
        self.contract = ChannelReduction(in_channels, out_channels, in_size)
        self.paint = ChannelExpansion(in_channels, out_channels, out_size, bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.paint(self.contract(x))
        return out

    @staticmethod
    def count(in_channels: int, out_channels: int, in_pixels: int, out_pixels: int) -> int:
        """Number of weights and biases."""
        return out_channels * (in_channels * (in_pixels + out_pixels) + out_pixels)


FREE: dict[str, type[DenseSpatial2d] | type[FactoredSpatial2d]] = {
    "dense": DenseSpatial2d,
    "factored": FactoredSpatial2d,
}
"""Name of a layer of `PATHS` that is no convolution -> its class."""


class PathBlock(nn.Module):
    """A convolution, a free linear map, or the mean of both: (B, C, H, W) to (B, C', ceil(H / stride), ...).

    out = conv(x), free(x), or (conv(x) + free(x)) / 2, a residual pathway (Finzi, Benton & Wilson 2021). The
    convolution is circular, so that on a torus whose side the stride divides it commutes with every shift by a multiple
    of the stride. Layers are called `conv`, `dense` and `factored`.

    Args:
        path: one of `PATHS`.
        in_channels: C.
        out_channels: C'.
        size: side of the input in pixels; a block with a free path takes no other.
        kernel_size: of the convolution, odd.
        stride: of the convolution; the free path has the same output size.
    """

    def __init__(
        self, path: str, in_channels: int, out_channels: int, size: int, kernel_size: int = 3, stride: int = 2
    ) -> None:
        super().__init__()
        one_of("path", path, PATHS, ShapeError)
        if kernel_size % 2 == 0:
            raise ShapeError(f"kernel_size is {kernel_size}, expected an odd number, for example 3")
        self.path = path
        for kind in PATHS[path]:
            layer: nn.Module
            if kind == "conv":
                margin = kernel_size // 2
                layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, margin, padding_mode="circular")
            else:
                layer = FREE[kind](in_channels, out_channels, size, -(-size // stride))
            self.add_module(kind, layer)

    @staticmethod
    def count(path: str, in_channels: int, out_channels: int, size: int, kernel_size: int = 3, stride: int = 2) -> int:
        """Number of parameters of such a block; nothing is allocated."""
        conv = out_channels * (in_channels * kernel_size**2 + 1)
        pixels = size**2, (-(-size // stride)) ** 2
        return sum(
            conv if kind == "conv" else FREE[kind].count(in_channels, out_channels, *pixels) for kind in PATHS[path]
        )

    def forward(self, x: Tensor) -> Tensor:
        outs: list[Tensor] = [layer(x) for layer in self.children()]
        return outs[0] if len(outs) == 1 else (outs[0] + outs[1]) / 2

    def extra_repr(self) -> str:
        return f"path={self.path}"


def _draw(module: nn.Module, bound: float) -> None:
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)


def pair(size: Size) -> tuple[int, int]:
    """(height, width)."""
    return (size, size) if isinstance(size, int) else size


def check_maps(x: Tensor, channels: int, size: tuple[int, int]) -> None:
    """`ShapeError` unless `x` is (B, channels, *size)."""
    if x.ndim != 4 or tuple(x.shape[1:]) != (channels, *size):
        wanted = ", ".join(map(str, (channels, *size)))
        raise ShapeError(f"feature maps are {tuple(x.shape)}, expected (B, {wanted}): the layer has no other size")
