"""Convolutions that are group convolutions when training starts, and learn how far to leave them.

Each is a lifting and a group convolution with the arguments of `zoo.layers.LiftingConv2d` that expand their bank of
filters in another way: they are evaluated, saved, exported and measured like a strict layer. Every file of this folder
may register one with `zoo.layers.relaxed.base.relaxation`.
"""

from importlib import import_module
from pkgutil import iter_modules

from zoo.layers.relaxed.base import RELAXATIONS as RELAXATIONS
from zoo.layers.relaxed.base import RelaxedConv2d as RelaxedConv2d
from zoo.layers.relaxed.base import convolutions as convolutions
from zoo.layers.relaxed.broken_filters import BiasGroupConv2d as BiasGroupConv2d
from zoo.layers.relaxed.broken_filters import BiasLiftingConv2d as BiasLiftingConv2d
from zoo.layers.relaxed.distribution import GroupLikelihood as GroupLikelihood
from zoo.layers.relaxed.filter_mixtures import BanksGroupConv2d as BanksGroupConv2d
from zoo.layers.relaxed.filter_mixtures import BanksLiftingConv2d as BanksLiftingConv2d
from zoo.layers.relaxed.free import FreeConv2d as FreeConv2d
from zoo.layers.relaxed.free import FreeGroupConv2d as FreeGroupConv2d
from zoo.layers.relaxed.free import FreeLiftingConv2d as FreeLiftingConv2d
from zoo.layers.relaxed.likelihood import LikelihoodGroupConv2d as LikelihoodGroupConv2d
from zoo.layers.relaxed.likelihood import LikelihoodLiftingConv2d as LikelihoodLiftingConv2d
from zoo.layers.relaxed.partial import PartialGroupConv2d as PartialGroupConv2d
from zoo.layers.relaxed.residual import ResidualGroupConv2d as ResidualGroupConv2d
from zoo.layers.relaxed.residual import ResidualLiftingConv2d as ResidualLiftingConv2d

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
