"""What a model keeps from one image and uses on the next: a cache, a counter, the last feature map."""

from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
NOT_FOLLOWED = (type, FunctionType, ModuleType)
HOOKS = frozenset(name for name in vars(nn.Module()) if "hooks" in name)


class Memory:
    """The attributes and buffers of a model at one moment, those of the objects that it holds included.

    Globals and the variables of closures are not looked at.

    Example:
        >>> class Counter(nn.Module):
        ...     count = 0
        ...     def forward(self, x):
        ...         self.count += 1
        ...         return x + self.count
        >>> model = Counter()
        >>> before = Memory(model)
        >>> _ = model(torch.zeros(1))
        >>> before.changed(Memory(model))
        ('count',)
    """

    def __init__(self, model: nn.Module) -> None:
        self._held = dict(_leaves(model, "", set()))
        self._versions = {path: _version(value) for path, value in self._held.items() if isinstance(value, Tensor)}

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Those that are held, each with its path."""
        return ((path, value) for path, value in self._held.items() if isinstance(value, Tensor))

    def changed(self, later: "Memory") -> tuple[str, ...]:
        """The paths at which the model holds something else later, such as `block.cache`."""
        paths = self._held.keys() | later._held.keys()
        return tuple(sorted(path for path in paths if not self._same(path, later)))

    def _same(self, path: str, later: "Memory") -> bool:
        if not (path in self._held and path in later._held):
            return False
        old, new = self._held[path], later._held[path]
        if not (isinstance(old, Tensor) and isinstance(new, Tensor)):
            return old is new or (isinstance(old, PLAIN) and type(old) is type(new) and old == new)
        if _version(old) != self._versions[path]:
            return False  # what it was is overwritten
        return old is new or (old.dtype == new.dtype and torch.equal(old, new))


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _leaves(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Everything that is no container, with its path; what was met before is left out."""
    if isinstance(value, (Tensor, *PLAIN, *NOT_FOLLOWED)):
        yield path, value
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, nn.Module):
        parts: Mapping[Any, Any] = {name: part for name, part in vars(value).items() if name not in HOOKS}
    elif isinstance(value, Mapping):
        parts = value
    elif isinstance(value, list | tuple | set | frozenset):
        parts = dict(enumerate(value))
    elif hasattr(value, "__dict__"):
        parts = vars(value)
    else:
        yield path, value
        return
    yield path, type(value)
    for name, part in list(parts.items()):
        inner = path if name in ("_parameters", "_buffers", "_modules") else f"{path}.{name}".lstrip(".")
        yield from _leaves(part, inner, seen)
