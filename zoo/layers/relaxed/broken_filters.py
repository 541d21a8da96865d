"""Biases on the filters of every group element (Wu et al. 2025, "G-biases").

    K_g = g K + b_g,  b_g(p) one number per group element g and pixel p of the filter, for all channels

The biases start at zero, at an equivariant layer. Few numbers, |G| k k a layer, and little that they can break.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.layers.regular import order
from zoo.layers.relaxed.base import RelaxedConv2d, in_format_of


class BiasConv2d(RelaxedConv2d):
    """What the two share: the tied `weight`, and `taps` (|G|, k, k), added to all filters of an output orientation."""

    relaxation: ClassVar[str] = "bias"

    def make_weights(self) -> None:
        super().make_weights()
        self.taps = nn.Parameter(torch.empty(order(self.group), self.kernel_size, self.kernel_size))

    def reset_parameters(self) -> None:
        """The tied filters as in `GroupConv2d`, their biases zero."""
        super().reset_parameters()
        nn.init.zeros_(self.taps)

    def expand(self) -> tuple[Tensor | None, ...]:
        bank, bias = super().expand()
        assert bank is not None
        added = self.taps.repeat_interleave(self.out_fields, 0).unsqueeze(1)  # (|G| O, 1, k, k)
        return in_format_of(bank + added, self.weight), bias


class BiasLiftingConv2d(BiasConv2d):
    """A lifting convolution with a bias on its filters. Arguments as in `LiftingConv2d`."""

    lifting = True


class BiasGroupConv2d(BiasConv2d):
    """A group convolution with a bias on its filters. Arguments as in `GroupConv2d`."""
