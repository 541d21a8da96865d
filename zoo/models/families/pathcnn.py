"""A network whose blocks are convolutions, linear maps of all pixels, or both; the evidence decides which it needs."""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any, Self

import torch
from torch import nn

from symdata.errors import one_of
from zoo.errors import ModelError
from zoo.layers.spatial_layers import PATHS, PathBlock
from zoo.models.family import Choice, family
from zoo.models.network import Network
from zoo.models.spec import NetworkSpec

STRIDES, KERNEL = (2, 2, 2, 1), 3


@family(
    "pathcnn",
    ("z2",),
    sizes=(16,),
    width=lambda name: 8,
    description="four blocks that are convolutions, maps of all pixels, or both",
    paper="van der Ouderaa, Immer & van der Wilk 2023, arXiv 2310.06131",
    in_chans=1,
    stages=len(STRIDES),
    minimum=8,
    period=8,
    first=1,
    choices=(Choice("path", "conv", lambda spec, path: one_of("path", path, PATHS, ModelError)),),
    forms=("paths",),
)
class PathCNN(Network):
    """Four blocks with strides 2, 2, 2, 1, each a `PathBlock` and a ReLU, mean over space, classifier; no norms.

    Images (B, in_chans, size, size) -> features (B, 8 width, size / 8, size / 8) -> (B, num_classes). Its convolutions
    are circular: with path `conv`, at multiples of 8 pixels, a shift of the torus by a multiple of 8 moves the features
    and leaves the logits as they are. The free paths treat every pixel differently. Norms would couple the images of
    a batch, and the evidence could not be computed.

    The objective `evidence` writes to buffers, one number for each of `layer_names`: `precisions` of the priors, 1 to
    begin with, and `effective_dimensions`; `examples`, N, is 0 before its first update.

    Args:
        size: side of the images in pixels; networks with a free path take no other.
        widths: channels of the images, and of each of the four blocks.
        path: of every block, one of `PATHS`.
        num_classes: number of logits.

    Example:
        >>> from zoo.models.registry import create
        >>> create("z2pathcnn_16", path="residual", seed=0).layer_names[:3]
        ('trunk.block1.conv', 'trunk.block1.dense', 'trunk.block2.conv')
    """

    max_parameters = 2**26  # 256 MiB

    def __init__(self, size: int, widths: tuple[int, ...], path: str = "conv", num_classes: int = 10) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for k, (before, after, side, stride) in enumerate(_blocks(size, widths), 1):
            layers[f"block{k}"] = PathBlock(path, before, after, side, KERNEL, stride)
            layers[f"relu{k}"] = nn.ReLU()
        super().__init__(
            "c1",
            nn.Sequential(layers),
            in_chans=widths[0],
            fields=widths[-1],
            num_classes=num_classes,
            minimum=1 if path == "conv" else size,
        )
        self.convolutional = None if path == "conv" else (size, widths)
        count = len(self.layer_names)
        self.precisions = nn.Buffer(torch.ones(count))
        self.effective_dimensions = nn.Buffer(torch.zeros(count))
        self.examples = nn.Buffer(torch.zeros(1))

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """As of the network whose path is `conv`, which takes images of every size; its maps are as large."""
        return super().feature_info if self.convolutional is None else PathCNN(*self.convolutional).feature_info

    @property
    def layers(self) -> dict[str, nn.Module]:
        """Every module that has parameters of its own, by its name: each has one prior."""
        own = ((name, m) for name, m in self.named_modules() if next(m.parameters(recurse=False), None) is not None)
        return dict(own)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """`trunk.block1.conv`, ..., `head`; both factors of a factored layer by themselves."""
        return tuple(self.layers)

    @classmethod
    def from_spec(cls, spec: NetworkSpec) -> Self:
        return cls(spec.name.size, (spec.in_chans, *spec.widths), spec.choices["path"], spec.num_classes)

    @classmethod
    def trunk_count(cls, spec: NetworkSpec) -> int:
        blocks = _blocks(spec.name.size, (spec.in_chans, *spec.widths))
        return sum(PathBlock.count(spec.choices["path"], c, d, side, KERNEL, stride) for c, d, side, stride in blocks)

    @classmethod
    def largest_map(cls, spec: NetworkSpec, side: int) -> int:
        widths = spec.in_chans, *spec.widths  # a map has pixels, or pairs of channels within a factored layer
        pixels = (width * s * s for width, s in zip(widths, _sides(side), strict=True))
        return max(*pixels, *(c * d for c, d in pairwise(widths)))


def _sides(size: int) -> tuple[int, ...]:
    """Side of the image, and of what each block gives: halved and rounded up."""
    return tuple(accumulate(STRIDES, lambda side, stride: -(-side // stride), initial=size))


def _blocks(size: int, widths: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """For every block its channels before and after, the side that it reads, and its stride."""
    return zip(widths, widths[1:], _sides(size), STRIDES, strict=False)
