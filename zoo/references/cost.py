"""What a network costs, before it is trained: parameters, multiply-adds, activations, and the price of its group.

The price of a group is its order. At as many parameters as the plain network, every weight is used under every
element, so a group of n elements takes n times the multiply-adds, and root n times the channels. p4mresnet18_225
(n = 8) takes 8.2 times the multiply-adds of z2resnet18_225 and 2.9 times its activations; in time, on one core at 65
pixels, 6.9 times for a forward and 8.5 times for a training step, 87 % of it in convolutions. So little is lost
elsewhere; fewer fields (`width=`) or a smaller group are cheaper.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from symdata.display import Result
from zoo.errors import ModelError, describe_error
from zoo.exactness.tracer import FAILURES, duplicate, input_channels, known_size
from zoo.inference.opened_model import OpenedModel
from zoo.models.code import Arch
from zoo.models.family import families
from zoo.models.names import ModelName
from zoo.models.registry import create
from zoo.references.opening import as_opened, open_model

_MAKES_ACTIVATIONS = ("convolution", "_convolution", "addmm", "mm", "bmm", "baddbmm")
"""Operations at torch's dispatcher whose outputs count as activations: convolutions and matrix products."""


@dataclass(frozen=True)
class Cost(Result):
    """What the forward of one image costs; see `cost`.

    Example:
        >>> import zoo
        >>> round(zoo.cost("p4cnn_28").price, 1)
        3.9
    """

    name: str
    size: tuple[int, int]
    """Height and width of the image."""
    parameters: int
    multiply_adds: int
    """Of convolutions and matrix products: half of the floating-point operations that torch counts."""
    activations: int
    """Numbers in the outputs of convolutions and matrix products, as fvcore counts them."""
    plain: "Cost | None" = None
    """Of the network of the same name without a group, at its default width; None where there is none."""

    @property
    def price(self) -> float | None:
        """How many times the multiply-adds of the plain network."""
        return (
            None
            if self.plain is None or not self.plain.multiply_adds
            else self.multiply_adds / self.plain.multiply_adds
        )

    def parts(self) -> Iterator[str]:
        counts = f"{short_count(self.multiply_adds)} multiply-adds and {short_count(self.activations)} activations"
        image = f"for an image of {self.size[0]}x{self.size[1]}"
        line = f"{self.name} costs {self.parameters:,} parameters, {counts} {image}"
        if self.plain is not None and self.price is not None:
            wider = self.activations / max(1, self.plain.activations)
            line += f": {self.price:.1f} and {wider:.1f} times those of {self.plain.name}"
        yield f"{line}."

    def to_dict(self) -> dict[str, Any]:
        plain = None if self.plain is None else self.plain.to_dict()
        return asdict(self) | {"size": list(self.size), "plain": plain, "price": self.price}


def cost(
    model: OpenedModel | nn.Module | str | Path,
    size: int | tuple[int, int] | None = None,
    in_chans: int | None = None,
    *,
    arch: Arch | None = None,
) -> Cost:
    """Count what the forward of one image costs, by torch's own counter on tensors without values.

    What a network does once for a whole batch, such as the expansion of its filters over a group, is not counted.

    Args:
        model: a reference as for `zoo.open_model`, what that returns, or a module. No weights are downloaded.
        size: of the image in pixels, or height and width; by default the one that the model says.
        in_chans: channels of the image; by default those of the first convolution.
        arch: the code of a network of your own, if `model` is its folder, as for `zoo.load`.

    Raises:
        ModelError: if the model cannot run on such an image, or says no size and none is given.

    Example:
        >>> import zoo
        >>> print(zoo.cost("p4cnn_28"))
        p4cnn_28 costs 24,990 parameters, 26.5 M multiply-adds and 98.9 k activations for an image of 28x28: 3.9 and ...
    """
    opened = open_model(model, arch=arch, pretrained=False) if isinstance(model, str | Path) else as_opened(model, arch)
    found = size or opened.size or known_size(opened.model)
    sides = (found, found) if isinstance(found, int) else (int(found[0]), int(found[1]))
    channels = in_chans or input_channels(opened.model)
    return _counted(opened.model, _name(opened), sides, channels, _plain(opened.model, sides, channels))


def cost_if_known(model: OpenedModel | nn.Module, size: int | tuple[int, int], in_chans: int | None) -> Cost | None:
    """The same; None for a model whose operations cannot be counted."""
    try:
        return cost(model, size, in_chans)
    except ModelError:
        return None


def _name(opened: OpenedModel) -> str:
    """Its own, or for a module without one that of its architecture."""
    made = getattr(opened.model, "architecture", None) or {}
    return str(made.get("name", opened.name)) if opened.name == type(opened.model).__name__ else opened.name


def _plain(model: nn.Module, size: tuple[int, int], channels: int) -> Cost | None:
    """The cost of the network without a group; None for a network that has none, or is not of the zoo."""
    whole = getattr(model, "architecture", None) or {}
    made = whole.get("network", whole)  # an average over augmentations names its network
    try:
        name = ModelName.parse(str(made["name"]))
    except (KeyError, ModelError):
        return None
    if (name.group_word == "z2" and made is whole) or ("z2", name.architecture) not in families() or size[0] != size[1]:
        return None
    twin = f"z2{name.architecture}_{size[0]}"
    classes = made.get("classes") or 10
    return _counted(create(twin, in_chans=channels, num_classes=max(1, int(classes))), twin, size, channels, None)


def _counted(model: nn.Module, name: str, size: tuple[int, int], channels: int, plain: Cost | None) -> Cost:
    parameters = sum(p.numel() for p in model.parameters())
    try:
        (flops, made), (two_flops, two_made) = (_count(model, (batch, channels, *size)) for batch in (1, 2))
    except FAILURES as error:
        shape = (1, channels, *size)
        raise ModelError(
            f"{name} cannot run on an input {shape}: {describe_error(error)}; give another size"
        ) from error
    return Cost(name, size, parameters, (two_flops - flops) // 2, two_made - made, plain)


def _count(model: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """Floating-point operations and activations of a forward, on tensors without values where that can be."""
    try:
        return _run(duplicate(model).to("meta"), torch.zeros(shape, device="meta"))
    except FAILURES:  # an operation that looks at values
        one = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
        return _run(duplicate(model).cpu(), torch.zeros(shape, dtype=one.dtype))


def _run(model: nn.Module, images: torch.Tensor) -> tuple[int, int]:
    operations = [getattr(torch.ops.aten, name) for name in _MAKES_ACTIVATIONS]
    made = FlopCounterMode(display=False, custom_mapping=dict.fromkeys(operations, _numel))
    with torch.no_grad(), FlopCounterMode(display=False) as counted, made:
        model.eval()(images)
    activations = made.get_flop_counts().get("Global", {})
    return counted.get_total_flops(), sum(count for key, count in activations.items() if key in operations)


def _numel(*arguments: Any, out_shape: Any = None, **options: Any) -> int:
    return prod(out_shape)


def short_count(count: int) -> str:
    """`12.3 M`."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= limit:
            return f"{count / limit:.3g}{unit}"
    return str(count)
