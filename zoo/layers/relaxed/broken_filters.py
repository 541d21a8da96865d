"""Biases on the filters of every group element (Wu et al. 2025, "G-biases").

    K_g = g K + b_g,  b_g(p) one number per group element g and pixel p of the filter, for all channels

The biases start at zero, at an equivariant layer. They are few, |G| k k per layer, and can break little.
"""

import torch
from torch import Tensor, nn

from zoo.layers.bank import in_format_of
from zoo.layers.regular import order
from zoo.layers.relaxed.base import RelaxedConv2d, relaxation


class BiasConv2d(RelaxedConv2d):
    """The tied `weight`, and `taps` (|G|, k, k), which are added to all filters of an output orientation."""

    def make_weights(self) -> None:
        super().make_weights()
        self.taps = nn.Parameter(torch.empty(order(self.group), self.kernel_size, self.kernel_size))

    def reset_parameters(self) -> None:
        """The tied filters as in `GroupConv2d`, their biases zero."""
        super().reset_parameters()
        nn.init.zeros_(self.taps)

    def expand(self) -> tuple[Tensor, Tensor | None]:
        bank, bias = super().expand()
        added = self.taps.repeat_interleave(self.out_fields, 0).unsqueeze(1)  # (|G| O, 1, k, k)
        return in_format_of(bank + added, self.weight), bias


class BiasLiftingConv2d(BiasConv2d):
    """A lifting convolution with a bias on its filters. Arguments as in `LiftingConv2d`.

    Example:
        >>> BiasLiftingConv2d("c4", 1, 8, 3).taps.shape
        torch.Size([4, 3, 3])
    """

    lifting = True


@relaxation("bias", lambda tied, size, pixels: tied + size * pixels, BiasLiftingConv2d)
class BiasGroupConv2d(BiasConv2d):
    """A group convolution with a bias on its filters. Arguments as in `GroupConv2d`.

    Example:
        >>> layer = BiasGroupConv2d("d4", 8, 8, 3)
        >>> layer.taps.numel(), layer.weight.numel()
        (72, 4608)
    """
