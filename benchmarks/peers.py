"""What people use today to move images, each in its own favourite layout."""

from benchmarks.harness import optional  # isort: skip  (sets the number of threads)

from collections.abc import Callable

import numpy as np
import scipy.ndimage
import torch
from PIL import Image
from torch import Tensor

cv2 = optional("cv2")
torch.set_num_threads(1)
if cv2 is not None:
    cv2.setNumThreads(1)

P = Image.Transpose
PIL_D4 = (
    None,
    P.ROTATE_90,
    P.ROTATE_180,
    P.ROTATE_270,
    P.FLIP_LEFT_RIGHT,
    P.TRANSPOSE,
    P.FLIP_TOP_BOTTOM,
    P.TRANSVERSE,
)


def size(images: Tensor) -> str:
    """Size and type, for titles."""
    c, h, w = images.shape[1:]
    return f"{h}x{w}x{c} uint8"


def channels_last(images: Tensor) -> np.ndarray:
    """(n, H, W) or (n, H, W, 3), contiguous, as Pillow, OpenCV and scipy want it."""
    arrays = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
    return arrays[..., 0] if arrays.shape[-1] == 1 else arrays


def each(arrays: np.ndarray, values: list, move: Callable) -> np.ndarray:
    """A loop over images, as people write it."""
    out = np.empty_like(arrays)
    for i, value in enumerate(values):
        out[i] = move(arrays[i], value)
    return out


def pil_d4(a: np.ndarray, k: int) -> np.ndarray:
    """Element k of d4, Pillow."""
    return a if k == 0 else np.asarray(Image.fromarray(a).transpose(PIL_D4[k]))


def cv2_d4(a: np.ndarray, k: int) -> np.ndarray:
    """Element k of d4, OpenCV."""
    if k in (1, 2, 3):
        return cv2.rotate(a, (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)[k - 1])
    if k in (4, 6):
        return cv2.flip(a, 1 if k == 4 else 0)
    return a if k == 0 else cv2.transpose(a) if k == 5 else cv2.flip(cv2.transpose(a), -1)


def pil_rotate(a: np.ndarray, angle: float) -> np.ndarray:
    """Any angle, Pillow."""
    return np.asarray(Image.fromarray(a).rotate(angle, Image.Resampling.BILINEAR))


def pil_supersampled(a: np.ndarray, angle: float) -> np.ndarray:
    """The RotMNIST way: up, rotate, down; Pillow."""
    image, (h, w) = Image.fromarray(a), a.shape[:2]
    large = image.resize((3 * w, 3 * h), Image.Resampling.BILINEAR).rotate(angle, Image.Resampling.BILINEAR)
    return np.asarray(large.resize((w, h), Image.Resampling.BILINEAR))


def cv2_rotate(a: np.ndarray, angle: float) -> np.ndarray:
    """Any angle, OpenCV, about the same centre as ours."""
    h, w = a.shape[:2]
    return cv2.warpAffine(a, cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), angle, 1.0), (w, h))


def cv2_supersampled(a: np.ndarray, angle: float) -> np.ndarray:
    """Up, rotate, down; OpenCV."""
    h, w = a.shape[:2]
    large = cv2_rotate(cv2.resize(a, (3 * w, 3 * h)), angle)
    return cv2.resize(large, (w, h), interpolation=cv2.INTER_AREA)


def scipy_rotate(a: np.ndarray, angle: float) -> np.ndarray:
    """Any angle, scipy, linear."""
    return scipy.ndimage.rotate(a, angle, reshape=False, order=1)


def numpy_grouped(images: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Elements of d4 by groups, numpy."""
    out = np.empty_like(images)
    for k in range(8):
        rows = np.flatnonzero(index == k)
        part = images[rows]
        out[rows] = np.rot90(part[..., ::-1] if k > 3 else part, k % 4, (-2, -1))
    return out


def torch_where(images: Tensor, index: Tensor) -> Tensor:
    """Elements of d4 as three generators, each behind a mask."""
    index = index.view(-1, 1, 1, 1)
    images = torch.where(index > 3, images.flip(-1), images)
    images = torch.where(index % 4 > 1, images.flip(-1, -2), images)
    return torch.where(index % 2 == 1, images.mT.flip(-2), images)


def torch_gather(images: Tensor, index: Tensor, chunk: int = 64) -> Tensor:
    """Elements of d4 as one table look-up per pixel."""
    pixels = torch.arange(images[0, 0].numel()).view(images.shape[-2:])
    turned = [torch.rot90(pixels.flip(-1) if k > 3 else pixels, k % 4) for k in range(8)]
    table = torch.stack([plane.flatten() for plane in turned])[index]
    parts = zip(images.flatten(2).split(chunk), table.split(chunk), strict=True)
    moved = [x.gather(2, t[:, None].expand(-1, x.shape[1], -1)) for x, t in parts]
    return torch.cat(moved).view(images.shape)
