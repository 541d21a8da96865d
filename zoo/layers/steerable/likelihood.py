"""Convolutions between fields of c_n, d_n, so2 and o2 with a learned likelihood over the group, in plain torch.

    K_lambda(x) = sum_h lambda(h) rho_out(h) K(h^-1 x) rho_in(h)^-1 / |lambda|_2        Veefkind & Cesa 2024

K has free coefficients for every pair of channels and every circular harmonic, a ring times cos or sin of a multiple of
the angle. Harmonics are turned by their formula, not on pixels, so the sum is as exact as the sampling of its filters,
and a uniform lambda leaves what an ordinary steerable convolution has. Over so2 and o2 the sum has 16 rotations: the
kernels of our fields have no frequency that these samples would confuse with 0.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from symdata.groups import Element, Group
from zoo.layers.regular import move
from zoo.layers.relaxed.distribution import GroupLikelihood
from zoo.layers.steerable.convolution import ExpandedConv2d, FieldConvSpec
from zoo.layers.steerable.filters import FieldFilters

SIGMA = 0.6
"""Width of a ring in pixels; the outermost has 0.4, and the centre is one pixel, as in escnn (Cesa et al. 2022)."""
OUTERMOST = 0.4


class LikelihoodSteerableConv2d(ExpandedConv2d, FieldFilters):
    """A convolution as equivariant as its likelihood is uniform.

    `weight` holds the coefficients as (C_out, C_in, d_out d_in harmonics): `.to(memory_format=torch.channels_last)`
    refuses parameters of five axes.
    """

    def __init__(self, spec: FieldConvSpec, group: Group, likelihood: GroupLikelihood | None = None) -> None:
        super().__init__(spec, group)
        self.likelihood = GroupLikelihood(group) if likelihood is None else likelihood
        points, dtype = self.likelihood.points, torch.get_default_dtype()
        out, into = (torch.stack([fibre.action(e) for e in points.elements]) for fibre in (self.after, self.before))
        self.turned = nn.Buffer(turned_harmonics(points, spec.kernel).to(dtype), persistent=False)
        self.out_actions = nn.Buffer(out.to(dtype), persistent=False)
        self.in_actions = nn.Buffer(into.to(dtype), persistent=False)
        each = self.after.size * self.before.size * self.turned.shape[1]
        self.weight = nn.Parameter(torch.empty(spec.fields_out, spec.fields_in, each))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new coefficients: their variance times the energy of a channel's filter, over all inputs, is 2."""
        energy = float(self.turned[0].square().sum()) * self.in_channels
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / energy))

    @property
    def coefficients(self) -> Tensor:
        """`weight` as (C_out, C_in, d_out, d_in, harmonics)."""
        return self.weight.unflatten(2, (self.after.size, self.before.size, -1))  # type: ignore[no-untyped-call,no-any-return]

    def filter(self) -> Tensor:
        probabilities = self.likelihood.probabilities()
        harmonics = (probabilities / probabilities.norm()).view(-1, 1, 1, 1) * self.turned  # (N, K, k, k)
        mixed = torch.einsum("hpq,ocqrb->hocprb", self.out_actions, self.coefficients)
        mixed = torch.einsum("hsr,hocprb->hbocps", self.in_actions, mixed)  # rho_in(h)^-1 is its transpose
        split = torch.einsum("hbocps,hbxy->poscxy", mixed, harmonics)
        return split.flatten(2, 3).flatten(0, 1)

    def filters(self) -> Tensor:
        with torch.no_grad():
            return self.filter().double()


@lru_cache(maxsize=16)
def turned_harmonics(points: Group, kernel: int) -> Tensor:
    """(N, K, kernel, kernel) float64: every circular harmonic b of the window, as b(h^-1 x), for every element h.

    Quarter turns permute pixels, so the turned harmonics hold the same numbers to the last bit.
    """
    found = []
    for element in points.elements:
        quarters, rest = divmod(element.angle, 90.0)
        small = Element(rest, element.flip)  # element = quarter turns after this one
        found.append(move(_harmonics(kernel, ~small), Element(90.0 * quarters)))
    return torch.stack(found)


def _harmonics(kernel: int, element: Element) -> Tensor:
    """(K, kernel, kernel) float64: the harmonics at the points `element` x of the window's pixels x, of norm about 1.

    Rings are at 0, 1, 2, ... pixels; one at r has frequencies up to 2 r, the outermost at most 2.
    """
    half = (kernel - 1) / 2
    line = torch.arange(kernel, dtype=torch.float64) - half
    y, x = torch.meshgrid(-line, line, indexing="ij")
    radius = (x.square() + y.square()).sqrt()
    angle = torch.atan2(y, -x if element.flip else x) + math.radians(element.angle)
    rings = torch.linspace(0, (kernel - 1) // 2, (kernel + 1) // 2).tolist()
    found = []
    for i, ring in enumerate(rings):
        width = OUTERMOST if i == len(rings) - 1 else SIGMA
        profile = (-((radius - ring) ** 2) / (2 * width**2)).exp() if ring else (radius < 0.5).double()
        for k in range(_highest(ring, outermost=i == len(rings) - 1) + 1):
            waves = [(k * angle).cos(), (k * angle).sin()] if k else [torch.ones_like(angle)]
            ringed = profile * (radius > 0) if k else profile  # the centre has no direction
            # one scale for cos and sin, whose energies differ on pixels, so that turning one still gives the other
            found += [ringed * wave * (len(waves) ** 0.5 / ringed.norm()) for wave in waves]
    return torch.stack(found)


def _highest(ring: float, *, outermost: bool) -> int:
    return 0 if ring == 0 else min(int(2 * ring), 2) if outermost else int(2 * ring) - int(ring + 1) % 2
