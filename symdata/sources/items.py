"""Images and labels of one split as Python holds them: arrays, tensors, or items (image, label)."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np

from symdata.errors import MixedSizesError, SourceError, first_line
from symdata.sources.arrays import CAST, ImageStack, check_counts, image_stack, label_values
from symdata.sources.fit import Fit

_BATCH = 256
"""Images that are brought into order at a time."""
_MEND = "give one label an image"


class SplitContent(NamedTuple):
    """A split that was read."""

    images: ImageStack
    labels: list[Any]
    digest: str
    """Of the images as they were given."""
    classes: tuple[str, ...] | None = None


def read_split(name: str, value: Any, fit: Fit) -> SplitContent:
    """Read a split: arrays (images, labels), two sequences, or a sequence of pairs.

    Args:
        name: of the split, in messages.
        value: its content.
        fit: the size that images of several sizes are brought to.

    Raises:
        SourceError: for any other content, dtype or shape.
    """
    if isinstance(value, tuple) and len(value) == 2 and is_array(value[0]):
        array, cast = _array(value[0])
        images = image_stack(array, f"the array of images of {name}", cast)
        labels = _label_list(name, value[1])
        check_counts(images, labels, ("the array of images", "that of labels"), f" (in {name}); {_MEND}")
        parts = (images[np.arange(k, min(k + _BATCH, len(array)))] for k in range(0, len(array), _BATCH))
        return SplitContent(images, labels, digest_of(_as_bytes(image) for part in parts for image in part))
    if isinstance(value, tuple) and len(value) == 2 and is_sequence(value[0]):
        labels = _label_list(name, value[1])
        check_counts(value[0], labels, ("the sequence of images", "that of labels"), f" (in {name}); {_MEND}")
        return _read_items(name, list(zip(value[0], labels, strict=True)), fit)
    return _read_items(name, value, fit)


def _read_items(name: str, items: Any, fit: Fit) -> SplitContent:
    """Read a sequence of pairs of image and label once; images are brought to the size at once."""
    import torch

    digest, images, labels = hashlib.sha256(), [], []
    for k in range(len(items)):
        pixels, label = _item(f"item {k} of {name}", items, k)
        if k < 2 and not np.array_equal(pixels, _item(f"item {k} of {name}", items, k)[0]):
            raise SourceError(f"item {k} of {name} is another image each time; leave its random transforms out")
        digest.update(_as_bytes(pixels))
        images.append(fit(torch.from_numpy(pixels[None]))[0])
        labels.append(label)
    shapes = {(image.shape[1], image.shape[2]): k for k, image in enumerate(images)}
    if len(shapes) > 1:
        (one, first), (other, last) = list(shapes.items())[:2]
        listing = f"{one[0]}x{one[1]} (item {first}) and {other[0]}x{other[1]} (item {last})"
        counts = Counter((image.shape[1], image.shape[2]) for image in images)
        problem = f"{name} holds images of {len(shapes)} sizes, such as {listing}; give one, as in size=28"
        raise MixedSizesError(problem, dict(counts))
    channels = max((len(image) for image in images), default=1)
    stack = torch.stack([image.expand(channels, -1, -1) for image in images]) if images else torch.empty(0, 1, 1, 1)
    named = getattr(items, "classes", None)
    classes = tuple(map(str, named)) if isinstance(named, list | tuple) and named else None
    return SplitContent(ImageStack(stack.numpy(), (1, 2, 3)), labels, digest.hexdigest(), classes)


def _item(name: str, items: Any, k: int) -> tuple[np.ndarray, Any]:
    """Pixels (C, H, W) and label of an item."""
    try:
        item = items[k]
    except Exception as error:
        raise SourceError(f"{name} cannot be read ({type(error).__name__}: {first_line(error)})") from error
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise SourceError(f"{name} is of type {type(item).__name__}, expected a pair (image, label)")
    return _pixels(name, item[0]), _label(name, item[1])


def _pixels(name: str, image: Any) -> np.ndarray:
    from PIL import Image

    from symdata.sources.decode import upright_pixels

    if isinstance(image, Image.Image):
        try:
            pixels = upright_pixels(image)
        except SourceError as error:
            raise SourceError(f"{name} cannot be used: {error}") from None
        if pixels.shape[2] in (2, 4):
            if pixels[..., -1].min() < 255:
                raise SourceError(f"parts of {name} are transparent; drop that with image.convert('RGB')")
            pixels = pixels[..., :-1]
        return pixels.transpose(2, 0, 1).copy()  # may be written to, as tensors expect
    if not is_array(image):
        raise SourceError(f"{name}: its image is of type {type(image).__name__}, expected a PIL image, array or tensor")
    array, cast = _array(image)
    cast += ", or leave ToTensor out of the dataset" if cast != CAST else ""
    stack = image_stack(array[None], f"the image of {name}", cast)
    return np.asarray(stack[np.array([0])][0])


def _label(name: str, value: Any) -> Any:
    """A label in Python's own type."""
    found = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if isinstance(found, str | int):
        return found
    raise SourceError(f"{name} has the label {short(found)}; a label is one integer, boolean or text")


def _label_list(name: str, value: Any) -> list[Any]:
    if is_array(value) and _array(value)[0].dtype != object:
        return label_values(_array(value)[0], f"the array of labels of {name}")
    if not is_sequence(value) and not is_array(value):
        raise SourceError(f"the labels of {name} are of type {type(value).__name__}, expected an array or a list")
    return [_label(f"row {k} of {name}", one) for k, one in enumerate(value)]


def is_of(package: str, value: Any) -> bool:
    """Whether a value is of a class of this package; the package is not loaded for that."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


def is_array(value: Any) -> bool:
    """Whether a value is an array of numpy or a tensor."""
    return isinstance(value, np.ndarray) or (is_of("torch", value) and hasattr(value, "detach"))


def is_sequence(value: Any) -> bool:
    """Whether a value has a length and items by number, and is no text."""
    return hasattr(value, "__getitem__") and hasattr(value, "__len__") and not isinstance(value, str | bytes)


def _array(value: Any) -> tuple[np.ndarray, str]:
    """An array or tensor as an array, and how its library converts to 8 bits."""
    if isinstance(value, np.ndarray):
        return value, CAST
    found = value.detach().cpu()
    return (found.float() if found.is_floating_point() else found).numpy(), ".to(torch.uint8)"


def _as_bytes(pixels: np.ndarray) -> bytes:
    """Shape and values of an image (C, H, W), for its digest."""
    return repr(pixels.shape).encode() + pixels.tobytes()


def digest_of(values: Iterable[str | bytes]) -> str:
    """Hex digest of texts, a line each, or of bytes."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(f"{value!r}\n".encode() if isinstance(value, str) else value)
    return digest.hexdigest()
