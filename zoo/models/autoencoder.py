"""An autoencoder that separates what an image shows from where, and how it is turned (Xu et al. 2021, section 4.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, whole
from symdata.groups import Element, Group
from zoo.files import MAX_SIZE
from zoo.layers import GroupConv2d, GroupPool, LiftingConv2d
from zoo.layers.regular import lattice_group
from zoo.layers.subsampling.indexing import GroupIndex, act_on_index, group_index
from zoo.layers.subsampling.subsample import EquivariantSubsample2d, EquivariantUpsample2d

SMALLEST = 4
"""A torus of this side or less is subsampled to one pixel at once."""


class GroupEquivariantAutoencoder(nn.Module):
    """Images (B, in_chans, size, size) on a torus to (z_inv, z_eq), and back.

    The encoder subsamples until one pixel and one element are left, each time on the coset of one equivariant index
    of the image. So its last features z_inv (B, latent_dim) are invariant under circular shifts and the group, and the
    index z_eq, (B, 3) int64 of row, column and element, moves as the image does. The decoder upsamples on the same
    cosets: for every g of circular shifts and the group

        encode(g x) = (z_inv, g z_eq),        decode(z_inv, g z_eq) = g decode(z_inv, z_eq).

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        latent_dim: numbers of z_inv.
        size: of the images: halved while it is even and larger than 4, and then brought to 1.
        in_chans: channels of the images.
        fields: after the first layer; each level doubles them.

    Example:
        >>> model = GroupEquivariantAutoencoder("c4", size=16)
        >>> z_inv, z_eq = model.encode(torch.randn(1, 1, 16, 16))
        >>> model.decode(z_inv, model.act(Element(90), z_eq, shift=(3, 1))).shape
        torch.Size([1, 1, 16, 16])
    """

    def __init__(
        self, group: Group | str = "c4", latent_dim: int = 32, *, size: int = 32, in_chans: int = 1, fields: int = 8
    ) -> None:
        super().__init__()
        self.group, self.size, self.in_chans = lattice_group(group), size, in_chans
        strides = _strides(size)
        groups = _fibers(self.group, len(strides))
        widths = [fields << level for level in range(len(strides) + 1)]
        self.lifting = LiftingConv2d(self.group, in_chans, fields, 3, padding=1, padding_mode="circular")
        self.into, self.down, self.up, self.out = (nn.ModuleList() for _ in range(4))
        for k, stride in enumerate(strides):
            here, below = groups[k], groups[k + 1]
            self.into.append(_convolution(here, widths[k], widths[k + 1]))
            self.down.append(EquivariantSubsample2d(stride, here, below))
            self.up.append(EquivariantUpsample2d(stride, here, below, smooth=stride + 1 - stride % 2))
            self.out.append(_convolution(here, widths[k + 1], widths[k]))
        self.to_latent = nn.Linear(widths[-1], latent_dim)
        self.from_latent = nn.Linear(latent_dim, widths[-1])
        self.image = _convolution(self.group, fields, in_chans)
        self.pool = GroupPool(self.group, "mean")

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(z_inv, z_eq) of images (B, in_chans, size, size); `ShapeError` for others."""
        if images.ndim != 4 or images.shape[1:] != (self.in_chans, self.size, self.size):
            expected = f"(B, {self.in_chans}, {self.size}, {self.size})"
            raise ShapeError(f"images are {tuple(images.shape)}, expected {expected}; resize them first")
        x = F.relu(self.lifting(images))
        start = self.locate(x)
        for index, convolution, down in zip(self._path(start), self.into, self.down, strict=True):
            x, _ = down(F.relu(convolution(x)), index)
        return self.to_latent(x.flatten(1)), torch.cat([start.position, start.element[:, None]], 1)

    def locate(self, features: Tensor) -> GroupIndex:
        """Position and orientation of the first features (B, |G| fields, size, size)."""
        return group_index(features, self.group, element=True)

    def decode(self, z_inv: Tensor, z_eq: Tensor) -> Tensor:
        """Images (B, in_chans, size, size) of invariants (B, latent_dim) and indices (B, 3)."""
        x: Tensor = self.from_latent(z_inv)[..., None, None]  # (B, C, 1, 1)
        path = self._path(_index(z_eq))
        for index, up, convolution in reversed(list(zip(path, self.up, self.out, strict=True))):
            assert isinstance(up, EquivariantUpsample2d)
            x = F.relu(convolution(up(F.relu(x), up.coset(index))))
        image: Tensor = self.pool(self.image(x))
        return image

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(*self.encode(images))

    def act(self, element: Element, z_eq: Tensor, shift: tuple[int, int] = (0, 0)) -> Tensor:
        """z_eq of images moved by an element of the group, as `zoo.layers.regular.move` does it, and then rolled.

        Args:
            element: of the group.
            z_eq: (B, 3) int64.
            shift: (rows, columns), as `torch.roll` counts them.
        """
        by = torch.tensor(self.group.index(element), device=z_eq.device)
        moved = act_on_index(_index(z_eq), by, self.group, self.size, torch.tensor(shift, device=z_eq.device))
        return torch.cat([moved.position, moved.element[:, None]], 1)

    def _path(self, index: GroupIndex) -> list[GroupIndex]:
        """For every subsampling the index that it uses."""
        path, size = [], self.size
        for down in self.down:
            assert isinstance(down, EquivariantSubsample2d)
            path.append(index)
            index = down.descend(index, size)
            size //= down.stride
        return path


def _strides(size: int) -> list[int]:
    whole("size", size, 2, MAX_SIZE, mend=" pixels, for example 32")
    strides = []
    while size > SMALLEST and size % 2 == 0:
        strides.append(2)
        size //= 2
    return [*strides, size]


def _fibers(group: Group, levels: int) -> list[Group]:
    """The group of every level: the whole one, then one with half of its rotations, at the end the trivial one."""
    half = Group(max(1, (group.rotations or 1) // 2), group.flips)
    return [*[group] * max(1, levels - 1), *[half] * (levels > 1), Group(1)]


def _convolution(group: Group, before: int, after: int) -> GroupConv2d:
    """A 3x3 convolution whose weights keep the variance through a ReLU: there is no norm."""
    layer = GroupConv2d(group, before, after, 3, padding=1, padding_mode="circular")
    nn.init.kaiming_normal_(layer.weight)
    return layer


def _index(z_eq: Tensor) -> GroupIndex:
    return GroupIndex(z_eq[:, :2], z_eq[:, 2], torch.zeros_like(z_eq[:, 2], dtype=torch.bool))
