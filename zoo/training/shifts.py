"""Random shifts of whole pixels: what a random crop does after padding by as much.

Convention:
    A shift is (right, down) in pixels, as `translate_x` and `translate_y` of `symdata.transforms.generators`.
"""

import numpy as np
import torch
from torch import Tensor

from symdata.keys import uniforms


def draw_shifts(keys: Tensor, most: int) -> Tensor:
    """One shift for each key, both numbers uniform on -most, ..., most.

    Args:
        keys: (n,) int64 by `symdata.split_keys`, on any device; equal keys give equal shifts.
        most: pixels, from 0 on.

    Returns:
        (n, 2) int64 on the device of the keys: right, down.

    Example:
        >>> from symdata import split_keys
        >>> keys = torch.from_numpy(split_keys(0, "train", "shift-0", range(1000)))
        >>> shifts = draw_shifts(keys, 4)
        >>> shifts.shape, int(shifts.min()), int(shifts.max())
        (torch.Size([1000, 2]), -4, 4)
    """
    drawn = np.stack(uniforms(keys.cpu().numpy(), 2), axis=1)  # in float64, which some devices have not
    return torch.from_numpy(np.floor(drawn * (2 * most + 1)).astype(np.int64) - most).to(keys.device)


def shift_images(images: Tensor, shifts: Tensor, padding: str = "border") -> Tensor:
    """Every image moved by its own shift; what is moved in is the nearest border pixel, or 0.

    Args:
        images: (B, C, H, W), any dtype.
        shifts: (B, 2) int64, right and down, or (1, 2) for all.
        padding: `border` or `zeros`.

    Returns:
        A copy, on the device of the images.

    Example:
        >>> image = torch.arange(4.0).view(1, 1, 2, 2)
        >>> shift_images(image, torch.tensor([[1, 0]]), "zeros").tolist()
        [[[[0.0, 0.0], [0.0, 2.0]]]]
        >>> shift_images(image, torch.tensor([[1, 0]])).tolist()
        [[[[0.0, 0.0], [2.0, 2.0]]]]
    """
    count, _, high, wide = images.shape
    right, down = shifts.to(images.device).expand(count, 2).unbind(1)
    rows = torch.arange(high, device=images.device) - down[:, None]  # (B, H): where each row comes from
    columns = torch.arange(wide, device=images.device) - right[:, None]
    which = torch.arange(count, device=images.device)[:, None, None]
    y, x = rows.clamp(0, high - 1)[:, :, None], columns.clamp(0, wide - 1)[:, None, :]
    moved = images.movedim(1, -1)[which, y, x].movedim(-1, 1)  # (B, C, H, W)
    if padding == "border":
        return moved.contiguous()
    inside = (rows.clamp(0, high - 1) == rows)[:, :, None] & (columns.clamp(0, wide - 1) == columns)[:, None, :]
    return moved.masked_fill(~inside[:, None], 0)
