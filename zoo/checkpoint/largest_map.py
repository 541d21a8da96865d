"""The largest feature map of a network for one image, before it is run."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.exactness.tracer import duplicate
from zoo.models.own import zoo_architecture
from zoo.models.registry import needs


class _Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the numbers in the largest tensor that is made inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers = 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = [value for value in (out if isinstance(out, tuple | list) else [out]) if isinstance(value, Tensor)]
        self.numbers = max([self.numbers, *(tensor.numel() for tensor in made)])
        return out


def largest_map(model: nn.Module, channels: int, size: int) -> int:
    """Numbers in the largest feature map of one image of `size` pixels, at most; nothing of that size is allocated.

    For a network of the zoo this is arithmetic. Any other is run without values, on torch's device `meta`; for one that
    does not run there it is only known that the image itself has to fit.

    Example:
        >>> import zoo
        >>> largest_map(nn.Conv2d(1, 8, 3), 1, 100)
        76832
    """
    architecture = zoo_architecture(model)
    if architecture is not None:
        return needs(architecture, size).largest_map
    watch = _Largest()
    with suppress(Exception):  # of somebody else's code, which is run for real next
        twin = duplicate(model).to("meta")
        with torch.no_grad(), watch:
            twin(torch.empty(1, channels, size, size, device="meta"))
    return watch.numbers
