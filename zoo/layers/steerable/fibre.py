"""Feature fields of c_n, d_n, so2 and o2 in plain torch: how they turn, their norm, nonlinearity and pooling.

Layout:
    A map of C fields is (B, d C, H, W), fibre-major as in `zoo.layers`: channel i C + c is coefficient i of field c.

Representations:
    c_n and d_n carry the regular representation: coefficient g is the field's value at element g, d = |G|.
    so2 and o2 carry functions on the group of frequency at most L = 3, by their real Fourier coefficients,

        f(theta)    = (a + sqrt2 sum_k  b_k cos k theta + c_k sin k theta) / sqrt d                       d = 7
        f(theta, s) = (a + s a' + sqrt2 sum_k  (b_k + s c'_k) cos k theta + ...) / sqrt d,  s = +-1        d = 14

    which is `spectral_regular_representation` of escnn (Cesa et al. 2022, appendix H). The nonlinearity acts on 16
    samples (o2: 16 rotations, with and without the mirror), which is exact for the 16 (32) sampled elements, those of
    d4 among them, and approximate in between: frequencies above 12 of its result alias onto those kept.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.groups import Element, Group
from zoo.layers.regular import sampled

BAND = 3
"""Highest frequency L of a field on so2 and o2."""


@dataclass(frozen=True)
class Fibre:
    """The value of one field at one pixel: a function on the group."""

    group: Group
    """Of the symmetry; c1 for the channels of an image."""

    @property
    def points(self) -> tuple[Element, ...]:
        """The elements at which the function is sampled, in index order: all of a finite group."""
        return sampled(self.group).elements

    @property
    def size(self) -> int:
        """d, the number of coefficients."""
        if self.group.is_finite:
            return len(self.points)
        return (1 + 2 * BAND) * (2 if self.group.flips else 1)

    def sampling(self) -> Tensor | None:
        """(N, d) float64: coefficients to samples; None for a finite group, whose coefficients are its samples."""
        if self.group.is_finite:
            return None
        return torch.stack([_row(self.group.flips, element) for element in self.points]) / math.sqrt(self.size)

    def action(self, element: Element) -> Tensor:
        """(d, d) float64: the action of `element` on the coefficients, a permutation for a finite group.

        For so2 and o2 it is orthogonal, and for elements of d4 a permutation up to signs, exactly.
        """
        if self == IMAGE:
            return torch.ones(1, 1, dtype=torch.float64)
        if self.group.is_finite:
            e = self.group.index(element)
            moved = [self.group.product(e, g) for g in range(self.size)]
            return torch.eye(self.size, dtype=torch.float64)[:, moved]  # (M f)[e g] = f[g]
        sampling = cast(Tensor, self.sampling())
        pulled = torch.stack([_row(self.group.flips, ~element @ g) for g in self.points]) / math.sqrt(self.size)
        # (e f)(g) = f(e^-1 g) for all samples g, solved for the coefficients: sampling^T sampling = (N / d) 1
        return _clean(sampling.T @ pulled * (self.size / len(sampling)))


IMAGE = Fibre(Group(1))
"""Pixels: one coefficient that no element changes."""


def _row(flips: bool, element: Element) -> Tensor:
    """sqrt(d) times the function of every coefficient, at one element: the first column of rho(element), by block."""
    s = -1.0 if element.flip else 1.0
    row = [1.0, s] if flips else [1.0]
    for k in range(1, BAND + 1):
        c, sin = (math.sqrt(2.0) * f(math.radians(k * element.angle)) for f in (math.cos, math.sin))
        row += [c, sin, -s * sin, s * c] if flips else [c, sin]
    return _clean(torch.tensor(row, dtype=torch.float64))


def _clean(values: Tensor) -> Tensor:
    """Without the last few bits, so that entries that should be equal, opposite or zero are exactly that."""
    return values.round(decimals=12) + 0.0  # and -0 is 0


class FieldNorm(nn.BatchNorm2d):
    """Batch norm of (B, n C, H, W) with one mean, variance, weight and bias per field, shared by its n samples."""

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        return super().forward(x.reshape(-1, self.num_features, h, w)).reshape(x.shape)


class FieldNonlinearity(nn.Module):
    """Batch norm, nonlinearity, dropout and perhaps a 2x2 max pool, all on the samples of the fields.

    ReLU for finite groups; ELU for so2 and o2: it is smoother, so that less of its high frequencies aliases.

    Args:
        fibre: of the fields.
        fields: C.
        pool: side and stride of the max pool; 1 for none.
        dropout: probability.
    """

    sampling: Tensor | None
    projection: Tensor | None

    def __init__(self, fibre: Fibre, fields: int, pool: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.fibre, self.pool = fibre, pool
        self.norm, self.dropout = FieldNorm(fields), nn.Dropout(dropout)
        register_sampling(self, fibre)

    def forward(self, x: Tensor) -> Tensor:
        samples = self.norm(mix(self.sampling, x))  # (B, N C, H, W)
        active = F.relu(samples) if self.sampling is None else F.elu(samples)
        pooled = F.max_pool2d(active, self.pool) if self.pool > 1 else active
        return mix(self.projection, self.dropout(pooled))  # (B, d C, H, W)


class FibrePool(nn.Module):
    """(B, d C, ...) to (B, C, ...): the maximum of every field over the elements of its group, or over the samples."""

    sampling: Tensor | None

    def __init__(self, fibre: Fibre) -> None:
        super().__init__()
        self.fibre, self.count = fibre, len(fibre.points)
        register_sampling(self, fibre)

    def forward(self, x: Tensor) -> Tensor:
        samples = mix(self.sampling, x)
        return samples.view(x.shape[0], self.count, samples.shape[1] // self.count, *x.shape[2:]).amax(1)


def register_sampling(module: nn.Module, fibre: Fibre) -> None:
    """Register the constants `sampling` and `projection`, which no checkpoint holds; None for a finite group."""
    sampling = _sampling(fibre)
    projection = None if sampling is None else sampling.T * (fibre.size / len(sampling))
    for name, matrix in (("sampling", sampling), ("projection", projection)):
        matrix = None if matrix is None else matrix.to(torch.get_default_dtype())
        module.register_buffer(name, matrix, persistent=False)


@lru_cache(maxsize=8)
def _sampling(fibre: Fibre) -> Tensor | None:
    with torch.device("cpu"):
        return fibre.sampling()


def mix(matrix: Tensor | None, x: Tensor) -> Tensor:
    """(M, d) times fields (B, d C, ...), field by field and pixel by pixel: (B, M C, ...); None is the identity."""
    if matrix is None:
        return x
    b, rows = x.shape[0], matrix.shape[1]
    fields = x.shape[1] // rows  # said in full, since -1 is ambiguous for a batch of none
    flat = x.reshape(b, rows, fields * math.prod(x.shape[2:]))
    return (matrix @ flat).reshape(b, len(matrix) * fields, *x.shape[2:])
