"""The devices that a command computes on, by name."""

import torch
from torch import nn

from zoo.errors import ModelError

KINDS = ("cpu", "cuda", "mps")


def check_device(wish: str, *, auto: bool = False) -> torch.device | None:
    """The device of that name; None for `auto`, which leaves the choice to the caller, where that is allowed.

    Raises:
        ModelError: for a name that is none, and a device that is not here.
    """
    if auto and wish == "auto":
        return None
    expected = f"expected {'auto, ' if auto else ''}cpu, cuda, cuda:1 or mps"
    try:
        device = torch.device(wish)
    except RuntimeError:
        raise ModelError(f"device is {wish!r}, {expected}") from None
    if device.type not in KINDS:
        raise ModelError(f"device is {wish!r}, {expected}")
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= there[device.type]:
        raise ModelError(
            f"there is no device {wish!r} here; use --device {device.type if there[device.type] else 'cpu'}"
        )
    return device


def on_device(model: nn.Module, device: str) -> nn.Module:
    """The model on another device; `ModelError` if there is no such device."""
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"device {device!r} cannot be used: {reason}; use 'cpu' or 'cuda'") from None
