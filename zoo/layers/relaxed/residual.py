"""Residual pathway priors: equivariant filters and free ones, added (Finzi, Benton & Wilson 2021).

    K = K_equivariant + K_free

with Gaussian priors of different width on the two, which is two weight decays: `zoo.objectives`. The free filters start
at zero: the gradient of a sum reaches them there too, and training starts at an equivariant layer.
"""

import torch
from torch import Tensor, nn

from zoo.layers.bank import in_format_of
from zoo.layers.regular import order
from zoo.layers.relaxed.base import RelaxedConv2d, relaxation


class ResidualConv2d(RelaxedConv2d):
    """The tied `weight`, and `free`, the filters of an ordinary convolution."""

    def make_weights(self) -> None:
        super().make_weights()
        k = self.kernel_size
        self.free = nn.Parameter(torch.empty(order(self.group) * self.out_fields, self.in_channels, k, k))

    def reset_parameters(self) -> None:
        """The tied filters as in `GroupConv2d`, the free ones zero."""
        super().reset_parameters()
        nn.init.zeros_(self.free)

    def expand(self) -> tuple[Tensor, Tensor | None]:
        bank, bias = super().expand()
        return in_format_of(bank + self.free, self.weight), bias


class ResidualLiftingConv2d(ResidualConv2d):
    """A lifting convolution with free filters beside it. Arguments as in `LiftingConv2d`.

    Example:
        >>> ResidualLiftingConv2d("c4", 1, 8, 3).free.shape
        torch.Size([32, 1, 3, 3])
    """

    lifting = True


@relaxation("residual", lambda tied, size, _: tied + size * tied, ResidualLiftingConv2d)
class ResidualGroupConv2d(ResidualConv2d):
    """A group convolution with free filters beside it. Arguments as in `GroupConv2d`.

    Example:
        >>> layer = ResidualGroupConv2d("c4", 2, 2, 3)
        >>> _ = torch.nn.init.normal_(layer.free, std=0.01)
        >>> 0.5 < layer.degree < 1
        True
    """
