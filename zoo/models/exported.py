"""Networks for c8, c16, d8, so2 and o2 in plain torch: the skeletons, and what is left of one when escnn is taken out.

A steerable network is a skeleton whose convolutions expand learned coefficients in a basis of escnn; an exported one is
the same skeleton with ordinary convolutions that hold the expanded filters. Both are exact under the multiples of 90
degrees of their group (and its mirrors, for d8 and o2) at exact sizes, to float rounding, and approximate under all
other elements, up to the sampling of pixels (and of the group, see `zoo.layers.steerable.fibre`).

Architectures:
    cnn     The rotation experiments' one-pool CNN as in p4cnn: seven convolutions, a 2x2 max pool after the second, no
            padding in the last. Exact at even sizes.
    wrn16   A wide ResNet-16 (Zagoruyko & Komodakis 2016): a stem, three stages of two pre-activation blocks, strides
            1, 2, 2, widths w, 2 w, 4 w. Exact at sizes 1 mod 4.

    All filters are 5x5, as in the steerable wide ResNets of Weiler & Cesa (2019) for more than four rotations: a 3x3
    filter has too few rings of pixels to be turned by less than 90 degrees.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Element
from zoo.errors import ModelError
from zoo.layers.regular import move
from zoo.layers.steerable.convolution import Conv, FieldConv2d, Maker, plain
from zoo.layers.steerable.fibre import IMAGE, Fibre, FibrePool, FieldNonlinearity, mix
from zoo.models.exported_spec import FieldNetSpec

MAX_NUMBERS = 2**26
"""Numbers in the filters of an exported network; 256 MiB in float32."""


def exported_maker(spec: FieldNetSpec) -> Maker:
    """The maker of the exported form of a network, strict or relaxed."""
    return plain if spec.relax == "none" else lambda conv: FieldConv2d(conv, spec.group)


class FieldBlock(nn.Module):
    """Pre-activation; a 1x1 convolution of the bent input where the shape changes, the input itself elsewhere."""

    def __init__(self, fibre: Fibre, before: int, after: int, stride: int, dropout: float, make: Maker) -> None:
        super().__init__()
        self.bend1, self.bend2 = FieldNonlinearity(fibre, before), FieldNonlinearity(fibre, after, dropout=dropout)
        self.conv1 = make(Conv(fibre, fibre, before, after, 5, stride, 2))
        self.conv2 = make(Conv(fibre, fibre, after, after, 5, 1, 2))
        changes = stride != 1 or before != after
        self.shortcut = make(Conv(fibre, fibre, before, after, 1, stride)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        bent = self.bend1(x)
        shortcut = x if self.shortcut is None else self.shortcut(bent)
        return cast(Tensor, shortcut + self.conv2(self.bend2(self.conv1(bent))))


def _cnn(spec: FieldNetSpec, fibre: Fibre, make: Maker) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(7):
        before, fields = (IMAGE, spec.in_chans) if i == 0 else (fibre, spec.width)
        layers.append(make(Conv(before, fibre, fields, spec.width, 5, 1, 0 if i == 6 else 2)))
        layers.append(
            FieldNonlinearity(fibre, spec.width, 2 if i == 1 else 1, spec.dropout if i in (0, 2, 3, 4) else 0.0)
        )
    return nn.Sequential(*layers)


def _wrn16(spec: FieldNetSpec, fibre: Fibre, make: Maker) -> nn.Sequential:
    layers: list[nn.Module] = [make(Conv(IMAGE, fibre, spec.in_chans, spec.width, 5, 1, 2))]
    fields = spec.width
    for stage in range(3):
        for block in range(2):
            after, stride = spec.width << stage, 2 if stage and not block else 1
            layers.append(FieldBlock(fibre, fields, after, stride, spec.dropout, make))
            fields = after
    return nn.Sequential(*layers, FieldNonlinearity(fibre, fields))


class FieldNet(nn.Module):
    """A network on fields of c8, c16, d8, so2 or o2: images (B, C, H, W) to logits (B, num_classes).

    Args:
        spec: the architecture.
        make: what makes its convolutions; `plain` for an exported network.
        form: `exported` where they are plain, `steerable` where they are expanded in a basis of escnn.
    """

    def __init__(self, spec: FieldNetSpec, make: Maker, form: str) -> None:
        super().__init__()
        fibre = Fibre(spec.group)
        self.spec, self.form, self.group, self.fibre = spec, form, spec.group, fibre
        self.minimum, self.coset_first = spec.minimum, spec.architecture == "wrn16"
        last = spec.width if spec.architecture == "cnn" else 4 * spec.width
        self.body = (_cnn if spec.architecture == "cnn" else _wrn16)(spec, fibre, make)
        self.pool = FibrePool(fibre) if spec.coset_pool else None
        self.head = nn.Linear(last * (1 if spec.coset_pool else fibre.size), spec.num_classes)

    @property
    def architecture(self) -> dict[str, Any]:
        """As plain data for JSON, from which `zoo.models.registry.build` makes the same module."""
        return {"form": self.form, **self.spec.to_dict()}

    @property
    def is_steerable(self) -> bool:
        """Whether there is something to export."""
        return self.form == "steerable"

    def features(self, images: Tensor) -> Tensor:
        """The last feature map (B, d C, h, w), fibre-major; `ShapeError` for images that do not fit."""
        if images.ndim != 4 or images.shape[1] != self.spec.in_chans or not images.is_floating_point():
            got = f"{images.dtype} {tuple(images.shape)}"
            raise ShapeError(
                f"images are {got}, expected floats (B, {self.spec.in_chans}, H, W); preprocess them first"
            )
        if min(images.shape[-2:]) < (least := self.minimum):
            h, w = images.shape[-2:]
            raise ShapeError(f"images are {h}x{w}, and this network runs from {least}x{least} pixels on")
        return cast(Tensor, self.body(images))

    def act(self, features: Tensor, element: Element) -> Tensor:
        """What `features` become when the image is moved by an element of d4 that the group holds, at exact sizes."""
        return mix(self.fibre.action(element).to(features), move(features, element))

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        if self.pool is not None and self.coset_first:
            return cast(Tensor, self.head(self.pool(features).mean((-2, -1))))
        vector = features.mean((-2, -1))
        return cast(Tensor, self.head(vector if self.pool is None else self.pool(vector)))


def build_exported(architecture: Mapping[str, Any]) -> FieldNet:
    """The network of `architecture`, as `export` wrote it, ready for its weights; needs torch alone.

    Raises:
        ModelError: for missing, unknown or senseless entries, and for a network of more than `MAX_NUMBERS` numbers.
    """
    spec = read_spec(architecture, "exported")
    return FieldNet(spec, exported_maker(spec), "exported").eval()


def read_spec(architecture: Mapping[str, Any], form: str) -> FieldNetSpec:
    """What `architecture`, of unknown origin, describes; `ModelError` unless it is sound, of that form and not huge."""
    if not isinstance(architecture, Mapping) or architecture.get("form") != form:
        raise ModelError(f"{str(architecture)[:200]} is no {form} architecture; expected {{'form': {form!r}, ...}}")
    return bounded(FieldNetSpec.from_dict({key: value for key, value in architecture.items() if key != "form"}))


def bounded(spec: FieldNetSpec) -> FieldNetSpec:
    """The same, if its exported form holds at most `MAX_NUMBERS` numbers; they are counted before any is allocated."""
    if (numbers := count(spec)) > MAX_NUMBERS:
        raise ModelError(f"{spec.name} of width {spec.width} has {numbers:,} numbers, expected at most {MAX_NUMBERS:,}")
    return spec


def count(spec: FieldNetSpec) -> int:
    """How many parameters the exported form has; nothing is allocated."""
    with torch.device("meta"):
        return sum(p.numel() for p in FieldNet(spec, plain, "exported").parameters())
