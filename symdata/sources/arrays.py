"""Images in arrays: which dtypes and layouts are read, and the `Source` over them.

Images are uint8, of shape (n, H, W), (n, H, W, C) or (n, C, H, W) with C = 1 or 3. Other dtypes are refused with the
line that converts them: no rescaling to 8 bits suits all of them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from symdata.errors import MixedSizesError, SourceError
from symdata.sources.base import check_indices, refusal
from symdata.sources.files import Facts, FileSource, Labels
from symdata.sources.fit import Fit

if TYPE_CHECKING:
    import torch

CHANNELS = (1, 3)
CAST = ".astype('uint8')"
"""How numpy converts to 8 bits."""


class Images(Protocol):
    """Images of a split."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, C, H, W)."""

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Images at `rows`, uint8 (k, C, H, W), contiguous."""


class ImageStack:
    """Images in one array of any layout; an array that is mapped from a file stays there, in other processes too."""

    def __init__(self, values: np.ndarray, axes: tuple[int, ...]) -> None:
        """uint8 values, and the axes that come after `n`, in the order C, H, W; without C for gray images."""
        self.values, self.axes = values, axes

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, C, H, W)."""
        sizes = tuple(self.values.shape[axis] for axis in self.axes)
        return (len(self.values), *(() if len(sizes) == 3 else (1,)), *sizes)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Images at `rows`, uint8 (k, C, H, W), contiguous."""
        found = np.asarray(self.values[rows]).transpose(0, *self.axes)
        return np.ascontiguousarray(found if found.ndim == 4 else found[:, None])

    def __getstate__(self) -> dict[str, Any]:
        file = self.values.filename if isinstance(self.values, np.memmap) else None
        return {"values": self.values if file is None else str(file), "axes": self.axes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values, self.axes = state["values"], state["axes"]
        self.values = np.load(values, mmap_mode="r", allow_pickle=False) if isinstance(values, str) else values


def image_stack(values: np.ndarray, name: str, cast: str = CAST) -> ImageStack:
    """The images in an array.

    Args:
        values: the array.
        name: of the array, which begins a message.
        cast: how its library converts to 8 bits.

    Raises:
        SourceError: for another dtype or shape.

    Example:
        >>> import numpy as np
        >>> image_stack(np.zeros((5, 20, 28, 3), np.uint8), "x").shape
        (5, 3, 20, 28)
        >>> image_stack(np.zeros((5, 28, 28), np.float32), "x")
        Traceback (most recent call last):
        ...
        symdata.errors.SourceError: x holds float32 values ... as from (255 * images).round().astype('uint8')
    """
    shape = values.shape
    found = f"{name} holds {values.dtype} values of shape {shape}"
    if len(shape) not in (3, 4) or 0 in shape[1:]:
        side = round(shape[1] ** 0.5) if len(shape) == 2 else 0
        mend = f"; reshape rows of pixels, as in images.reshape(-1, {side}, {side})" if side > 1 else ""
        raise SourceError(f"{found}; expected uint8 images (n, H, W) or (n, H, W, 3){mend}")
    if values.dtype != np.uint8:
        raise SourceError(f"{found}; expected uint8 images, as from {_converted(values)}{cast}")
    if len(shape) == 3:
        return ImageStack(values, (1, 2))
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if first == last:
        which = "is ambiguous" if first else "is none of images"
        mend = "; drop the alpha channel, as in images[..., :3]" if shape[3] == 4 else ""
        raise SourceError(f"{name} has shape {shape}; expected (n, H, W, 3) or (n, 3, H, W), and this {which}{mend}")
    return ImageStack(values, (1, 2, 3) if first else (3, 1, 2))


def _converted(values: np.ndarray) -> str:
    """The start of a line that brings values to 0..255; the reader knows whether it suits the images."""
    if values.dtype.kind == "b":
        return "(255 * images)"
    low, high = (values.min(), values.max()) if values.dtype.kind in "iuf" and values.size else (0, 0)
    if values.dtype.kind == "f":
        return "(255 * images).round()" if low >= 0 and high <= 1 else "images.clip(0, 255).round()"
    return "images" if low >= 0 and high <= 255 else f"(images // {256 if high <= 65535 else int(high) // 255 + 1})"


def label_values(values: np.ndarray, name: str) -> list[Any]:
    """Labels in an array (n,) or (n, 1), as integers, booleans or texts.

    Raises:
        SourceError: for another dtype or shape; it begins with the array's `name`.

    Example:
        >>> import numpy as np
        >>> label_values(np.array([[3], [7]], np.uint8), "y")
        [3, 7]
    """
    if values.ndim == 2 and values.shape[1] > 1:
        raise SourceError(
            f"{name} holds {values.shape[1]} labels an image (shape {values.shape}), and one is expected; "
            "keep one column, as in labels[:, 0], or take labels.argmax(1) of one-hot rows"
        )
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        raise SourceError(f"{name} has shape {values.shape}; expected one label an image, (n,)")
    if values.dtype.kind not in "iubU":
        mend = "labels.astype(str)" if values.dtype.kind in "SO" else "labels.astype('int64')"
        raise SourceError(f"{name} holds labels of type {values.dtype}; expected integers or text, as from {mend}")
    found: list[Any] = values.reshape(-1).tolist()
    return found


class ArraySource(FileSource):
    """A `Source` over arrays of images by split."""

    def __init__(self, facts: Facts, labels: Labels, images: Mapping[str, Images], fit: Fit) -> None:
        super().__init__(facts, labels, fit)
        self._images = {split: images[split] for split in self.splits}
        channels = {split_images.shape[1] for split_images in self._images.values()}
        sizes = {fit.shape(*split_images.shape[2:]) for split_images in self._images.values()}
        if len(channels) > 1 or len(sizes) > 1:
            listing = ", ".join(f"{split} {'x'.join(map(str, i.shape[1:]))}" for split, i in self._images.items())
            problem = f"the splits differ in shape ({listing})"
            if len(channels) > 1:
                raise refusal(self.ref, f"{problem}; convert those of one channel, as in images.repeat(3, axis=-1)")
            found = {(own.shape[2], own.shape[3]): own.shape[0] for own in self._images.values()}
            raise MixedSizesError(str(refusal(self.ref, f"{problem}; give one size, as in --size 28")), found)
        self.shape = (channels.pop(), *sizes.pop())

    def read(self, split: str, indices: np.ndarray) -> "torch.Tensor":
        """Images at `indices`, uint8 (n, C, H, W)."""
        import torch

        wanted = check_indices(self, split, indices)
        return self._fit(torch.from_numpy(self._images[split][wanted]))


def check_counts(images: Sequence[Any] | Images, labels: Sequence[Any], names: tuple[str, str], mend: str) -> None:
    """Raise SourceError unless there are as many labels as images; `names` are those of the two."""
    count = images.shape[0] if hasattr(images, "shape") else len(images)
    if count != len(labels):
        raise SourceError(f"{names[0]} holds {count} images but {names[1]} holds {len(labels)} labels{mend}")
