"""The base of all networks: a trunk of feature maps, pooling over space and group, a classifier."""

from copy import deepcopy
from math import lcm
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError, whole
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers import GroupPool
from zoo.layers.regular import order
from zoo.layers.subsampling.downsampling import on_torus
from zoo.models.short_repr import ShortRepr
from zoo.models.spec import BOUNDS, KEYS, NetworkSpec

if TYPE_CHECKING:
    from zoo.inference.predictions import Predictions


FINEST = 32
"""Pixels; a multiple of the stride of every network."""


class Network(ShortRepr):
    """Images (B, in_chans, H, W) to logits (B, num_classes), by way of feature maps (B, |G| fields, H', W').

    At an exact size the feature maps move with the image; with coset pooling the logits then stay as they are. Without
    it the classifier weighs every orientation by itself, and a turned image has other logits.

    Args:
        group: by value or name.
        trunk: images to feature maps, group-major.
        in_chans: channels of the images.
        fields: of the last feature map.
        num_classes: number of logits; 0 for no classifier, and the output is (B, num_features).
        coset_pool: whether to take the maximum over the group before the classifier.
        coset_first: whether that comes before the mean over space; the two do not commute.
        minimum: smallest side, in pixels, at which the trunk can run.
        divisor: of every side that it takes.
    """

    TRUNK: ClassVar[str] = "trunk"
    """Name of the trunk in state dicts."""
    max_parameters: ClassVar[int] = 200_000_000
    """Nothing larger is built: a config file from elsewhere must not fill the memory."""
    num_features: int
    """Numbers that the classifier reads."""
    architecture: dict[str, Any]
    """Plain data from which `zoo.models.registry.build` makes the same module; empty unless it was made by name."""

    def __init__(
        self,
        group: Group | str,
        trunk: nn.Module,
        *,
        in_chans: int,
        fields: int,
        num_classes: int = 10,
        coset_pool: bool = True,
        coset_first: bool = False,
        minimum: int = 1,
        divisor: int = 1,
    ) -> None:
        super().__init__()
        self.group = Group.parse(group) if isinstance(group, str) else group
        self.in_chans, self.num_classes, self.architecture = in_chans, num_classes, {}
        self.coset_first, self.minimum, self.divisor = coset_first, minimum, divisor
        self.add_module(self.TRUNK, trunk)
        pool, orientations = self.pooling(self.group)
        self.pool = pool if coset_pool else nn.Identity()
        self.num_features = fields * (1 if coset_pool else orientations)
        self.head = self._classifier()

    @staticmethod
    def pooling(group: Group) -> tuple[nn.Module, int]:
        """The maximum over a group, and the numbers in a field that it replaces by one."""
        return GroupPool(group), order(group)

    def features(self, images: Tensor) -> Tensor:
        """The last feature map (B, |G| fields, H', W'), after its nonlinearity.

        Raises:
            ShapeError: for images that do not fit.
        """
        if images.ndim != 4 or images.shape[1] != self.in_chans or not images.is_floating_point():
            got = f"{images.dtype} {tuple(images.shape)}"
            raise ShapeError(f"images are {got}, expected floats (B, {self.in_chans}, H, W); preprocess them first")
        (h, w), least, step = images.shape[-2:], self.minimum, self.divisor
        if min(h, w) < least:
            raise ShapeError(f"images are {h}x{w}, and this network runs from {least}x{least} pixels on")
        if h % step or w % step:
            mend = f"pad or resize them, for example to {-(-max(h, w) // step) * step} pixels"
            raise ShapeError(f"images are {h}x{w}, expected sides that are multiples of {step}; {mend}")
        out: Tensor = getattr(self, self.TRUNK)(images)
        return out

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.features(images))

    # As in timm.

    def forward_features(self, images: Tensor) -> Tensor:
        """The same as `features`: (B, in_chans, H, W) -> (B, |G| fields, H', W')."""
        return self.features(images)

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool the last feature map and classify it: (B, |G| fields, H', W') -> (B, num_classes).

        Args:
            features: as `features` returns them.
            pre_logits: whether to return what the classifier reads, (B, num_features).
        """
        if self.coset_first:
            pooled: Tensor = self.pool(features).mean((-2, -1))
        else:
            pooled = self.pool(features.mean((-2, -1)))
        return pooled if pre_logits else self.head(pooled)

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """The last layer at every resolution, first the finest, as in timm: `num_chs`, `reduction` and `module`.

        Its feature map is (B, num_chs, H', W'), with |G| channels for each field, and H' is about H / `reduction`.

        Example:
            >>> from zoo.models.registry import create
            >>> [(row["module"], row["reduction"], row["num_chs"]) for row in create("p4resnet44_33").feature_info]
            [('trunk.stage1', 1, 64), ('trunk.stage2', 2, 128), ('trunk.relu', 4, 256)]
        """
        trunk, size = deepcopy(getattr(self, self.TRUNK)).to("meta").eval(), lcm(self.divisor, FINEST)
        size *= -(-self.minimum // size)
        small, large = (torch.zeros(1, self.in_chans, side, side, device="meta") for side in (size, 2 * size))
        found: dict[int, dict[str, Any]] = {}
        for name, layer in trunk.named_children():
            small, large = layer(small), layer(large)
            # Borders that have no padding are the same in both.
            reduction = round(size / (large.shape[-1] - small.shape[-1]))
            found[reduction] = {
                "num_chs": small.shape[1],
                "reduction": reduction,
                "module": f"{self.TRUNK}.{name}",
            }
        return list(found.values())

    def get_classifier(self) -> nn.Module:
        """The last layer, from (B, num_features) to (B, num_classes)."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by one with fresh weights; 0 leaves it out, and the output is (B, num_features).

        The attributes `classes` and `config` of a loaded model are removed: they describe the old classifier.
        """
        whole("num_classes", num_classes, 0, BOUNDS["num_classes"], ModelError)
        self.num_classes, weight = num_classes, next(self.parameters())
        self.head = self._classifier().to(weight)
        for described in ("classes", "config"):
            vars(self).pop(described, None)
        if self.architecture:
            self.architecture = self.architecture | {KEYS["num_classes"]: num_classes}

    def _classifier(self) -> nn.Module:
        return nn.Linear(self.num_features, self.num_classes) if self.num_classes else nn.Identity()

    def predict(self, images: Any) -> "Predictions":
        """Labels and probabilities of one image or several: paths, pictures, arrays, tensors; see `zoo.inference`."""
        from zoo.inference.predictions import classify_images

        return classify_images(self, images)

    # The registry calls these for the description of a network; all but the first allocate nothing.

    @classmethod
    def from_spec(cls, spec: NetworkSpec) -> Self:
        """The network that `spec` describes, with fresh weights."""
        return cls(spec.group, spec.width, **spec.arguments)  # type: ignore[arg-type]

    @classmethod
    def trunk_count(cls, spec: NetworkSpec) -> int:
        """Number of parameters of the trunk."""
        raise NotImplementedError(f"{cls.__name__} does not count its parameters")

    @classmethod
    def parameter_count(cls, spec: NetworkSpec) -> int:
        """Number of all parameters."""
        pooled = spec.choices.get("coset_pool", True)
        inputs = spec.widths[-1] * (1 if pooled else order(spec.group))
        return cls.trunk_count(spec) + (inputs + 1) * spec.num_classes

    @classmethod
    def filter_count(cls, spec: NetworkSpec) -> int:
        """An upper bound of the numbers in all filters, expanded over the group."""
        return cls.trunk_count(spec) * order(spec.group)

    @classmethod
    def largest_map(cls, spec: NetworkSpec, side: int) -> int:
        """An upper bound of the numbers in the largest feature map of one image of `side` pixels."""
        kind = spec.choices.get("downsample")
        # Where a stage does not begin with a stride, its first convolution still runs at the side of the one before.
        late = int(kind not in (None, "stride"))
        border = 4 if on_torus(kind) else 0  # what circular padding adds
        sides = [-(-side >> max(stage - late, 0)) + border for stage in range(len(spec.widths))]
        return max(order(spec.group) * width * side**2 for side, width in zip(sides, spec.widths, strict=True))
