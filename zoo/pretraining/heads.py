"""Heads that find the label of a pretext task in the features of a network: equivariant, or invariant as a control."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, whole
from symdata.groups import Group
from zoo.layers.bank import MOST
from zoo.layers.regular import fields, inverses, lattice_group, order
from zoo.pretraining.tasks import PretextTask, label_action, label_orbits


class EquivariantLabelHead(nn.Module):
    """Fields (B pieces, |G| C) to logits (B, labels) that move with the labels: z[g y](g x) = z[y](x).

    All linear maps of this kind have one free vector for each label, and one bias for each orbit of labels:

        z[y] = b[orbit of y] + sum over h, c of V[h^-1 y, c] x[h, c],      V: (labels, C)

    For a task of several pieces C counts the fields of all pieces.

    Args:
        task: whose labels are found, and over which group.
        in_fields: C, of one piece.

    Raises:
        ShapeError: for features that are no vectors of such fields.

    Example:
        >>> from symdata import Element
        >>> from zoo.layers import act_on_features
        >>> from zoo.pretraining import ErasedQuadrant, act_on_labels
        >>> task = ErasedQuadrant("c4")
        >>> head, x, turn = EquivariantLabelHead(task, 3), torch.randn(2, 12), Element(90)
        >>> moved = act_on_labels(task, turn, torch.arange(4))
        >>> torch.allclose(head(act_on_features(x, turn, "c4"))[:, moved], head(x), atol=1e-6)
        True
    """

    def __init__(self, task: PretextTask, in_fields: int) -> None:
        super().__init__()
        self.group: Group = lattice_group(task.group)
        self.pieces, self.in_fields = task.pieces, whole("in_fields", in_fields, 1, MOST)
        action, orbits = label_action(task), label_orbits(task)
        back = action[list(inverses(self.group))]  # (h, y): h^-1 y
        self.index = nn.Buffer(back.t().contiguous(), persistent=False)  # (labels, |G|)
        orbit_of = [next(k for k, orbit in enumerate(orbits) if y in orbit) for y in range(action.shape[1])]
        self.orbit = nn.Buffer(torch.tensor(orbit_of), persistent=False)
        bound = 1 / math.sqrt(self.pieces * order(self.group) * in_fields)
        self.weight = nn.Parameter(torch.empty(action.shape[1], self.pieces * in_fields).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(len(orbits)))

    def forward(self, features: Tensor) -> Tensor:
        width = order(self.group) * self.in_fields
        if features.ndim != 2 or features.shape[1] != width or len(features) % self.pieces:
            expected = f"(B, {width}): {self.in_fields} fields over {self.group}"
            more = f", B a multiple of {self.pieces}" if self.pieces > 1 else ""
            raise ShapeError(f"features are {tuple(features.shape)}, expected {expected}{more}")
        x = fields(features, self.group).reshape(-1, self.pieces, order(self.group), self.in_fields)
        weight, bias = self.expanded()
        return F.linear(x.transpose(1, 2).flatten(1), weight, bias)  # of (B, |G| pieces C)

    def expanded(self) -> tuple[Tensor, Tensor]:
        """Weight (labels, |G| pieces C) and bias (labels,) of the same map as a `torch.nn.Linear`."""
        return self.weight[self.index].flatten(1), self.bias[self.orbit]


class InvariantLabelHead(nn.Module):
    """Invariants (B pieces, C) to logits (B, labels): the control. It cannot tell the labels of one orbit apart.

    Over a task whose labels are as likely as each other its accuracy is at most that of a guess within the orbits, 1/4
    for erased quadrants under c4, whatever it learns.

    Args:
        task: whose labels are found.
        in_fields: C, of one piece.

    Example:
        >>> from zoo.pretraining import ErasedQuadrant
        >>> InvariantLabelHead(ErasedQuadrant("c4"), 3)(torch.randn(2, 3)).shape
        torch.Size([2, 4])
    """

    def __init__(self, task: PretextTask, in_fields: int) -> None:
        super().__init__()
        self.linear = nn.Linear(task.pieces * in_fields, len(task.classes))

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.linear(features.reshape(-1, self.linear.in_features))
        return out

    def expanded(self) -> tuple[Tensor, Tensor]:
        """Weight (labels, pieces C) and bias (labels,), as they are."""
        return self.linear.weight, self.linear.bias
