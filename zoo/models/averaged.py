"""A network averaged over random affine maps of its images, whose range is learned with its weights.

    f(x) = mean over g of f0(g x),        g = exp(sum_i c_i G_i),        c_i uniform in [-h_i, h_i]

(Benton, Finzi, Izmailov & Wilson 2020, arXiv 2010.11882, equation 2). In training one g is drawn for each image; in
eval mode the mean is over `copies` fixed elements, evenly spread, the same for every image, so that predictions are
deterministic. With half-width 0 it is the network itself, within the inscribed disk of the images.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from symdata.errors import SymmetryError, one_of, whole
from symdata.groups import Group
from symdata.transforms.affine import AffineRange, FixedMaps, read_generators
from zoo.errors import ModelError
from zoo.models.names import ModelName
from zoo.models.short_repr import ShortRepr
from zoo.models.spec import BOUNDS, NetworkSpec, check_keys

if TYPE_CHECKING:
    from zoo.inference.predictions import Predictions

FORM = "averaged"
AVERAGES = ("log_prob", "logits", "prob")
COPIES = 4
MAX_COPIES = 64
"""A forward in eval mode takes as many times as long as that of the network alone."""
KEYS = ("form", "generators", "copies", "average", "network")
"""Of its plain data."""


class InvarianceAverage(ShortRepr):
    """Images (B, C, H, W) to logits (B, num_classes), averaged over affine maps with learned half-widths.

    Args:
        network: images to logits; of the zoo, if this is to be saved.
        augmentation: an `AffineRange`, or a `LearnableAffine`, whose half-widths are then the same parameters.
        copies: elements in eval mode, 1 to 64.
        average: of what, in eval mode: `log_prob`, the logarithms of the probabilities (their geometric mean, as in the
            paper's code), `logits`, or `prob`, the probabilities (their logarithm is returned).

    Example:
        >>> import torch
        >>> from zoo.models.registry import create
        >>> model = create("z2cnn_28", average="rotation", copies=4)
        >>> model(torch.zeros(2, 3, 28, 28)).shape, round(model.half_widths()["rotation"], 1)
        (torch.Size([2, 10]), 8.6)
    """

    group: Group

    def __init__(
        self, network: nn.Module, augmentation: nn.Module, copies: int = COPIES, average: str = AVERAGES[0]
    ) -> None:
        super().__init__()
        _check(copies, average)
        affine_range = getattr(augmentation, "range", augmentation)
        if not isinstance(affine_range, AffineRange):
            kind = type(augmentation).__name__
            raise ModelError(f"the augmentation is a {kind}, expected a LearnableAffine or an AffineRange")
        self.network, self.range, self.copies, self.average = network, affine_range, copies, average
        if isinstance(group := getattr(network, "group", None), Group):
            self.group = group

    @property
    def architecture(self) -> dict[str, Any]:
        """Plain data for JSON, from which `zoo.models.registry.build` makes the same module.

        It is empty if the network was not made by name, or if the augmentation has other than the default settings.
        """
        inner = getattr(self.network, "architecture", None)
        usual = (self.range.resample, self.range.mask, self.range.padding) == ("bilinear", "disk", "border")
        if not inner or not usual:
            return {}
        values = FORM, list(self.range.generators), self.copies, self.average, dict(inner)
        return dict(zip(KEYS, values, strict=True))

    def extra_repr(self) -> str:
        return f"copies={self.copies}, average={self.average}"

    def around(self, network: nn.Module) -> "InvarianceAverage":
        """The same average of another network; itself if that is its own."""
        if network is self.network:
            return self
        return InvarianceAverage(network, self.range, self.copies, self.average).train(self.training)

    def fixed(self) -> "InvarianceAverage":
        """A copy for evaluation alone, whose maps are numbers: what it learned is no parameter any more."""
        twin = copy(self)
        twin._modules = self._modules | {"range": FixedMaps(self.range, self.copies)}
        return twin.eval()

    def half_widths(self, size: int | None = None) -> dict[str, float]:
        """What was learned, by generator: degrees (180 is full rotation), pixels, or the logarithm of a factor.

        Pixels are those of images of `size`; by default of the size in the network's name.
        """
        name = getattr(self.network, "architecture", {}).get("name")
        if size is None and name is not None:
            size = ModelName.parse(name).size
        return self.range.half_widths(size)

    @property
    def num_features(self) -> int:
        """Numbers that the classifier reads."""
        return cast(int, self.network.num_features)

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """The last layer of the network at every resolution."""
        return [row | {"module": f"network.{row['module']}"} for row in self.network.feature_info]  # type: ignore[union-attr]

    def get_classifier(self) -> nn.Module:
        """The last layer of the network."""
        return cast(nn.Module, self.network.get_classifier())  # type: ignore[operator]

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier of the network by one with fresh weights."""
        whole("num_classes", num_classes, 1, BOUNDS["num_classes"], ModelError, "; an average needs logits")
        self.network.reset_classifier(num_classes)  # type: ignore[operator]

    def predict(self, images: Any) -> "Predictions":
        """Labels and probabilities of one image or several, as of any network of the zoo."""
        from zoo.inference.predictions import classify_images

        return classify_images(self, images)

    def features(self, images: Tensor) -> Tensor:
        """The last feature map of the network for the images as they are; `ShapeError` for those that do not fit."""
        return cast(Tensor, self.network.features(images))  # type: ignore[operator]

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            return cast(Tensor, self.network(self.range(images, self.range.draw(len(images)))))
        # One copy after another: no map is larger than the network's own.
        fixed = self.range.spread(self.copies)
        return self._mean([self.network(self.range(images, draw[None])) for draw in fixed])

    def _mean(self, logits: Sequence[Tensor]) -> Tensor:
        """Of logits (B, num_classes) for every copy; with one copy they come back as they are."""
        stack = torch.stack(tuple(logits))
        if self.average == "logits" or len(stack) == 1:
            return stack.mean(0)
        log = stack.log_softmax(-1)
        return log.mean(0) if self.average == "log_prob" else log.logsumexp(0) - math.log(len(stack))


@dataclass(frozen=True)
class AveragedSpec:
    """An averaged network, described; `ModelError` for one that cannot be built.

    Example:
        >>> spec = AveragedSpec(NetworkSpec.of("z2cnn_28"), "rotation,translate_x")
        >>> spec.generators, spec.parameters() - spec.network.parameters()
        (('rotation', 'translate_x'), 2)
    """

    network: NetworkSpec
    """The network that is averaged."""
    generators: Sequence[str]
    """What is averaged over; also as one text with commas."""
    copies: int = COPIES
    average: str = AVERAGES[0]

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "generators", read_generators(self.generators))
        except SymmetryError as error:
            raise ModelError(f"{error}; for example average='rotation,translate_x'") from None
        _check(self.copies, self.average)

    @classmethod
    def from_dict(cls, architecture: Mapping[str, Any]) -> "AveragedSpec":
        """What `InvarianceAverage.architecture` gives, of unknown origin; `ModelError` for anything else."""
        check_keys(architecture, KEYS)
        if not isinstance(names := architecture["generators"], list):
            raise ModelError(f"generators are {short(names)}, expected a list of names, for example ['rotation']")
        inner: Any = architecture["network"]
        if not isinstance(inner, Mapping) or inner.get("form") == FORM:
            raise ModelError(f"the network that is averaged is {str(inner)[:200]}, expected one that zoo.create makes")
        return cls(NetworkSpec.from_dict(inner), names, architecture["copies"], architecture["average"])

    def build(self) -> InvarianceAverage:
        """The network, with fresh weights."""
        return InvarianceAverage(self.network.build(), AffineRange(self.generators), self.copies, self.average)

    @property
    def in_plain_torch(self) -> bool:
        """As of the network that is averaged."""
        return self.network.in_plain_torch

    def parameters(self) -> int:
        """Those of the network, and a half-width for every generator."""
        return self.network.parameters() + len(self.generators)

    def largest_map(self, side: int) -> int:
        """As of the network that is averaged."""
        return self.network.largest_map(side)


def _check(copies: Any, average: Any) -> None:
    whole("copies", copies, 1, MAX_COPIES, ModelError, ", for example 4")
    one_of("average", average, AVERAGES, ModelError)
