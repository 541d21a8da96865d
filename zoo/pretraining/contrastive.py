"""The contrastive loss over a group: two views of an image are alike, however each of them is turned.

NT-Xent (Chen et al. 2020) with a similarity that no element of the group changes, whichever view it moves (Mukuta &
Harada 2023). It is a cross-entropy: each view has to find the other view of its image among all views of the batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, suggest
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers.regular import act_on_features, fields, lattice_group

SIMILARITIES = ("max", "mean", "norm", "plain")
"""How `similarity` compares two vectors of fields."""


def similarity(features: Tensor, others: Tensor, group: Group | str, over: str = "max") -> Tensor:
    """Cosines of vectors of regular fields (n, |G| C) and (m, |G| C): (n, m).

    All but `plain` are the same when any element moves any of the vectors:

        max    the largest over g of <z, g z'> / |z||z'|
        mean   of the means over the group, (n, C)
        norm   of the norms over the group, (n, C)
        plain  <z, z'> / |z||z'|: the control

    Args:
        features: of some images.
        others: of others.
        group: one of c1, c2, c4, d1, d2, d4.
        over: one of `SIMILARITIES`.

    Raises:
        ModelError: for another word.
        ShapeError: for vectors that are no fields of the group.

    Example:
        >>> from symdata import Element
        >>> z = torch.randn(3, 8)
        >>> turned = act_on_features(z, Element(90), "c4")
        >>> torch.allclose(similarity(z, turned, "c4"), similarity(z, z, "c4"))
        True
    """
    if over not in SIMILARITIES:
        raise ModelError(f"no similarity {over!r}; {suggest(over, SIMILARITIES)}")
    group = lattice_group(group)
    if over in ("mean", "norm"):
        features, others = (_pooled(fields(x, group), over) for x in (features, others))
    a, b = F.normalize(features), F.normalize(others)
    if over != "max":
        return a @ b.t()
    return torch.stack([a @ act_on_features(b, element, group).t() for element in group.elements]).amax(0)


def _pooled(values: Tensor, over: str) -> Tensor:
    """(n, |G|, C) to (n, C)."""
    return values.mean(1) if over == "mean" else torch.linalg.vector_norm(values, dim=1)


def partners(n: int, device: torch.device | str = "cpu") -> Tensor:
    """The row of the other view of each image, where views are rows 0, 2, ... and 1, 3, ...: (n,) int64.

    Example:
        >>> partners(4).tolist()
        [1, 0, 3, 2]
    """
    return torch.arange(n, device=device) ^ 1


def contrastive_loss(
    features: Tensor, others: Tensor, group: Group | str, over: str = "max", temperature: float = 0.07
) -> Tensor:
    """NT-Xent of two views of n images, (n, |G| C) each: ().

    Args:
        features: of the first views.
        others: of the second views of the same images, in the same order.
        group: one of c1, c2, c4, d1, d2, d4.
        over: how two views are compared, see `similarity`.
        temperature: the similarities are divided by it.

    Raises:
        ShapeError: if the two differ in shape.

    Example:
        >>> from symdata import Element
        >>> a, b = torch.randn(3, 8), torch.randn(3, 8)
        >>> turned = act_on_features(b, Element(90), "c4")
        >>> losses = [contrastive_loss(a, x, "c4", over) for over in ("max", "plain") for x in (b, turned)]
        >>> [abs(float(losses[k] - losses[k + 1])) < 1e-5 for k in (0, 2)]
        [True, False]
    """
    if features.shape != others.shape or features.ndim != 2:
        raise ShapeError(
            f"the views are {tuple(features.shape)} and {tuple(others.shape)}, expected (n, |G| C) twice, the same n"
        )
    both = torch.stack([features, others], 1).flatten(0, 1)  # views of an image are neighbours
    return F.cross_entropy(ContrastiveHead(group, over, temperature)(both), partners(len(both), both.device))


class ContrastiveHead(nn.Module):
    """Fields of views (2n, |G| C) to logits (2n, 2n): each view against all others; itself has -inf.

    Args:
        group: one of c1, c2, c4, d1, d2, d4.
        over: see `similarity`.
        temperature: the similarities are divided by it.

    Example:
        >>> ContrastiveHead("c4")(torch.randn(4, 8)).argmax(1).shape
        torch.Size([4])
    """

    def __init__(self, group: Group | str, over: str = "max", temperature: float = 0.07) -> None:
        super().__init__()
        self.group, self.over, self.temperature = lattice_group(group), over, temperature

    def forward(self, features: Tensor) -> Tensor:
        logits = similarity(features, features, self.group, self.over).float() / self.temperature
        return logits.masked_fill(torch.eye(len(logits), dtype=torch.bool, device=logits.device), -torch.inf)
