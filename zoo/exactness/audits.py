"""Whether a model is exactly equivariant at an input size: predicted by arithmetic, before any training.

`audit` traces any torch model and says, per subsampling layer, what is left over (r), how far the grid is out of centre
(phi, in input pixels), which elements survive, which layer breaks first, and what mends it. It speaks about the grids:
a layer whose weights are not tied by the group is not equivariant on the best of grids. A later layer never repairs an
earlier one, so the model is exact if and only if phi = 0 and no relaxed layer of ours has left the group.
`zoo.measure.feature_error.feature_error` measures the same thing.

    >>> from torch import nn
    >>> report = audit(nn.Conv2d(3, 8, 3, stride=2, padding=1), 32)
    >>> report.exact, report.phi, [str(e) for e in report.survivors], report.nearest
    (False, (1.0, 1.0), ['e', 'r90m'], ((31, 31), (33, 33)))
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.errors import ModelError
from zoo.exactness.arithmetic import D4, Subsampling
from zoo.exactness.tracer import Tracer
from zoo.layers.regular import lattice_group
from zoo.layers.relaxed.base import RelaxedConv2d
from zoo.layers.steerable.filters import FieldFilters

REACH = 64
"""How many pixels away from the input size an exact one is looked for."""


@dataclass(frozen=True)
class Mend:
    """One way to make a model exact, as data and as a sentence."""

    kind: str
    """`pad`, `crop`, `resize` the input; a larger `kernel` for one layer; or `replace` one operation."""
    sentence: str
    size: tuple[int, int] | None = None
    """(height, width) to give to the model, for the first three."""
    layer: str | None = None
    kernel: int | None = None


@dataclass(frozen=True)
class Audit:
    """What arithmetic says about a model at one input size; pairs are (height, width)."""

    model: str
    """Name of the model's class."""
    size: tuple[int, int]
    group: Group
    layers: tuple[Subsampling, ...]
    """Every subsampling, in the order in which it runs."""
    survivors: tuple[Element, ...]
    """The elements of the group under which the whole model is exact."""
    first_broken: Subsampling | None
    """The first layer that some element of the group does not survive."""
    nearest: tuple[tuple[int, int], ...]
    """The nearest exact sizes below and above, as far as there are some within `REACH` pixels."""
    mends: tuple[Mend, ...]
    relaxed: tuple[str, ...] = ()
    """The layers whose filters have left the group, on whatever grid."""
    degree: float = 1.0
    """The smallest degree of equivariance of those, see `zoo.layers.relaxed`."""

    @property
    def exact(self) -> bool:
        """Whether every element of the group survives, and no layer has left it."""
        return self.first_broken is None and not self.relaxed

    @property
    def phi(self) -> tuple[float, float]:
        """Misalignment of the deepest grid, in input pixels; (0, 0) is exact."""
        return (
            max((layer.phi[0] for layer in self.layers), default=0.0),
            max((layer.phi[1] for layer in self.layers), default=0.0),
        )

    @property
    def verdict(self) -> str:
        """One sentence: exact, or where it breaks and what is left."""
        shape = _by(self.size)
        if self.first_broken is None and self.relaxed:
            many = f"{len(self.relaxed)} layers are" if len(self.relaxed) > 1 else "1 layer is"
            return (
                f"approximate: at {shape} the grids are exact under {self.group}; {many} relaxed, and hold it up to "
                f"degree {self.degree:.2g}"
            )
        if self.first_broken is None:
            return f"exact: at {shape} every subsampling maps to itself under {self.group}"
        broken = self.first_broken
        if broken.unknown:
            return f"unknown: {_where(broken)}: {broken.note}"
        left = ", ".join(str(e) for e in self.survivors)
        why = f" ({broken.note})" if broken.note else ""
        return (
            f"approximate: at {shape} {_where(broken)} meets {_by(broken.size)} pixels and is r = "
            f"{_number(max(broken.residue))} out of step{why}; of {self.group} only {left} survive"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "model": self.model,
            "size": list(self.size),
            "group": str(self.group),
            "exact": self.exact,
            "verdict": self.verdict,
            "phi": list(self.phi),
            "survivors": [str(e) for e in self.survivors],
            "first_broken": None if self.first_broken is None else self.layers.index(self.first_broken),
            "layers": [layer.to_dict() for layer in self.layers],
            "nearest": [list(size) for size in self.nearest],
            "mends": [asdict(mend) for mend in self.mends],
            **({"relaxed": list(self.relaxed), "degree": self.degree} if self.relaxed else {}),
        }


