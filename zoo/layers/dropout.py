"""Dropout of whole fields, which keeps a layer equivariant while it is trained."""

import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.layers.regular import fields, lattice_group, order


class GroupDropout(nn.Module):
    """Drops each field of an image with probability p, in all its orientations and pixels, and scales the others.

        y[g, c] = x[g, c] m[c] / (1 - p),    m[c] is 0 with probability p and 1 otherwise, for every image anew

    One number per field commutes with the group: whatever is dropped, the layer is equivariant in training too. Other
    dropouts are not: `nn.Dropout2d` drops single orientations, `nn.Dropout` single numbers. In eval mode the input is
    returned. Takes (B, |G| C, H, W) and (B, |G| C).

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        p: from 0 to 1.

    Raises:
        ShapeError: for another p, and inputs without an axis of the group.

    Example:
        >>> import torch
        >>> layer = GroupDropout("c4", p=0.5)
        >>> out = layer(torch.ones(1, 4 * 3, 2, 2))
        >>> orientations = fields(out, "c4")[0, :, :, 0, 0]  # (4, 3)
        >>> torch.equal(orientations, orientations[:1].expand(4, 3)), sorted({0.0, 2.0} | set(out.flatten().tolist()))
        (True, [0.0, 2.0])
    """

    def __init__(self, group: Group | str, p: float = 0.5) -> None:
        super().__init__()
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
            raise ShapeError(f"p is {p!r}, expected a number from 0 to 1, for example 0.1")
        self.group, self.p = lattice_group(group), float(p)

    def forward(self, x: Tensor) -> Tensor:
        count = fields(x, self.group).shape[2]
        if not self.training or not self.p:
            return x
        kept = F.dropout(x.new_ones(len(x), count), self.p)
        return x * kept.repeat(1, order(self.group)).view(*x.shape[:2], *[1] * (x.ndim - 2))

    def extra_repr(self) -> str:
        return f"{self.group}, p={self.p:g}"
