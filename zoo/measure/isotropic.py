"""Networks whose filters are made symmetric, so that what remains of their error is the error of their grids."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.layers.bank import BankedConv2d
from zoo.measure.kernels import averaged


class IsotropicFilters(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this context every convolution runs with its filters averaged over d4, whoever calls it.

    Filters that are not square are averaged over d2. Filters that are an input of the model count like any others.

    Example:
        >>> from zoo.layers.regular import move
        >>> from zoo.exactness.arithmetic import D4
        >>> net, x = nn.Conv2d(1, 1, 3).double(), torch.randn(1, 1, 7, 7, dtype=torch.float64)
        >>> with torch.no_grad(), IsotropicFilters():
        ...     errors = [float((net(move(x, e)) - move(net(x), e)).abs().max()) for e in D4.elements]
        >>> max(errors) < 1e-12
        True
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled while measuring, and shielding us from dynamo costs its import, 2 s

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket.__name__ == "convolution" and isinstance(args[1], Tensor) and args[1].ndim == 4:
            args = (args[0], isotropic(args[1]), *args[2:])
        return func(*args, **(kwargs or {}))


def isotropic(weight: Tensor) -> Tensor:
    """Filters (.., k, k) averaged over d4; over d2 if they are not square."""
    return averaged(weight, "d4" if weight.shape[-1] == weight.shape[-2] else "d2")


def isotropise(model: nn.Module) -> None:
    """Replace, in place, every filter of a plain convolution by its average over d4: torch's, and ours on c1."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | BankedConv2d):
                for weight in (p for p in module.parameters(recurse=False) if p.ndim == 4):
                    weight.copy_(isotropic(weight))
