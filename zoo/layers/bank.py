"""The filter bank of a group convolution: one gather from the free weight, kept while the layer is in eval mode.

A group convolution is an ordinary one whose filters are tied. With free weight W of one orientation,

    bank[(g, o), (h, c)](p) = W[o, (g^-1 h, c)](g^-1 p)          Cohen & Welling 2016, eqs. 10 and 11

every entry of the bank is an entry of W, so the bank is exact in any dtype and its gradient is the sum over the group.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, whole
from symdata.groups import Group
from zoo.layers.regular import lattice_group, left_translation, move, order

PADDING_MODES = ("zeros", "circular")
"""What lies beyond the border: nothing, or the opposite side, as on a torus."""

MOST = 1 << 20
"""Largest number of fields, and of pixels of a window, stride, padding or dilation."""

ROW_FIELDS = 32
"""From this many input fields on, the gather copies rows of them: as fast (measured), and the index stays small."""


class ParameterSnapshot(NamedTuple):
    """A parameter as it was when the bank was expanded."""

    parameter: Tensor
    memory: Tensor
    """The same, detached: as long as it exists, its memory cannot be given to another tensor."""
    version: int
    copy: Tensor | None
    """Its values, if a gradient waited: a fused optimiser writes without counting a version."""

    @classmethod
    def of(cls, p: Tensor) -> Self:
        """The snapshot of a parameter as it is now."""
        return cls(p, p.detach(), p._version, None if p.grad is None else p.detach().clone())

    def is_current(self, p: Tensor) -> bool:
        """Whether `p` is the same parameter, not moved or written, and no gradient flows to it."""
        if p is not self.parameter or p._version != self.version or p.data_ptr() != self.memory.data_ptr():
            return False
        if (p.requires_grad and torch.is_grad_enabled()) or (p.grad is None) is not (self.copy is None):
            return False
        return self.copy is None or torch.equal(p, self.copy)


class Bank(NamedTuple):
    """Expanded filters, and the parameters that they were expanded from."""

    tensors: tuple[Tensor | None, ...]
    sources: tuple[ParameterSnapshot, ...]
    dtype: torch.dtype | None
    """What autocast asked for, if it was on."""

    def is_current(self, parameters: Sequence[Tensor], dtype: torch.dtype | None) -> bool:
        """Whether the same parameters have the same values, and no gradient flows to one."""
        if dtype is not self.dtype or len(parameters) != len(self.sources):
            return False
        return all(source.is_current(p) for source, p in zip(self.sources, parameters, strict=True))


class BankedConv2d(nn.Module, ABC):
    """Base of the group convolutions: their arguments, the cache of expanded filters, and the convolution with them.

    Subclasses make and draw the free weights, count them, and `expand` them.

    In eval mode, while no gradient flows to the weights, the bank is expanded once and kept. It is expanded again when
    a weight changes in place, is replaced or moved, after a forward with gradients, and after `train()` or `eval()`.
    While a gradient waits in `.grad`, as between two steps of a training, the weights are also compared with a copy,
    and on other devices than the CPU nothing is kept. Otherwise, writing through `weight.data` is not noticed; `eval()`
    then expands the bank again. Copies and pickles do not hold the bank.
    """

    group: Group
    bias: nn.Parameter | None
    lifting = False
    """Whether the input is an image, whose channels the group does not permute."""

    def __init__(
        self,
        group: Group | str,
        in_fields: int,
        out_fields: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        self.group = lattice_group(group)
        self.in_fields = whole("in_fields", in_fields, 1, MOST)
        self.out_fields = whole("out_fields", out_fields, 1, MOST)
        self.kernel_size = whole("kernel_size", kernel_size, 1, MOST)
        self.stride = whole("stride", stride, 1, MOST)
        self.padding = whole("padding", padding, 0, MOST)
        self.dilation = whole("dilation", dilation, 1, MOST)
        self.padding_mode = checked_mode(padding_mode)
        self.in_channels = in_fields * (1 if self.lifting else order(self.group))
        self._kept: Bank | None = None
        self.make_weights()
        self.bias = nn.Parameter(torch.empty(out_fields)) if bias else None
        self.reset_parameters()

    @abstractmethod
    def make_weights(self) -> None:
        """Register the free weights, empty, and the indices by which the bank is gathered from them."""

    @abstractmethod
    def reset_parameters(self) -> None:
        """Draw the free weights and the bias."""

    @abstractmethod
    def expand(self) -> tuple[Tensor | None, ...]:
        """The tensors that the convolution uses, from the parameters."""

    @classmethod
    @abstractmethod
    def count(cls, size: int, in_fields: int, out_fields: int, kernel_size: int) -> int:
        """Number of free weights of such a layer over a group of `size` elements, without its bias."""

    @property
    def is_strict(self) -> bool:
        """Whether the present filters are equivariant, to rounding: tied ones always are."""
        return True

    @property
    def expanded_bias(self) -> Tensor | None:
        """(|G| O,), the bias of every field repeated for all orientations."""
        return None if self.bias is None else self.bias.repeat(order(self.group))

    def filters(self) -> Tensor:
        """The bank (|G| O, J C, k, k) that evaluation uses, in float64 and without gradient."""
        with torch.no_grad():
            return self.expand()[0].double()  # type: ignore[union-attr]

    def watched(self) -> Iterable[Tensor | None]:
        """The parameters that `expand` reads: the bank is expanded again when one of them changes."""
        return self._parameters.values()

    def bank(self, like: Tensor) -> tuple[Any, ...]:
        """`expand()`, from the cache where that is safe."""
        if self.training or torch.compiler.is_compiling() or torch._C._get_tracing_state():
            return self.expand()
        dtype, kept = _autocast_dtype(like), self._kept
        parameters = [p for p in self.watched() if p is not None]
        if kept is not None and kept.is_current(parameters, dtype):
            return kept.tensors
        self._kept = None
        if not all(map(_can_be_kept, parameters)):
            return self.expand()
        # Not in inference mode: its tensors could not be used when gradients with respect to the input are asked for.
        with torch.inference_mode(False), torch.no_grad():
            tensors = tuple(_cast(t, dtype) for t in self.expand())
            self._kept = Bank(tensors, tuple(map(ParameterSnapshot.of, parameters)), dtype)
        return tensors

    def train(self, mode: bool = True) -> Self:
        self._kept = None
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        self._kept = None
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": None}

    def forward(self, x: Tensor) -> Tensor:
        self.check_channels(x)
        weight, bias = self.bank(x)
        return self.convolve(x, weight, bias)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int = 1) -> Tensor:
        """An ordinary convolution with the stride, padding and dilation of the layer."""
        padding = self.padding
        if self.padding_mode == "circular":
            x, padding = wrapped(x, padding), 0
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, groups)

    def check_channels(self, x: Tensor) -> None:
        """`ShapeError` unless `x` is (B, in_channels, H, W)."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            expected = f"(B, {self.in_channels}, H, W): {self.in_fields} input fields over {self.group}"
            raise ShapeError(f"{type(self).__name__} got {tuple(x.shape)}, expected {expected}")

    def extra_repr(self) -> str:
        return (
            f"{self.group}, {self.in_fields}, {self.out_fields}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, bias={self._parameters.get('bias') is not None}"
        ) + ("" if self.padding_mode == "zeros" else f", padding_mode={self.padding_mode}")


