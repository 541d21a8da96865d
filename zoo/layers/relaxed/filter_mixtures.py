"""The relaxed group convolution: several equivariant filters, mixed anew for every output (Wang, Walters & Yu 2022).

    K_g = sum_l  w_l(g)  (g psi_l)

It is equivariant where no w_l depends on g, and starts there. The penalty of the paper, `spread`, pulls it back.
"""

import math

import torch
from torch import Tensor, nn

from zoo.layers.bank import gather, in_format_of
from zoo.layers.regular import order
from zoo.layers.relaxed.base import RelaxedConv2d, relaxation

BANKS = 2
"""Filters that are mixed, L."""


class BanksConv2d(RelaxedConv2d):
    """`weight` (L O, J C, k, k), filter l of field o at l O + o, and `mixture` (L, |G|)."""

    filters_per_field = BANKS

    def make_weights(self) -> None:
        super().make_weights()
        self.mixture = nn.Parameter(torch.empty(BANKS, order(self.group)))

    def reset_parameters(self) -> None:
        """All filters as in `GroupConv2d`; 1 / sqrt(L) of each, so that their sum has the variance of one."""
        super().reset_parameters()
        nn.init.constant_(self.mixture, 1 / math.sqrt(BANKS))

    def expand(self) -> tuple[Tensor, Tensor | None]:
        size, k = order(self.group), self.kernel_size
        all_banks = gather(self.weight, self.index, size).view(size, BANKS, self.out_fields, self.in_channels, k, k)
        bank = (all_banks * self.mixture.T.reshape(size, BANKS, 1, 1, 1, 1)).sum(1).flatten(0, 1)
        return in_format_of(bank, self.weight), self.expanded_bias  # (|G| O, J C, k, k), (|G| O,)

    def spread(self) -> Tensor:
        """sum over l, g, h of |w_l(g) - w_l(h)|: 0 where the layer is equivariant by its weights."""
        w = self.mixture
        return (w[:, :, None] - w[:, None, :]).abs().sum()


class BanksLiftingConv2d(BanksConv2d):
    """A relaxed lifting convolution. Arguments as in `LiftingConv2d`.

    Example:
        >>> BanksLiftingConv2d("c4", 1, 8, 3).weight.shape
        torch.Size([16, 1, 3, 3])
    """

    lifting = True


@relaxation("banks", lambda tied, size, _: BANKS * (tied + size), BanksLiftingConv2d)
class BanksGroupConv2d(BanksConv2d):
    """A relaxed group convolution. Arguments as in `GroupConv2d`.

    Example:
        >>> layer = BanksGroupConv2d("c4", 8, 8, 3)
        >>> layer.mixture.shape, layer.spread().item(), layer.is_strict
        (torch.Size([2, 4]), 0.0, True)
    """
