"""A network averaged over random affine maps of its images, whose spread is learned with its weights.

    f(x) = mean over g of f0(g x),        g = exp(sum_i c_i G_i),        c_i uniform in [-h_i, h_i]

(Benton, Finzi, Izmailov & Wilson 2020, arXiv 2010.11882, equation 2). In training one g is drawn for each image; in
eval mode the mean is over `copies` fixed elements, evenly spread, the same for every image, so that predictions are
deterministic. With half-width 0 it is the network itself, within the inscribed disk of the images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from reprlib import repr as short
from typing import Any, cast

import torch
from torch import Tensor, nn

from symdata.errors import SymmetryError
from symdata.groups import Group
from symdata.transforms.affine import AffineRange, read_generators
from zoo.errors import ModelError

FORM = "averaged"
AVERAGES = ("log_prob", "logits", "prob")
COPIES = 4
MAX_COPIES = 64
"""A forward in eval mode takes as many times as long as that of the network alone."""
KEYS = ("form", "generators", "copies", "average", "network")

Build = Callable[[Mapping[str, Any]], nn.Module]


class InvarianceAverage(nn.Module):
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
        self,
        network: nn.Module,
        augmentation: nn.Module,
        copies: int = COPIES,
        average: str = AVERAGES[0],
    ) -> None:
        super().__init__()
        _check(copies, average)
        box = getattr(augmentation, "range", augmentation)
        if not isinstance(box, AffineRange):
            raise ModelError(
                f"the augmentation is a {type(augmentation).__name__}, expected a LearnableAffine or an AffineRange"
            )
        self.network, self.range, self.copies, self.average = network, box, copies, average
        if isinstance(group := getattr(network, "group", None), Group):
            self.group = group

    @property
    def architecture(self) -> dict[str, Any]:
        """As plain data for JSON, from which `zoo.models.registry.build` makes the same module; empty for a network
        that was not made by name, or an augmentation that is not the default one."""
        inner = getattr(self.network, "architecture", None)
        plain = (self.range.resample, self.range.mask, self.range.padding) == ("bilinear", "disk", "border")
        if not inner or not plain:
            return {}
        values = (FORM, list(self.range.generators), self.copies, self.average, dict(inner))
        return dict(zip(KEYS, values, strict=True))

    @property
    def is_steerable(self) -> bool:
        """Whether there is something to export."""
        return bool(getattr(self.network, "is_steerable", False))

    def extra_repr(self) -> str:
        return f"copies={self.copies}, average={self.average}"

    def exported(self, export: Callable[[nn.Module], nn.Module]) -> "InvarianceAverage":
        """The same around the exported network; itself where there is nothing to export."""
        if not self.is_steerable:
            return self
        return InvarianceAverage(export(self.network), self.range, self.copies, self.average).train(self.training)

    def half_widths(self, size: int | None = None) -> dict[str, float]:
        """What was learned, by generator: degrees (180 is full rotation), pixels, or the logarithm of a factor.

        Pixels are those of images of `size`; by default of the size in the network's name.
        """
        name = getattr(self.network, "architecture", {}).get("name")
        if size is None and name is not None:
            from zoo.models.names import ModelName

            size = ModelName.parse(name).size
        return self.range.half_widths(size)

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


def averaged(network: nn.Module, average: str | Sequence[str], copies: int | None = None) -> InvarianceAverage:
    """`network` averaged over the generators of `rotation,translate_x`; `ModelError` for others."""
    return InvarianceAverage(network, _range(average), COPIES if copies is None else copies)


def build_averaged(architecture: Mapping[str, Any], build: Build) -> InvarianceAverage:
    """The network of `architecture`, of unknown origin, with fresh weights.

    Args:
        architecture: as `InvarianceAverage.architecture` gives it.
        build: what makes the network inside, and checks its bounds.

    Raises:
        ModelError: for missing, unknown or senseless entries, before anything is allocated.
    """
    inner = network_of(architecture)
    box = _range(architecture["generators"])
    return InvarianceAverage(build(inner), box, architecture["copies"], architecture["average"])


def network_of(architecture: Mapping[str, Any]) -> Mapping[str, Any]:
    """The architecture of the network that is averaged; `ModelError` unless all else is sound."""
    if sorted(map(str, architecture)) != sorted(KEYS):
        got = str(sorted(map(str, architecture)))[:200]
        raise ModelError(f"the averaged architecture has {got}, expected exactly the keys {', '.join(KEYS)}")
    if not isinstance(names := architecture["generators"], list):
        raise ModelError(f"generators are {short(names)}, expected a list of names, for example ['rotation']")
    _generators(names)
    _check(architecture["copies"], architecture["average"])
    inner: Any = architecture["network"]
    if not isinstance(inner, Mapping) or inner.get("form") == FORM:
        raise ModelError(f"the network that is averaged is {str(inner)[:200]}, expected one that zoo.create makes")
    return inner


def numbers_of(architecture: Mapping[str, Any]) -> int:
    """How many numbers training changes besides those of the network."""
    return len(architecture["generators"])


def _range(names: str | Sequence[str]) -> AffineRange:
    return AffineRange(_generators(names))


def _generators(names: str | Sequence[str]) -> tuple[str, ...]:
    try:
        return read_generators(names)
    except SymmetryError as error:
        raise ModelError(f"{error}; for example average='rotation,translate_x'") from None


def _check(copies: Any, average: Any) -> None:
    if isinstance(copies, bool) or not isinstance(copies, int) or not 1 <= copies <= MAX_COPIES:
        raise ModelError(f"copies is {short(copies)}, expected a whole number from 1 to {MAX_COPIES}, for example 4")
    if average not in AVERAGES:
        raise ModelError(f"average is {short(average)}, expected one of {', '.join(AVERAGES)}")
