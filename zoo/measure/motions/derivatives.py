"""The derivative of a function along a direction of its input: in forward mode, and by two backwards as a check.

Both compute J v, J being the Jacobian at x. Forward mode propagates v together with x, for about the cost of 2.5
forwards. The other differentiates J^T w, which is linear in w, by w; it costs 4 to 5, and needs second derivatives.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from torch import Tensor
from torch.backends import mha
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from zoo.errors import ModelError, describe_error


def forward_mode(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """f(x) and its derivative along v."""
    with dual_numbers(), torch.no_grad():
        out, along = taken_apart(f(dual(x, v)))
        return out, torch.zeros_like(out) if along is None else along


def double_backward(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The same by two backwards, if every operation of f is twice differentiable."""
    with derivable(), torch.enable_grad():
        leaf = x.detach().requires_grad_()
        out = f(leaf)
        if not out.requires_grad:
            return out, torch.zeros_like(out)
        weights = torch.zeros_like(out, requires_grad=True)
        (pulled,) = torch.autograd.grad(out, leaf, weights, create_graph=True)
        (along,) = torch.autograd.grad(pulled, weights, v)
        return out.detach(), along


@contextmanager
def dual_numbers() -> Iterator[None]:
    """Within this context tensors may carry a derivative."""
    with derivable(), forward_ad.dual_level(), _Sparing():
        with warnings.catch_warnings():
            # The first dual number makes torch load a deprecated part of itself, which warns.
            warnings.simplefilter("ignore", DeprecationWarning)
            dual(torch.zeros(()), torch.zeros(()))
        yield


LINEAR = frozenset((F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d))
"""Functions of (input, weight, bias, ...) that are linear in the input."""


NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
"""The arguments of `torch.nn.functional.batch_norm`, in order."""


class _Sparing(TorchFunctionMode):
    """Applies linear maps to a tensor and to its derivative only.

    torch applies them a third time, to the derivative of the weights, although there is none: that costs half again.
    Batch norms with the statistics of training it takes apart in Python, which costs as much as the convolutions.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func in LINEAR and len(args) >= 2:
            x, weight, *rest = args
            bias = rest.pop(0) if rest else named.pop("bias", None)
            value, along = taken_apart(x)
            if along is not None and _is_constant(weight) and _is_constant(bias):
                return dual(func(value, weight, bias, *rest, **named), func(along, weight, None, *rest, **named))
        if func is F.batch_norm:
            norm = dict(zip(NORM, args, strict=False)) | named
            value, along = taken_apart(norm["input"])
            others = [norm.get(name) for name in NORM[1:5]]
            if along is not None and not norm.get("training") and all(map(_is_constant, others)):
                centre = torch.zeros_like(norm["running_mean"])
                slope = func(**norm | {"input": along, "running_mean": centre, "bias": None})
                return dual(func(**norm | {"input": value}), slope)
        return func(*args, **(kwargs or {}))


def _is_constant(x: Tensor | None) -> bool:
    return x is None or taken_apart(x)[1] is None


def dual(x: Tensor, v: Tensor) -> Tensor:
    """x with the derivative v."""
    made: Tensor = forward_ad.make_dual(x, v)  # type: ignore[no-untyped-call]
    return made


def taken_apart(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """The value of a tensor, and its derivative if it has one."""
    value, along = forward_ad.unpack_dual(x)  # type: ignore[no-untyped-call]
    return value, along


@contextmanager
def derivable() -> Iterator[None]:
    """Within this context attention runs as operations that have derivatives; one without is a `ModelError`."""
    fused = mha.get_fastpath_enabled()
    try:
        mha.set_fastpath_enabled(False)
        with sdpa_kernel(SDPBackend.MATH):
            yield
    except (RuntimeError, ModelError) as error:
        cause = error.__cause__ if isinstance(error, ModelError) else error
        if cause is None or not (isinstance(cause, NotImplementedError) or "is not implemented" in str(cause)):
            raise
        raise ModelError(
            f"the model cannot be differentiated: {describe_error(cause)[:160]}; "
            "use method='central', which needs no derivatives"
        ) from error
    finally:
        mha.set_fastpath_enabled(fused)
