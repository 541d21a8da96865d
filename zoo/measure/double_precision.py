"""Networks in float64 throughout, also where they say float32 themselves."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

LOWER = {torch.float32, torch.float16, torch.bfloat16}
DEFAULT = {"aten::empty", "aten::zeros", "aten::ones", "aten::rand", "aten::randn", "aten::linspace"}
"""Operations that make floats of torch's default precision if they are not told another."""


class DoublePrecision(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this context whatever asks for floats of another precision gets float64.

    Attention and normalisation are often written with `x.float()`, and rounding in float32 would look like an error.
    Poolings and gates of escnn put their results into float32 tensors, which no linear layer in float64 takes.

    Example:
        >>> x = torch.rand(2, dtype=torch.float64)
        >>> with DoublePrecision():
        ...     x.float().dtype, x.softmax(0, dtype=torch.float32).dtype, x.long().dtype
        (torch.float64, torch.float64, torch.int64)
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled while measuring, and shielding us from dynamo costs its import, a second

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        dtype = kwargs.get("dtype")
        if dtype in LOWER or (dtype is None and func._schema.name in DEFAULT):
            kwargs["dtype"] = torch.float64
        return func(*args, **kwargs)
