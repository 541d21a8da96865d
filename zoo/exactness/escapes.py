"""What does not pass torch's dispatcher, or passes it in pieces that say less than the whole."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zoo.exactness.calls import tensors
from zoo.exactness.recorder import Recorder

READERS = {
    "numpy", "tolist", "__array__", "__dlpack__", "untyped_storage", "storage", "__repr__", "apply_", "map_", "map2_",
}  # fmt: skip
"""Methods that hand the values of a tensor to code that torch does not see."""


class Escapes(TorchFunctionMode):
    """Tells a recorder what it cannot see."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if self.recorder.hidden:
            return func(*args, **kwargs)
        if name == "pad" and "circular" in (*args[2:3], kwargs.get("mode")):
            return _circular_pad(args[0], args[1] if len(args) > 1 else kwargs["pad"])
        if name in READERS and any(self.recorder.state(tensor) for tensor in tensors([args])):
            self.recorder.escape(name, "reads values of the image outside of torch")
        out = func(*args, **kwargs)
        if func is Tensor.data.__get__ and (state := self.recorder.state(args[0])):  # type: ignore[attr-defined]
            self.recorder.known.put(out, state)
        return out


def _circular_pad(x: Tensor, pad: Sequence[int]) -> Tensor:
    """`torch.nn.functional.pad(x, pad, "circular")`, which by itself writes in place into parts of its result."""
    for number in range(len(pad) // 2):
        low, high = pad[2 * number : 2 * number + 2]
        axis = x.ndim - 1 - number
        n = x.shape[axis]
        x = x.index_select(axis, torch.arange(-low, n + high, device=x.device) % n)
    return x
