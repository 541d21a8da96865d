"""What is known of the tensors of a run, and which of them share memory."""

from collections.abc import Iterable
from typing import Any
from weakref import ref

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from zoo.exactness.calls import tensors
from zoo.exactness.sites import Loss, Sites


class Known:
    """Tensor -> `Sites`, as long as the tensor lives; a tensor that is not in it is a constant.

    Args:
        elements: how many elements of d4 are followed.
    """

    def __init__(self, elements: int) -> None:
        self.elements = elements
        self._states = WeakTensorKeyDictionary()
        self._owners: dict[int, list[ref[Tensor]]] = {}
        self._spoilt: dict[int, tuple[Any, Loss]] = {}

    def __getitem__(self, tensor: Tensor) -> Sites:
        state: Sites = self._states[tensor]
        return state

    def get(self, tensor: Tensor, alias: Loss) -> Sites | None:
        """What is known of a tensor; None for a constant. `alias` is the loss of one that only shares memory."""
        if tensor in self._states:
            return self[tensor]
        storage = _storage(tensor)
        if storage in self._spoilt:
            return self.lost(self._spoilt[storage][1])
        if any(owner() is not None for owner in self._owners.get(storage, ())):
            return self.lost(alias)
        return None

    def put(self, tensor: Tensor, state: Sites) -> None:
        """Remember a result."""
        self._states[tensor] = state
        storage = _storage(tensor)
        alive = [owner for owner in self._owners.get(storage, ()) if owner() is not None]
        self._owners[storage] = [*alive, ref(tensor)]

    def lost(self, loss: Loss) -> Sites:
        """Nothing is known, for one reason."""
        return Sites((), (loss,) * self.elements)

    def written(self, target: Tensor, results: Iterable[Tensor], constant: bool, loss: Loss) -> None:
        """After a write in place into what was a constant or not: what else shares the memory is not what it was."""
        storage, mine = _storage(target), {id(target), *map(id, results)}
        for owner in self._owners.get(storage, ()):
            tensor = owner()
            if tensor is not None and id(tensor) not in mine:
                self._states[tensor] = self.lost(loss)
        if constant:  # its other names are not known; it is held, so that its address is not given away
            self._spoilt[storage] = (target, loss)

    def of(self, values: Any, alias: Loss) -> dict[int, Sites]:
        """Of the tensors in some values, by `id`, those that are no constants."""
        found = {id(tensor): self.get(tensor, alias) for tensor in tensors(values)}
        return {key: state for key, state in found.items() if state is not None}


def _storage(tensor: Tensor) -> int:
    """The address of a tensor's memory; for a sparse or nested tensor, which has none of its own, a number like it."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return -id(tensor)
