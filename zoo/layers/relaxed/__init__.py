"""Convolutions that are group convolutions when training starts, and learn how far to leave them.

Five ways, each a lifting and a group convolution with the arguments of `zoo.layers.LiftingConv2d`, and each only
another way to expand a bank of filters: what it costs in evaluation, how it is saved, exported and measured is that of
a strict layer.
"""

from symdata.errors import ShapeError
from zoo.layers.convolution import GroupConv2d, LiftingConv2d, TiedConv2d
from zoo.layers.relaxed.base import RelaxedConv2d as RelaxedConv2d
from zoo.layers.relaxed.broken_filters import BiasGroupConv2d as BiasGroupConv2d
from zoo.layers.relaxed.broken_filters import BiasLiftingConv2d as BiasLiftingConv2d
from zoo.layers.relaxed.filter_mixtures import BanksGroupConv2d as BanksGroupConv2d
from zoo.layers.relaxed.filter_mixtures import BanksLiftingConv2d as BanksLiftingConv2d
from zoo.layers.relaxed.likelihood import GroupLikelihood as GroupLikelihood
from zoo.layers.relaxed.likelihood import LikelihoodGroupConv2d as LikelihoodGroupConv2d
from zoo.layers.relaxed.likelihood import LikelihoodLiftingConv2d as LikelihoodLiftingConv2d
from zoo.layers.relaxed.partial import PartialGroupConv2d as PartialGroupConv2d
from zoo.layers.relaxed.residual import ResidualGroupConv2d as ResidualGroupConv2d
from zoo.layers.relaxed.residual import ResidualLiftingConv2d as ResidualLiftingConv2d

RELAXATIONS: dict[str, tuple[type[TiedConv2d], type[TiedConv2d]]] = {
    "likelihood": (LikelihoodLiftingConv2d, LikelihoodGroupConv2d),
    "residual": (ResidualLiftingConv2d, ResidualGroupConv2d),
    "banks": (BanksLiftingConv2d, BanksGroupConv2d),
    "bias": (BiasLiftingConv2d, BiasGroupConv2d),
    "partial": (LiftingConv2d, PartialGroupConv2d),
}
"""Word -> the lifting and the group convolution. The lifting layer of a partial network is a full one."""


def convolutions(relax: str = "none") -> tuple[type[TiedConv2d], type[TiedConv2d]]:
    """The lifting and the group convolution of that word, the strict ones for `none`; `ShapeError` for any other."""
    if relax == "none":
        return LiftingConv2d, GroupConv2d
    if relax not in RELAXATIONS:
        raise ShapeError(f"relaxation {relax!r} is unknown, expected none or one of {', '.join(RELAXATIONS)}")
    return RELAXATIONS[relax]
