"""A network whose blocks are convolutions, linear maps of all pixels, or both: which it needs, the evidence tells.

>>> from zoo.models.registry import create
>>> create("z2pathcnn_16", path="residual", in_chans=1, seed=0).architecture["path"]
'residual'
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from reprlib import repr as short
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.layers.spatial_layers import PATHS, PathBlock
from zoo.models.names import ModelName
from zoo.models.network import Network
from zoo.models.spec import KEYS

FORM = "paths"
STRIDES, KERNEL = (2, 2, 2, 1), 3
PERIOD = math.prod(STRIDES)
"""Pixels: shifts of the torus by multiples of it leave the logits of the path `conv` as they are."""
WIDTH = 8
MINIMUM = 8
"""Pixels."""
MAX_NUMBERS = 2**26
"""Parameters of the largest network that is built; 256 MiB."""
LIMITS = {"num_classes": 65_536, "in_chans": 1_024, "width": 1_024}


@dataclass(frozen=True)
class PathSpec:
    """A `PathCNN`, described; `ModelError` for one that cannot be built or is far too large."""

    name: str
    """`z2pathcnn_<size>`."""
    path: str
    """Of every block, one of `PATHS`."""
    num_classes: int = 10
    in_chans: int = 1
    """Of the images."""
    width: int = WIDTH
    """Channels of the first block; each later one has twice as many."""

    def __post_init__(self) -> None:
        if self.size < MINIMUM:
            raise ModelError(f"{self.name} is too small: it needs at least {MINIMUM} pixels, for example z2pathcnn_16")
        if self.path not in tuple(PATHS):
            raise ModelError(f"path of {self.name} is {short(self.path)}, expected one of {', '.join(PATHS)}")
        for key, limit in LIMITS.items():
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
                raise ModelError(f"{key} of {self.name} is {short(value)}, expected a whole number from 1 to {limit}")
        if (numbers := self.parameters()) > MAX_NUMBERS:
            raise ModelError(
                f"{self.name} of path {self.path} and width {self.width} would have {numbers:,} parameters, at most "
                f"{MAX_NUMBERS:,} are built; make it narrower, or its images smaller"
            )

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        name = ModelName.parse(self.name)
        if name.architecture != "pathcnn" or name.data is not None:
            raise ModelError(f"{str(self.name)[:200]!r} is no network of paths; expected for example z2pathcnn_16")
        return name.size

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels that each block reads, and those of the last feature map."""
        return self.in_chans, *(self.width << k for k in range(len(STRIDES)))

    @property
    def sides(self) -> tuple[int, ...]:
        """Pixels that each block reads, and those of the last feature map."""
        return sides(self.size)

    def parameters(self) -> int:
        """How many there are, by arithmetic: nothing is allocated."""
        total = (self.widths[-1] + 1) * self.num_classes
        for (c, d), (side, after) in zip(pairwise(self.widths), pairwise(self.sides), strict=True):
            inside, outside = side * side, after * after
            count = {
                "conv": d * (c * KERNEL * KERNEL + 1),
                "dense": d * outside * (c * inside + 1),
                "factored": d * (c * (inside + outside) + outside),
            }
            total += sum(count[kind] for kind in PATHS[self.path])
        return total

    @property
    def phi(self) -> int:
        """Misalignment of the path `conv` in pixels: of its last grid under quarter turns, 0 is exact."""
        return (self.size - 1) % PERIOD

    def largest_map(self, side: int) -> int:
        """An upper bound of the numbers in the largest map of one image: pixels, or pairs of channels in a factor."""
        pixels = (width * s * s for width, s in zip(self.widths, sides(side), strict=True))
        return max(*pixels, *(c * d for c, d in pairwise(self.widths)))


def sides(size: int) -> tuple[int, ...]:
    """Side of the image and of what each block gives: halved and rounded up."""
    return tuple(accumulate(STRIDES, lambda side, stride: -(-side // stride), initial=size))


class PathCNN(Network):
    """Four blocks with strides 2, 2, 2, 1, each a `PathBlock` and a ReLU, mean over space, classifier; no norms.

    Images (B, in_chans, size, size) -> features (B, 8 width, size / 8, size / 8) -> (B, num_classes). Its convolutions
    are circular: with path `conv`, at multiples of 8 pixels, a shift of the torus by a multiple of 8 moves the features
    and leaves the logits as they are. The free paths know every pixel by its place. Norms would couple the images of a
    batch, and the evidence could not be computed.

    What the objective `evidence` has learned is kept in buffers, one number for each of `layer_names`: `precisions` of
    the priors, 1 to begin with, and `effective_dimensions`; `examples`, N, is 0 before its first update.
    """

    precisions: Tensor
    effective_dimensions: Tensor
    examples: Tensor

    def __init__(self, spec: PathSpec) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for k, stride in enumerate(STRIDES):
            block = PathBlock(spec.path, spec.widths[k], spec.widths[k + 1], spec.sides[k], KERNEL, stride)
            layers[f"block{k + 1}"], layers[f"relu{k + 1}"] = block, nn.ReLU()
        minimum = MINIMUM if spec.path == "conv" else spec.size
        trunk = nn.Sequential(layers)
        super().__init__(
            "c1", trunk, in_chans=spec.in_chans, fields=spec.widths[-1], num_classes=spec.num_classes, minimum=minimum
        )
        self.architecture = {"form": FORM, **{KEYS.get(key, key): value for key, value in asdict(spec).items()}}
        count = len(self.layer_names)
        self.register_buffer("precisions", torch.ones(count))
        self.register_buffer("effective_dimensions", torch.zeros(count))
        self.register_buffer("examples", torch.zeros(1))

    @property
    def layers(self) -> dict[str, nn.Module]:
        """Every module that has parameters of its own, by its name: each has one prior."""
        own = ((name, m) for name, m in self.named_modules() if next(m.parameters(recurse=False), None) is not None)
        return dict(own)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """`trunk.block1.conv`, ..., `head`; both factors of a factored layer by themselves."""
        return tuple(self.layers)


def create_paths(
    name: ModelName,
    *,
    path: str | None,
    num_classes: int | None,
    in_chans: int | None,
    width: Any,
    dropout: float,
) -> PathCNN:
    """The network of that name, `conv` unless another path is given."""
    if dropout:
        raise ModelError(f"dropout is {dropout} and {name} has none; leave it at 0")
    given = {"path": path, "num_classes": num_classes, "in_chans": in_chans, "width": width}
    defaults: dict[str, Any] = {"path": "conv"}
    return PathCNN(PathSpec(str(name), **(defaults | {k: v for k, v in given.items() if v is not None})))


def read_paths(architecture: Mapping[str, Any]) -> PathSpec:
    """What `architecture`, of unknown origin, describes; `ModelError` unless every key is there, sound and not huge."""
    fields = {key: value for key, value in architecture.items() if key != "form"}
    names = {KEYS.get(name, name): name for name in PathSpec.__dataclass_fields__}
    expected, got = sorted(names), sorted(map(str, fields))
    if got != expected:
        raise ModelError(f"the architecture has the keys {', '.join(got)[:200]}; expected {', '.join(expected)}")
    return PathSpec(**{names[key]: value for key, value in fields.items()})