def checked_mode(padding_mode: str) -> str:
    """One of `PADDING_MODES`; `ShapeError` for anything else."""
    if padding_mode not in PADDING_MODES:
        raise ShapeError(f"padding_mode is {padding_mode!r}, expected {' or '.join(map(repr, PADDING_MODES))}")
    return padding_mode


def wrapped(x: Tensor, padding: int) -> Tensor:
    """(B, C, H, W) with `padding` pixels of the opposite side around it."""
    return F.pad(x, (padding,) * 4, mode="circular") if padding else x


def _autocast_dtype(like: Tensor) -> torch.dtype | None:
    device = "cpu" if like.is_cpu else like.device.type  # asking for the type takes as long as a small operation
    if device == "meta" or not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


def _can_be_kept(parameter: Tensor) -> bool:
    # A parameter that torch.func swapped in is a plain tensor, and one made in inference mode counts no versions.
    # A fused optimiser writes without counting a version either: while a step may come, values must be compared,
    # and elsewhere than on the CPU each comparison would wait for the device.
    if (parameter.requires_grad and torch.is_grad_enabled()) or not isinstance(parameter, nn.Parameter):
        return False
    return not parameter.is_inference() and (parameter.grad is None or parameter.is_cpu)


def _cast(tensor: Tensor | None, dtype: torch.dtype | None) -> Tensor | None:
    """As autocast would, which does not change float64."""
    if tensor is None or dtype is None or tensor.dtype == torch.float64:
        return tensor
    return tensor.to(dtype)


