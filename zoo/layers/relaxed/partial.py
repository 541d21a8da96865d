"""Partial group convolutions: outputs on a learned subset of the group (Romero & Lohit 2022).

Every element g but the identity is kept with a learned probability. In training it is drawn anew in each forward, by a
relaxed Bernoulli variable (Maddison, Mnih & Teh 2017) that is rounded, with the gradient of the one that is not; in
evaluation an element is kept if its probability is at least one half.

What a dropped orientation holds:
    The paper leaves it out. A feature map of ours has a place for every element, and zeros would not stay zeros after
    a norm, nor stay out of a maximum over the group. So it repeats a kept one: the first of g, g t^-1, ... over the
    elements t in index order. A maximum over the group is then one over those kept, whatever is in between; a later
    convolution counts an orientation as often as it is repeated. The rule only multiplies from the right, so the layer
    is exactly equivariant under all elements that leave the kept set as it is: under c2, if that is what is kept of c4.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from symdata.groups import Group
from zoo.layers.bank import in_format_of
from zoo.layers.regular import inverses, order, products
from zoo.layers.relaxed.base import RelaxedConv2d, relaxation

TEMPERATURE = 0.5
"""Of the relaxed Bernoulli variable: its gradient is smooth, and not yet flat."""

START = 2.0
"""Logit at which every element starts: kept 88 % of the time."""


@relaxation("partial", lambda tied, size, _: tied + size - 1)
class PartialGroupConv2d(RelaxedConv2d):
    """A group convolution with outputs on a learned subset of the group. Arguments as in `GroupConv2d`.

    `keep` (|G| - 1,) holds the logits of keeping each element but the identity, which is always kept. The lifting layer
    of such a network is a full one, so there is no lifting form of this one.

    Example:
        >>> layer = PartialGroupConv2d("c4", 2, 2, 3)
        >>> _ = layer.keep.data.copy_(torch.tensor([-1.0, 2.0, -1.0]))
        >>> layer.kept().tolist()
        [True, False, True, False]
    """

    def make_weights(self) -> None:
        super().make_weights()
        self.keep = nn.Parameter(torch.empty(order(self.group) - 1))
        self.substitutes = nn.Buffer(_substitutes(self.group).to(torch.get_default_dtype()), persistent=False)

    def reset_parameters(self) -> None:
        """Filters as in `GroupConv2d`; every element likely to be kept."""
        super().reset_parameters()
        nn.init.constant_(self.keep, START)

    def probabilities(self) -> Tensor:
        """(|G|,) probability of keeping each element; 1 for the identity."""
        return torch.cat([self.keep.new_ones(1), self.keep.sigmoid()])

    def kept(self) -> Tensor:
        """(|G|,) which elements evaluation keeps."""
        return torch.cat([self.keep.new_ones(1, dtype=torch.bool), self.keep >= 0])

    def expand(self) -> tuple[Tensor, Tensor | None]:
        return self._expanded(self._drawn() if self.training else self.kept().to(self.keep.dtype))

    def filters(self) -> Tensor:
        with torch.no_grad():
            return self._expanded(self.kept().to(self.keep.dtype))[0].double()

    def _expanded(self, kept: Tensor) -> tuple[Tensor, Tensor | None]:
        bank, bias = super().expand()
        # not a product of matrices, which autocast would round
        rows = (self._filled(kept).to(bank.dtype)[:, :, None] * bank.reshape(len(kept), -1)).sum(1)
        return in_format_of(rows.view(bank.shape), self.weight), bias

    def _drawn(self) -> Tensor:
        """(|G|,) zeros and ones, with the gradient of the relaxed ones."""
        noise = torch.rand_like(self.keep).clamp(1e-6, 1 - 1e-6).logit()
        soft = ((self.keep + noise) / TEMPERATURE).sigmoid()
        hard = (soft >= 0.5).to(soft.dtype) + (soft - soft.detach())
        return torch.cat([hard.new_ones(1), hard])

    def _filled(self, kept: Tensor) -> Tensor:
        """(|G|, |G|) of zeros and ones: which kept orientation is at g. A polynomial, so that gradients flow."""
        left, rows = torch.ones_like(kept), torch.zeros_like(self.substitutes[0])
        for source in self.substitutes:  # for t in index order
            taken = left * (source * kept).sum(1)
            rows = rows + taken[:, None] * source
            left = left - taken
        return rows


@lru_cache(maxsize=16)
def _substitutes(group: Group) -> Tensor:
    """(|G|, |G|, |G|) of zeros and ones: at [t, g] a one at the index of g t^-1."""
    index = torch.tensor([[row[t] for row in products(group)] for t in inverses(group)])
    return nn.functional.one_hot(index)