def audit(
    model: nn.Module, size: int | tuple[int, int], group: Group | str | None = None, in_chans: int | None = None
) -> Audit:
    """Trace `model` at `size` and say what is exact.

    Args:
        model: any module that takes an image batch (B, C, H, W); it is copied, never changed.
        size: pixels, or (height, width).
        group: subgroup of d4 to hold the model against; by default what it has in common with the model's own group,
            and d4 for a model without any.
        in_chans: C; by default read from the first convolution.

    Raises:
        ModelError: if the model cannot run at this size, cannot be copied, or is built on a group without this one.
        SymmetryError: for a group that moves pixels off their lattice.
    """
    group = held_against(model, group)
    tracer, shape = Tracer(model, in_chans), _shape(size)
    layers = tracer.trace(shape)
    alive = tuple(e for e in group.elements if all(e in layer.survivors(group) for layer in layers))
    broken = next((layer for layer in layers if len(layer.survivors(group)) < len(group.elements)), None)
    # What is not known at this size is not known at any.
    hopeless = broken is None or any(layer.unknown for layer in layers)
    nearest = () if hopeless else _nearest(tracer, shape, group)
    mends = () if broken is None else (*_resizings(shape, nearest), *_repairs(layers, group))
    loose = relaxed(model)
    degree = min((module.degree for module in loose.values()), default=1.0)
    return Audit(type(model).__name__, shape, group, layers, alive, broken, nearest, mends, tuple(loose), degree)


def exact_sizes(
    model: nn.Module, sizes: Iterable[int], group: Group | str | None = None, in_chans: int | None = None
) -> tuple[int, ...]:
    """Those of `sizes` (square, pixels) at which the model is exact; sizes it cannot run at are left out."""
    group = held_against(model, group)
    tracer = Tracer(model, in_chans)
    return tuple(n for n in sizes if _is_exact(tracer, (n, n), group))


def relaxed(model: nn.Module) -> dict[str, RelaxedConv2d | FieldFilters]:
    """The layers whose filters have left their group, by name; none of a model without values."""
    found = {name: m for name, m in model.named_modules() if isinstance(m, RelaxedConv2d | FieldFilters)}
    return {name: m for name, m in found.items() if not any(p.is_meta for p in m.parameters()) and not m.is_strict}


def model_group(model: nn.Module) -> Group | None:
    """The group of the first layer of ours that has more than the identity; None for a model without any."""
    groups = (getattr(module, "group", None) for module in model.modules())
    return next((g for g in groups if isinstance(g, Group) and g.is_lattice and len(g.elements) > 1), None)


def held_against(model: nn.Module, group: Group | str | None) -> Group:
    """The group to hold a model against; `ModelError` for elements that its weights are not made for."""
    if not isinstance(model, nn.Module):
        raise ModelError(f"the model is a {type(model).__name__}, expected a torch.nn.Module; give the network itself")
    whole = lattice_part(model) or D4
    wanted = whole if group is None else lattice_group(group)
    if not wanted <= whole:
        raise ModelError(
            f"{type(model).__name__} is built on {whole}, which does not contain {wanted}; ask for {whole}"
        )
    return wanted


def lattice_part(model: nn.Module) -> Group | None:
    """What the group that ties the model's weights has in common with d4; None for a model without any."""
    own = model_group(model) or getattr(model, "group", None)
    if not isinstance(own, Group):
        return None
    return next((part for part in map(Group.parse, ("d4", "c4", "d2", "c2", "d1")) if part <= own), None)