def is_channels_last(tensor: Tensor) -> bool:
    """Whether convolutions take (N, C, H, W) for channels_last: by its strides, for filters of one channel too.

    `is_contiguous` is True for both formats where C or H W is 1; torch then decides by the strides, and so does this.
    """
    low = 0
    for axis in (1, 3, 2, 0):
        stride = tensor.stride(axis)
        if stride < low or (axis == 0 and low == tensor.stride(1)):
            return False
        low = stride * tensor.shape[axis]
    return True


def gather(weight: Tensor, index: Tensor, size: int) -> Tensor:
    """The bank (|G| O, J C, k, k) of a free weight (O, J C, k, k), in the weight's memory format.

    Args:
        weight: free weight; J is |G| for a group convolution and 1 for a lifting one.
        index: from `bank_index`: 1-D for single values, (., 1) for rows of C.
        size: |G|.
    """
    o, jc, k, _ = weight.shape
    if index.ndim == 1:
        bank = weight.reshape(-1).index_select(0, index).view(size * o, jc, k, k)
        # `contiguous` would leave the strides of filters of one channel as they are
        return bank.clone(memory_format=torch.channels_last) if is_channels_last(weight) else bank
    rows = weight.permute(0, 2, 3, 1).reshape(o * k * k * index.shape[1], -1)  # (O k k J, C)
    bank = rows.index_select(0, index.flatten()).view(size * o, k, k, jc).permute(0, 3, 1, 2)
    return bank if is_channels_last(weight) else bank.contiguous()


@lru_cache(maxsize=128)
def bank_index(group: Group, out_fields: int, in_fields: int, k: int, *, lifting: bool) -> Tensor:
    """Where each entry of the bank comes from in the flattened free weight: int32.

    Below `ROW_FIELDS` input fields (|G| O J C k k,), single values in the order of the bank. From there on
    (|G| O k k, J), rows of C values of the weight laid out as (O, k, k, J, C).
    """
    size = order(group)
    inputs = 1 if lifting else size
    pixels = torch.arange(k * k).view(k, k)
    # (g W)(p) = W(g^-1 p): moving the pixel numbers by g puts the number of g^-1 p at p.
    pixel = torch.stack([move(pixels, g).flatten() for g in group.elements])  # (g, p)
    field = torch.tensor([left_translation(group, g)[:inputs] for g in range(size)]) * (not lifting)  # (g, h) -> g^-1 h
    o, c = torch.arange(out_fields), torch.arange(in_fields)
    if in_fields >= ROW_FIELDS:
        block = (pixel[:, None, :, None] * inputs) + field[:, None, None, :]  # (g, 1, p, h)
        return (o.view(1, -1, 1, 1) * (k * k * inputs) + block).reshape(-1, inputs).int()
    channel = field[:, None, :, None, None] * in_fields + c.view(1, 1, 1, -1, 1)  # (g, 1, h, c, 1)
    filters = o.view(1, -1, 1, 1, 1) * (inputs * in_fields) + channel  # (g, o, h, c, 1)
    return (filters * (k * k) + pixel[:, None, None, None, :]).flatten().int()
