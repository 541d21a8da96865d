"""A learned probability over a group, smooth by its band limit: how much each element is treated as a symmetry.

    log lambda(h) = sum_i a_i e_i(h) - const,   e_i the real Fourier basis of the group up to frequency L

The constant function is left out, because it cancels: a finite group has |G| - 1 numbers a at full band limit, the
trivial group none. They start at zero, where lambda is uniform (Veefkind & Cesa 2024).
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.errors import ShapeError, SymmetryError, whole
from symdata.groups import Group
from zoo.layers.regular import sampled

BANDLIMIT = 4
"""Highest frequency of a likelihood over so2 or o2."""


class GroupLikelihood(nn.Module):
    """lambda, a probability over the elements of a group; over samples of it for so2 and o2.

    Args:
        group: by value or name.
        bandlimit: highest frequency L of the logits; by default all of a finite group, 4 for so2 and o2. With 0 the
            probability of an element depends only on whether it mirrors.

    Example:
        >>> likelihood = GroupLikelihood("c4")
        >>> likelihood.assign(torch.tensor([0.5, 0.0, 0.5, 0.0]))
        >>> round(likelihood.degree(), 3), round(likelihood.kl().item(), 3)
        (0.333, 0.693)
    """

    def __init__(self, group: Group | str, bandlimit: int | None = None) -> None:
        super().__init__()
        self.group = Group.parse(group) if isinstance(group, str) else group
        self.points = sampled(self.group)
        most = (self.points.rotations or 1) // 2
        if bandlimit is None:
            bandlimit = most if self.group.is_finite else BANDLIMIT
        self.bandlimit = whole("bandlimit", bandlimit, 0, most, mend=f" for {self.group}")
        basis = fourier_basis(self.points, bandlimit)
        self.basis = nn.Buffer(basis.to(torch.get_default_dtype()), persistent=False)  # (N, F)
        self.logits = nn.Parameter(torch.empty(basis.shape[1]))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform."""
        nn.init.zeros_(self.logits)

    def log_probabilities(self) -> Tensor:
        """(N,) log lambda of every element, in index order."""
        return F.log_softmax((self.basis * self.logits).sum(1), 0)  # not a product of matrices: autocast rounds those

    def probabilities(self) -> Tensor:
        """(N,) lambda of every element: they sum to 1."""
        return self.log_probabilities().exp()

    def kl(self, other: "GroupLikelihood | None" = None, *, fixed: bool = False) -> Tensor:
        """KL(lambda | other) in nats; None is the uniform one. Gradients flow to both, but not to a `fixed` other."""
        mine = self.log_probabilities()
        if other is None:
            return (mine.exp() * mine).sum() + math.log(len(mine))
        if other.group != self.group:
            raise SymmetryError(f"the other likelihood is over {other.group}, expected {self.group}: there is no KL")
        its = other.log_probabilities()
        return (mine.exp() * (mine - (its.detach() if fixed else its))).sum()

    def misalignment(self) -> Tensor:
        """max over h of log lambda(h) - log lambda(e): 0 if no element is likelier than the identity."""
        logs = self.log_probabilities()
        return logs.max() - logs[0]

    def degree(self) -> float:
        """1 - TV(lambda, uniform) / TV(identity, uniform): 1 for uniform, 0 for a point mass; as `Symmetry.degree`.

        Over so2 and o2 lambda is a density, given at its samples: all of it on one of 16 is 1/16.
        """
        p = self.probabilities().detach().double()
        if len(p) == 1:
            return 1.0
        return float(1 - (p - 1 / len(p)).abs().sum() / 2 / (1 - 1 / float(self.group.order)))

    def assign(self, probabilities: Tensor) -> None:
        """Set (N,) probabilities, zeros included, as nearly as the band limit allows."""
        n = len(self.basis)
        if probabilities.shape != (n,) or bool((probabilities < 0).any()) or not float(probabilities.sum()) > 0:
            raise ShapeError(f"probabilities {probabilities.tolist()} are none over {n} elements of {self.group}")
        logs = probabilities.to(self.logits).clamp_min(torch.finfo(self.logits.dtype).tiny).log()
        with torch.no_grad():
            # least squares instead of a projection: a basis rounded to float32 is orthogonal to seven digits only
            columns = F.pad(self.basis.double(), (1, 0), value=1.0)
            self.logits.copy_(torch.linalg.lstsq(columns, logs.double()[:, None]).solution[1:, 0])

    def extra_repr(self) -> str:
        return f"{self.group}, bandlimit={self.bandlimit}"


@lru_cache(maxsize=32)
def fourier_basis(group: Group, bandlimit: int) -> Tensor:
    """(|G|, F) float64: real functions of frequency at most `bandlimit` on c_n or d_n, but for the constant one.

    cos k theta and sin k theta, and on d_n also the sign of the mirror and its products with them; orthogonal, with
    mean square 1 over the group.
    """
    n = group.rotations or 1
    angle = torch.tensor([math.radians(e.angle) for e in group.elements], dtype=torch.float64)
    sign = torch.tensor([-1.0 if e.flip else 1.0 for e in group.elements], dtype=torch.float64)
    columns = [sign] if group.flips else []
    for k in range(1, bandlimit + 1):
        scale = 1.0 if 2 * k == n else math.sqrt(2)
        waves = [scale * (k * angle).cos()] + ([] if 2 * k == n else [scale * (k * angle).sin()])
        columns += waves + ([sign * wave for wave in waves] if group.flips else [])
    # rounded, so that entries that should be equal, opposite or zero are exactly that
    return (torch.stack(columns, 1) if columns else angle.new_zeros(len(angle), 0)).round(decimals=12) + 0.0
