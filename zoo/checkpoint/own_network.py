"""The weights of a network of one's own: what is saved of it, and how they come back into what its code makes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zoo.checkpoint.tensors import SHOWN, SLACK, load_strictly, read_tensors, short
from zoo.errors import ModelError
from zoo.exactness.tracer import duplicate
from zoo.models.code import Arch, make_network
from zoo.models.spec import BOUNDS
from zoo.preprocessing import Preprocessing

ATTRIBUTES: Mapping[str, tuple[type, ...]] = {
    "preprocessing": (Preprocessing,),
    "classes": (tuple, list),
    "config": (dict,),
}
"""Attribute that a loaded model has -> what it holds."""


def check_attributes(model: nn.Module) -> None:
    """`ModelError` if a network uses the name of an attribute of loaded models for something else.

    Example:
        >>> check_attributes(nn.Linear(4, 2))
    """
    for name, kinds in ATTRIBUTES.items():
        found = getattr(model, name, None)
        if found is not None and not isinstance(found, kinds):
            raise ModelError(
                f"{type(model).__name__} has an attribute {name!r}, {type(found).__name__}, and every loaded model has "
                f"one, {kinds[0].__name__}; give yours another name"
            )


def saved_state(model: nn.Module) -> dict[str, Tensor]:
    """The state of a network in training mode, since that of escnn's layers has more in it in eval mode.

    Raises:
        ModelError: if something in it is no tensor with values.

    Example:
        >>> list(saved_state(nn.Linear(4, 2)))
        ['weight', 'bias']
    """
    state: dict[str, Any] = model.train().state_dict()
    for key, value in state.items():
        if is_lazy(value):
            raise ModelError(
                f"{type(model).__name__} has lazy layers: the shape of {key!r} is not known before they run; give them "
                "their numbers, as in nn.Linear(32, 10)"
            )
        if not isinstance(value, Tensor) or value.is_meta or value.layout != torch.strided:
            what = f"{value.layout} on {value.device}" if isinstance(value, Tensor) else type(value).__name__
            raise ModelError(
                f"the state of {type(model).__name__} has {key!r}, {what}, and a file of weights holds dense tensors "
                "alone; keep it out of the state, for example as register_buffer(..., persistent=False)"
            )
    return state


def own_copy(model: nn.Module) -> tuple[nn.Module, dict[str, Tensor]]:
    """A copy of a network on the CPU, in eval mode, and its state to save."""
    twin = duplicate(model).cpu()
    weights = {key: value.detach() for key, value in saved_state(twin).items()}
    return twin.eval(), weights


def read_own(arch: Arch, classes: int, channels: int, path: Path, expected: str) -> nn.Module:
    """The network that `arch` makes, with the weights in `path`, in eval mode on the CPU.

    Args:
        arch: the code, which the user named.
        classes, channels: what the model was trained for; a callable gets them if it takes num_classes and in_chans.
        path: a safetensors file.
        expected: its sha256.

    Raises:
        ModelError: if the code makes no such network: every key, shape and dtype has to be that of the file.
    """
    if classes > BOUNDS["num_classes"]:
        raise ModelError(
            f"the model has {classes:,} classes, at most {BOUNDS['num_classes']:,} are built; get it again"
        )
    model = make_network(arch, num_classes=classes, in_chans=channels).cpu()
    state = saved_state(model)
    size = sum(value.numel() * value.element_size() for value in state.values())
    if path.is_file() and path.stat().st_size > size + SLACK:  # not read: it is not of this network
        raise ModelError(
            f"{str(path)!r} does not fit {type(model).__name__}: it has {path.stat().st_size:,} bytes and the network "
            f"{size:,}{_unexpected(path, state)}; name the code of the network that was trained"
        )
    load_strictly(model, read_tensors(path, expected=expected, limit=size), repr(str(path)))
    return model.eval()


def _unexpected(path: Path, state: Mapping[str, Tensor]) -> str:
    """The first keys of a file that a network does not have, as the end of a phrase."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")  # of the header, which is JSON
            header = json.loads(file.read(length)) if length <= SLACK else {}
        keys = sorted(short(key) for key in header if key not in state and key != "__metadata__")
    except (OSError, ValueError, RecursionError):
        return ""
    return f"; unexpected {', '.join(keys[:SHOWN])}" if keys else ""
