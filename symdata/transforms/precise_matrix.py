"""Transformation matrices whose products stay in float32, whatever the dtype of the images."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from symdata.transforms.lattice import is_followed

_PRODUCTS = ("matmul", "__matmul__", "__rmatmul__", "bmm")


class PreciseMatrix(Tensor):
    """A matrix in float32 or float64 that can be multiplied by one in half precision; the product is precise too.

    A container of Kornia multiplies the matrices of its augmentations. Those of Kornia have the dtype of the images, in
    which bfloat16 cannot represent the coordinates of pixels beyond 256, and torch refuses to multiply two dtypes.

    Example:
        >>> turn = torch.eye(3).as_subclass(PreciseMatrix)
        >>> (torch.eye(3, dtype=torch.bfloat16) @ turn).dtype
        torch.float32
    """

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.__name__ not in _PRODUCTS:
            found = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
            return found.as_subclass(Tensor) if type(found) is cls else found
        with torch._C.DisableTorchFunctionSubclass(), torch.autocast(args[0].device.type, enabled=False):
            dtype = torch.promote_types(args[0].dtype, args[1].dtype)
            found = func(*(factor.to(dtype) for factor in args), **(kwargs or {}))
        return found.as_subclass(cls)

    def __deepcopy__(self, memo: dict[int, Any]) -> "PreciseMatrix":
        return self.detach().clone().as_subclass(PreciseMatrix)


class PreciseMatrices:
    """Part of an augmentation of Kornia: its matrices, boxes and keypoints are float32 at least, under autocast too."""

    def generate_transformation_matrix(self, input: Tensor, params: Any, flags: Any) -> Tensor:
        """(B, 3, 3): input pixel (x, y, 1) to output pixel."""
        module: Any = self
        matrix: Tensor = module.compute_transformation(module.transform_tensor(input), params, flags)
        mixed = input.dtype != matrix.dtype or torch.is_autocast_enabled(input.device.type)
        return matrix.as_subclass(PreciseMatrix) if mixed and not is_followed(matrix) else matrix

    def apply_transform_box(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        return self._precisely("apply_transform_box", input, *args, **kwargs)

    def apply_transform_keypoint(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        return self._precisely("apply_transform_keypoint", input, *args, **kwargs)

    def inverse_boxes(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        return self._precisely("inverse_boxes", input, *args, **kwargs)

    def inverse_keypoints(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        return self._precisely("inverse_keypoints", input, *args, **kwargs)

    def _precisely(self, method: str, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Kornia's own method, without autocast."""
        with torch.autocast(input.data.device.type, enabled=False):
            return getattr(super(), method)(input, *args, **kwargs)
