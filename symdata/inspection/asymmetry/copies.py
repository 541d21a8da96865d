"""Copies among images: one picture that came several times, moved or not.

The tests take images for independent. Of copies, one can be in the half on which a score is fitted and another in the
half on which it is tested; the score then recognises the picture and not its orientation, and images whose every
orientation is equally likely would be called upright. So all but the first of them are left out.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from symdata.inspection.asymmetry.views import Views, flat

NEAR = 0.03
"""Distance, of the contrast, below which two images are copies: a saved JPEG or noise of 1 % of the range is less.

Among 2,000 images the closest pair lies 0.13 (MNIST) to 0.53 (histology) apart; compact radio galaxies, which are all
alike, 0.015."""
_CHUNK = 512


def without_copies(seen: Views, labels: np.ndarray, indices: list[int]) -> tuple[Views, np.ndarray, int]:
    """The views and labels of the images without copies, and how many copies there were."""
    kept = ~copies(seen["gray"], indices)
    if kept.all():
        return seen, labels, 0
    rows = torch.from_numpy(kept)
    return {view: [part[rows] for part in parts] for view, parts in seen.items()}, labels[kept], int((~kept).sum())


def copies(parts: list[Tensor], indices: list[int]) -> np.ndarray:
    """(n,) bool: whether an earlier image is the same picture, moved by an element of the group or as it is.

    Images without contrast are no copies of each other: they have no orientation that could be recognised.

    Args:
        parts: fields of the view `gray`, see `views.fields`.
        indices: indices in d4 of the elements of the group.

    Example:
        >>> images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> copies([torch.cat([images, images[1:2].rot90(1, (-2, -1))])], [0, 1, 2, 3]).tolist()
        [False, False, False, True]
    """
    versions = [_normalised(flat(parts, k)) for k in indices]
    first, closest = versions[0], 1.0 - NEAR**2 / 2.0  # |a - b|^2 = 2 - 2 a b of unit vectors
    found = np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), _CHUNK):
        rows = first[start : start + _CHUNK]
        earlier = torch.arange(start + len(rows)) < torch.arange(start, start + len(rows))[:, None]
        for moved in versions:
            same = (rows @ moved[: start + len(rows)].T > closest) & earlier
            found[start : start + len(rows)] |= same.any(1).numpy()
    return found


def _normalised(x: Tensor) -> Tensor:
    """Rows (n, d) without their mean, of length 1; zeros where nothing varies."""
    return F.normalize(x - x.mean(1, keepdim=True), dim=1, eps=1e-9)
