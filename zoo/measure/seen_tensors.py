"""Tensors that were handled already, remembered for as long as they live, without an attribute on them."""

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary


class SeenTensors:
    """A set of tensors; one that is changed in place is no longer in it.

    Containers return the tensor that their last module made: with this a hook handles it once.
    """

    def __init__(self) -> None:
        self._versions = WeakTensorKeyDictionary()

    def add(self, tensor: Tensor) -> None:
        """Put a tensor in, as it is now."""
        self._versions[tensor] = tensor._version

    def __contains__(self, tensor: Tensor) -> bool:
        return tensor in self._versions and bool(self._versions[tensor] == tensor._version)
