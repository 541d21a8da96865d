"""Linear layers between vectors of fields, without space: after a global pool, or in a head."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, whole
from symdata.groups import Group
from zoo.layers.bank import MOST, bank_index, gather
from zoo.layers.bank_cache import BankedLayer
from zoo.layers.regular import fields, lattice_group, order


class GroupLinear(BankedLayer):
    """Fields (B, |G| in_fields) to fields (B, |G| out_fields), or to invariants (B, out_fields); there is no space.

    Fields to fields is the group convolution of one pixel, which commutes with the action on the group axis:

        y[g, o] = b[o] + sum over h, c of W[o, (g^-1 h, c)] x[h, c],      W: (out_fields, |G| in_fields)

    Of linear maps to invariants there are only those of the sum over the group; after a nonlinearity nothing is lost:

        y[o] = b[o] + sum over h, c of W[o, c] x[h, c],                   W: (out_fields, in_fields)

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        in_fields: fields of the input.
        out_fields: fields, or invariants, of the output.
        bias: whether to add one number per field, or invariant.
        invariant: whether the result is one that no element changes, such as logits.

    Raises:
        ShapeError: for arguments out of range, and inputs that are no vectors of such fields.

    Example:
        >>> from symdata import Element
        >>> from zoo.layers import act_on_features
        >>> hidden, head = GroupLinear("c4", 3, 5), GroupLinear("c4", 5, 10, invariant=True)
        >>> x, turn = torch.randn(2, 12), Element(90)
        >>> moved = act_on_features(x, turn, "c4")
        >>> torch.allclose(hidden(moved), act_on_features(hidden(x), turn, "c4"), atol=1e-5)
        True
        >>> torch.allclose(head(hidden(moved)), head(hidden(x)), atol=1e-5)
        True
    """

    def __init__(
        self, group: Group | str, in_fields: int, out_fields: int, bias: bool = True, invariant: bool = False
    ) -> None:
        super().__init__()
        self.group, self.invariant = lattice_group(group), invariant
        self.in_fields = whole("in_fields", in_fields, 1, MOST)
        self.out_fields = whole("out_fields", out_fields, 1, MOST)
        inputs = in_fields if invariant else order(self.group) * in_fields
        self.weight = nn.Parameter(torch.empty(out_fields, inputs))
        if not invariant:
            index = bank_index(self.group, out_fields, in_fields, 1, lifting=False)
            self.index = nn.Buffer(index, persistent=False)
        self.bias = nn.Parameter(torch.empty(out_fields)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(fan in), |G| C, as `torch.nn.Linear` of the expanded channels has it."""
        bound = 1 / math.sqrt(order(self.group) * self.in_fields)
        for tensor in (self.weight, self.bias):
            if tensor is not None:
                nn.init.uniform_(tensor, -bound, bound)

    def expand(self) -> tuple[Tensor, Tensor | None]:
        size = order(self.group)
        if self.invariant or size == 1:
            return self.weight, self.bias
        bank = gather(self.weight[..., None, None], self.index, size)
        return bank.flatten(1), self.expanded_bias  # (|G| O, |G| C), (|G| O,)

    def forward(self, x: Tensor) -> Tensor:
        channels = order(self.group) * self.in_fields
        if x.ndim != 2 or x.shape[1] != channels:
            expected = f"(B, {channels}): {self.in_fields} input fields over {self.group}"
            mend = "; average maps over space first, x.mean((-2, -1))" if x.ndim == 4 else ""
            raise ShapeError(f"GroupLinear got {tuple(x.shape)}, expected {expected}{mend}")
        weight, bias = self.bank(x)
        return F.linear(fields(x, self.group).sum(1) if self.invariant else x, weight, bias)

    def extra_repr(self) -> str:
        more = ", invariant=True" if self.invariant else ""
        return f"{self.group}, {self.in_fields}, {self.out_fields}, bias={self.bias is not None}{more}"
