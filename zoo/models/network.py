"""What all networks on lattice groups share: a trunk of feature maps, pooling over space and group, a classifier."""

from typing import Any

from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.layers import GroupPool
from zoo.layers.regular import lattice_group, order


class Network(nn.Module):
    """Images (B, in_chans, H, W) to logits (B, num_classes), by way of feature maps (B, |G| fields, H', W').

    At an exact size the feature maps move with the image; with coset pooling the logits then stay as they are. Without
    it the classifier weighs every orientation by itself, and the logits of a turned image are others.

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        trunk: images to feature maps of the regular representation, group-major.
        in_chans: channels of the images.
        fields: of the last feature map.
        num_classes: number of logits.
        coset_pool: whether to take the maximum over the group before the classifier.
        coset_first: whether that comes before the mean over space; the two do not commute.
        minimum: smallest side, in pixels, at which the trunk can run.
        divisor: of every side that it takes.
    """

    architecture: dict[str, Any]
    """Plain data from which `zoo.models.registry.build` makes the same module; empty unless it was made by name."""

    def __init__(
        self,
        group: Group | str,
        trunk: nn.Module,
        *,
        in_chans: int,
        fields: int,
        num_classes: int,
        coset_pool: bool = True,
        coset_first: bool = False,
        minimum: int = 1,
        divisor: int = 1,
    ) -> None:
        super().__init__()
        self.group = lattice_group(group)
        self.in_chans, self.num_classes, self.architecture = in_chans, num_classes, {}
        self.coset_first, self.minimum = coset_first, minimum
        self.divisor = divisor
        self.trunk = trunk
        self.pool = GroupPool(self.group) if coset_pool else nn.Identity()
        self.head = nn.Linear(fields * (1 if coset_pool else order(self.group)), num_classes)

    def features(self, images: Tensor) -> Tensor:
        """The last feature map (B, |G| fields, H', W'), after its ReLU; `ShapeError` for images that do not fit."""
        if images.ndim != 4 or images.shape[1] != self.in_chans or not images.is_floating_point():
            got = f"{images.dtype} {tuple(images.shape)}"
            raise ShapeError(f"images are {got}, expected floats (B, {self.in_chans}, H, W); preprocess them first")
        if min(images.shape[-2:]) < self.minimum:
            h, w = images.shape[-2:]
            raise ShapeError(f"images are {h}x{w}, and this network runs from {self.minimum}x{self.minimum} pixels on")
        if any(side % self.divisor for side in images.shape[-2:]):
            h, w = images.shape[-2:]
            raise ShapeError(
                f"images are {h}x{w}, expected sides that are multiples of {self.divisor}, for this network subsamples "
                f"a torus; pad or resize them, for example to {-(-max(h, w) // self.divisor) * self.divisor} pixels"
            )
        out: Tensor = self.trunk(images)
        return out

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)  # (B, |G| C, H', W')
        if self.coset_first:
            pooled = self.pool(features).mean((-2, -1))  # (B, C)
        else:
            pooled = self.pool(features.mean((-2, -1)))
        logits: Tensor = self.head(pooled)
        return logits
