"""Expanded filters that are kept while a layer is in eval mode and its parameters stay as they are."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from symdata.groups import Group
from zoo.layers.regular import order


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


class BankedLayer(nn.Module, ABC):
    """Base of the layers whose weights a group ties: the cache of the expanded weights.

    In eval mode, while no gradient flows to the weights, the bank is expanded once and kept. It is expanded again when
    a weight changes in place, is replaced or moved, after a forward with gradients, and after `train()` or `eval()`.
    While a gradient waits in `.grad`, as between two steps of a training, the weights are also compared with a copy,
    and on other devices than the CPU nothing is kept. Otherwise, writing through `weight.data` is not noticed; `eval()`
    then expands the bank again. Copies and pickles do not hold the bank.
    """

    group: Group
    bias: nn.Parameter | None
    groups = 1
    """Parts into which the fields are divided, each with all its orientations."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: Bank | None = None

    @abstractmethod
    def expand(self) -> tuple[Tensor | None, ...]:
        """The tensors that the layer computes with, from the parameters."""

    @property
    def expanded_bias(self) -> Tensor | None:
        """(|G| O,), the bias of every field repeated for all orientations, part after part."""
        return None if self.bias is None else self.bias.view(self.groups, -1).repeat(1, order(self.group)).flatten()

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
