"""Devices by name."""

import torch
from torch import nn

from symdata.errors import first_line
from zoo.errors import ModelError


def check_device(name: str, *, auto: bool = False) -> torch.device | None:
    """The device of that name.

    Args:
        name: cpu, cuda, cuda:1, mps ...
        auto: whether `auto` is allowed too: the caller then chooses, and the result is None.

    Raises:
        ModelError: for any other name, and for a device that this machine does not have.

    Example:
        >>> check_device("cpu"), check_device("auto", auto=True)
        (device(type='cpu'), None)
    """
    if auto and name == "auto":
        return None
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    try:
        device = torch.device(name)
        there = count[device.type]
    except (RuntimeError, KeyError):
        raise ModelError(f"device is {name!r}, expected {'auto, ' * auto}cpu, cuda, cuda:1 or mps") from None
    if (device.index or 0) >= there:
        raise ModelError(f"there is no device {name!r} here; use --device {device.type if there else 'cpu'}")
    return device


def on_device(model: nn.Module, device: str) -> nn.Module:
    """The model on another device; `ModelError` if there is no such device."""
    try:
        # Moving a model to where it is would make it forget the filters that were expanded when it was checked.
        there = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
        return model if there == {torch.device(device)} else model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {device!r} cannot be used: {first_line(error)}; use 'cpu' or 'cuda'") from None
