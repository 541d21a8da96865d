"""The one door to escnn: the kernels that steer one representation into another, sampled on pixels."""

import io
import warnings
from contextlib import redirect_stdout
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from symdata.groups import Group
from symdata.installation.hints import install_line, pip
from symdata.installation.lie_learn import stand_in
from zoo.errors import ModelError
from zoo.layers.steerable.fibre import BAND, Fibre
from zoo.layers.steerable.filters import lattice_mean

ESCNN = "escnn==1.0.11"


def install_hint() -> str:
    """The lines that install escnn, with a Fortran compiler and without."""
    without = f"{install_line('planar')} && {pip(f'install --no-deps {ESCNN}')}"
    return f"{install_line('steerable')} (Python <= 3.12, Fortran compiler), or without either: {without}"


@lru_cache(maxsize=1)
def escnn() -> ModuleType:
    """The module escnn with its `gspaces` and `nn`; `ModelError` with the line that installs it where it is missing."""
    stand_in()
    try:
        with warnings.catch_warnings():
            # py3nj makes SO(3) faster, which acts on no plane
            warnings.filterwarnings("ignore", message="`py3nj` package not found", category=UserWarning)
            module = import_module("escnn")
            for part in ("gspaces", "nn"):
                import_module(f"escnn.{part}")
        # Where scikit-learn is installed escnn takes its random SVD, which refuses the matrices of groups with mirrors.
        import_module("escnn.group._numerical").randomized_svd = None  # type: ignore[attr-defined]
    except ImportError as error:
        raise ModelError(f"networks on c8, c16, d8, so2 and o2 need escnn ({error}): {install_hint()}") from error
    return module


def gspace(group: Group) -> Any:
    """The plane with the action of `group`: its mirror is left-right, as ours is."""
    spaces = escnn().gspaces
    rotations = -1 if group.rotations is None else group.rotations
    return spaces.flipRot2dOnR2(rotations) if group.flips else spaces.rot2dOnR2(rotations)


def representation(fibre: Fibre, space: Any) -> Any:
    """The representation of escnn for `fibre`: trivial, regular, or the spectral regular one up to frequency `BAND`."""
    if fibre.group == Group(1):
        return space.trivial_repr
    if fibre.group.is_finite:
        return space.regular_repr
    full = space.fibergroup
    return full.spectral_regular_representation(*full.bl_irreps(BAND), name=None)


@lru_cache(maxsize=64)
def kernel_basis(group: Group, before: Fibre, after: Fibre, kernel: int) -> Tensor:
    """(K, d_out, d_in, kernel, kernel) float32: a basis of the equivariant filters from one field to another.

    escnn samples them with an error of 1e-7; here they are equivariant to the last bit under the elements of d4 that
    the group holds, so that a network is exact to the rounding of its own arithmetic, in float64 too.
    """
    with redirect_stdout(io.StringIO()), torch.device("cpu"):  # escnn prints while it solves for a new basis
        count = _expansion(group, before, after, kernel, 1).dimension()
        # one output field for each kernel of the basis, and the identity for coefficients: all of them in one product
        expansion = _expansion(group, before, after, kernel, count)
        basis = expansion(torch.eye(count, dtype=torch.float32).flatten()).detach()
    return tied(basis.view(count, after.size, before.size, kernel, kernel), group, before, after)


def _expansion(group: Group, before: Fibre, after: Fibre, kernel: int, fields: int) -> Any:
    """The module of escnn that turns coefficients into the filters from one field to `fields`."""
    space = gspace(group)
    into, out = (representation(fibre, space) for fibre in (before, after))
    kinds = (escnn().nn.FieldType(space, count * [kind]) for kind, count in ((into, 1), (out, fields)))
    # recompute: the basis that escnn shares within the process may have been moved to another dtype or device
    return escnn().nn.R2Conv(*kinds, kernel, bias=False, initialize=False, recompute=True).basisexpansion


def tied(filters: Tensor, group: Group, before: Fibre, after: Fibre) -> Tensor:
    """Filters (..., d_out, d_in, k, k) averaged over the elements of d4 in `group`.

    The sums are exact in float64, as all terms are equal up to a few bits, so the averages of an orbit agree bit for
    bit. `ModelError` if the terms are not equal: then this escnn has other conventions than ours.
    """
    exact = filters.double()
    mean = lattice_mean(exact, group, before, after)
    worst = float((mean - exact).abs().max()) if exact.numel() else 0.0
    if worst > 1e-4 * max(1.0, float(exact.abs().max())):
        version = getattr(escnn(), "__version__", "unknown")
        raise ModelError(f"filters for {group} of escnn {version} are off by {worst:.1g} under d4: {install_hint()}")
    return mean.to(filters.dtype)