def _is_exact(tracer: Tracer, size: tuple[int, int], group: Group) -> bool:
    try:
        layers = tracer.trace(size)
    except ModelError:
        return False
    return all(len(layer.survivors(group)) == len(group.elements) for layer in layers)


def _nearest(tracer: Tracer, size: tuple[int, int], group: Group) -> tuple[tuple[int, int], ...]:
    """Each axis has its own condition, so a rectangle grows or shrinks along the nearest square sizes of its sides."""
    found = []
    for sign in (-1, 1):
        sides = [_next_exact(tracer, side, sign, group) for side in sorted(set(size))]
        if all(sides):
            by_side = dict(zip(sorted(set(size)), sides, strict=True))
            candidate = (by_side[size[0]] or 0, by_side[size[1]] or 0)
            if _is_exact(tracer, candidate, group):
                found.append(candidate)
    return tuple(found)


def _next_exact(tracer: Tracer, side: int, sign: int, group: Group) -> int | None:
    sizes = (side + sign * step for step in range(REACH + 1) if side + sign * step > 0)
    return next((n for n in sizes if _is_exact(tracer, (n, n), group)), None)


def _resizings(size: tuple[int, int], nearest: tuple[tuple[int, int], ...]) -> list[Mend]:
    """Padding or cropping by an odd number would move the centre by half a pixel; resizing does not."""
    mends = []
    for target in nearest:
        dh, dw = target[0] - size[0], target[1] - size[1]
        if dh % 2 == 0 and dw % 2 == 0:
            kind, word = ("pad", "pad") if dh + dw > 0 else ("crop", "crop")
            h, w = dh // 2, dw // 2
            code = f"torch.nn.functional.pad(x, ({w}, {w}, {h}, {h}))"
            sides = (
                f"by {abs(h)} on every side" if h == w else f"by {abs(h)} above and below and {abs(w)} left and right"
            )
            mends.append(Mend(kind, f"{word} the input to {_by(target)}, {sides}: {code}", target))
        code = f"torch.nn.functional.interpolate(x, size={target}, mode='bilinear', antialias=True)"
        mends.append(Mend("resize", f"resize the input to {_by(target)}: {code}", target))
    return mends


def _repairs(layers: tuple[Subsampling, ...], group: Group) -> list[Mend]:
    mends = []
    for layer in layers:
        if len(layer.survivors(group)) == len(group.elements):
            continue
        r = layer.residue[0]
        plain = layer.kind in ("conv", "max pool", "avg pool") and not layer.note and layer.isotropic
        if plain and layer.residue == (r, r) and r % layer.dilation[0] == 0 and r:
            # (i + 2p - (k + r)) is a multiple of s, and the output keeps its size, so that later layers see no change
            kernel = int((layer.kernel[0] - 1 + r) // layer.dilation[0] + 1)
            text = f"give {_where(layer)} a {kernel}x{kernel} window and leave the rest: the output keeps its size"
            mends.append(Mend("kernel", text, layer=layer.name, kernel=kernel))
        elif layer.note or not layer.isotropic:
            mends.append(Mend("replace", f"{_where(layer)}: {_advice(layer)}", layer=layer.name))
    return list(dict.fromkeys(mends))  # a module may run several times


def _advice(layer: Subsampling) -> str:
    if "nearest" in layer.kind:
        return "interpolate with mode='bilinear' and antialias=True, which has no preferred side"
    if "output_padding" in layer.note:
        return "use output_padding=0 and an input of another size, or upsample bilinearly"
    if "asymmetric" in layer.note:
        return "pad or crop the same number of pixels on every side"
    if not layer.isotropic:
        return "use the same window, stride and padding on both axes"
    return layer.note


def _shape(size: int | tuple[int, int]) -> tuple[int, int]:
    shape = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(shape) != 2 or any(not isinstance(side, int) or side < 1 for side in shape):
        raise ShapeError(f"size is {size!r}, expected pixels such as 32, or (height, width)")
    return shape[0], shape[1]


def _where(layer: Subsampling) -> str:
    return f"{layer.name or 'the forward'} ({layer.window})"


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _number(value: float) -> str:
    return f"{value:g}"
