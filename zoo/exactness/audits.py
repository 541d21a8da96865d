"""Whether a model is exactly equivariant at an input size: predicted by arithmetic, before any training.

`audit` traces any torch model and reports, per subsampling layer, what is left over (r), how far the grid is out of
centre (phi, in input pixels), which elements survive, which layer breaks first, and what mends it. It analyses grids: a
layer whose weights no group ties is not equivariant on any grid. Later layers cannot restore equivariance that an
earlier one broke, so the model is exact if and only if phi = 0 and no relaxed layer of ours has left the group.
`zoo.feature_error` measures the same thing.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from symdata.display import Result, Table
from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.errors import ModelError
from zoo.exactness import audit_text
from zoo.exactness.arithmetic import BROKEN_ERROR, EXACT_ERROR, Subsampling
from zoo.exactness.mends import Mend, mends, shown, where
from zoo.exactness.model_groups import checked_group, has_typed_layers, relaxed_layers, tied_group
from zoo.exactness.tracer import Tracer

if TYPE_CHECKING:
    from zoo.measure.equivariance import FeatureError

REACH = 64
"""How many pixels away from the input size an exact one is looked for."""


@dataclass(frozen=True)
class Audit(Result):
    """What arithmetic predicts of a model at one input size; pairs are (height, width).

    Example:
        >>> report = audit(nn.Conv2d(3, 8, 3, stride=2, padding=1), 32)
        >>> report.exact, report.phi, [str(e) for e in report.survivors], report.nearest
        (False, (1.0, 1.0), ['e', 'r90m'], ((31, 31), (33, 33)))
        >>> print(report)
        Conv2d: approximate: at 32x32 the forward (conv 3x3, stride 2, padding 1): its input is 32x32, which leaves ...
    """

    model: str
    """Name of the model's class."""
    size: tuple[int, int]
    group: Group
    layers: tuple[Subsampling, ...]
    """Every subsampling, in the order in which it runs."""
    nearest: tuple[tuple[int, int], ...]
    """The nearest exact sizes below and above, as far as there are some within `REACH` pixels."""
    mends: tuple[Mend, ...]
    relaxed: tuple[str, ...] = ()
    """The layers whose filters have left the group, on whatever grid."""
    degree: float = 1.0
    """The smallest degree of equivariance of those, see `zoo.layers.relaxed`."""
    tied: bool = True
    """Whether a group ties the weights; otherwise this is about the grids alone."""
    typed: bool = False
    """Whether layers are those of escnn, whose weights are not analysed."""
    name: str = ""
    """Of the model, for the text; empty for that of its class."""
    measured: "FeatureError | None" = None
    """The error of its feature maps, if it was measured too; see `zoo.measure.checked_audit`."""

    @property
    def survivors(self) -> tuple[Element, ...]:
        """The elements of the group under which the whole model is exact."""
        every = [layer.survivors(self.group) for layer in self.layers]
        return tuple(e for e in self.group.elements if all(e in alive for alive in every))

    @property
    def first_broken(self) -> Subsampling | None:
        """The first layer that some element of the group does not survive."""
        return next((layer for layer in self.layers if layer.breaks(self.group)), None)

    @property
    def exact(self) -> bool:
        """Whether every element of the group survives, and no layer has left it."""
        return self.first_broken is None and not self.relaxed

    @property
    def agrees(self) -> bool | None:
        """Whether errors are at rounding where elements survive, and far above elsewhere; None if not measured."""
        if self.measured is None:
            return None
        alive = set(map(str, self.survivors))
        errors = self.measured.by_element.items()
        return all(error < EXACT_ERROR if name in alive else error > BROKEN_ERROR for name, error in errors)

    @property
    def phi(self) -> tuple[float, float]:
        """Misalignment of the deepest grid, in input pixels; (0, 0) is exact."""
        return misalignment(self.layers)

    @property
    def verdict(self) -> str:
        """One sentence: exact, or where it breaks and what is left."""
        at, broken = f"at {shown(self.size)}", self.first_broken
        if broken is None and self.relaxed:
            many = f"{len(self.relaxed)} layers are" if len(self.relaxed) > 1 else "1 layer is"
            kept = f"{many} relaxed, and keep it up to degree {self.degree:.2g}"
            return f"approximate: {at} the grids are exact under {self.group}; {kept}"
        if broken is None:
            return f"exact: {at} every subsampling maps to itself under {self.group}"
        if broken.unknown:
            return f"unknown: {where(broken)}: {broken.note}"
        alive = [str(e) for e in self.survivors]
        left = f"of {self.group} only {', '.join(alive)} survive{'s' if len(alive) == 1 else ''}"
        return f"approximate: {at} {where(broken)}: {_cause(broken)}; {left}"

    def parts(self) -> Iterable[str | Table]:
        """Verdict, table of layers, survivors, and what mends it."""
        return audit_text.parts(self)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        fields = {
            "tied": self.tied,
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
        }
        if self.relaxed:
            fields |= {"relaxed": list(self.relaxed), "degree": self.degree}
        if self.measured is not None:
            more = {"by_element": self.measured.by_element, "agrees": self.agrees}
            fields["measured"] = self.measured.to_dict() | more
        return fields


def audit(
    model: nn.Module,
    size: int | tuple[int, int],
    group: Group | str | None = None,
    in_chans: int | None = None,
    *,
    name: str = "",
) -> Audit:
    """Trace `model` at `size` and predict under which elements it is exactly equivariant.

    Args:
        model: any module that takes an image batch (B, C, H, W); it is copied, never changed.
        size: pixels, or (height, width).
        group: subgroup of d4 to analyse; by default what it has in common with the model's own group, and d4 for a
            model without any.
        in_chans: C; by default read from the first convolution.
        name: of the model, for the text.

    Raises:
        ModelError: if the model cannot run at this size, cannot be copied, or is built on a group without this one.
        SymmetryError: for a group that moves pixels off their lattice.

    Example:
        >>> import zoo
        >>> print(audit(zoo.create("p4cnn_28", width=2), 27).verdict)
        approximate: at 27x27 trunk.pool2 (max pool 2x2, stride 2): its input is 27x27, which leaves r = 1 pixel ...
    """
    group = checked_group(model, group)
    tracer, shape = Tracer(model, in_chans), _shape(size)
    layers = tracer.trace(shape)
    nearest: tuple[tuple[int, int], ...] = ()
    broken = [layer for layer in layers if layer.breaks(group)]
    if broken and not any(layer.unknown for layer in layers):  # what is not known at this size is not known at any
        nearest = _nearest(tracer, shape, group)
    loose = relaxed_layers(model)
    return Audit(
        type(model).__name__,
        shape,
        group,
        layers,
        nearest,
        mends(shape, layers, group, nearest),
        relaxed=tuple(loose),
        degree=min((module.degree for module in loose.values()), default=1.0),
        tied=tied_group(model) is not None,
        typed=has_typed_layers(model),
        name=name,
    )


def exact_sizes(
    model: nn.Module, sizes: Iterable[int], group: Group | str | None = None, in_chans: int | None = None
) -> tuple[int, ...]:
    """Those of `sizes` (square, pixels) at which the model is exact; sizes it cannot run at are left out.

    Example:
        >>> import zoo
        >>> exact_sizes(zoo.create("p4resnet44_33", width=2), range(28, 40))
        (29, 33, 37)
    """
    group = checked_group(model, group)
    tracer = Tracer(model, in_chans)
    return tuple(n for n in sizes if _is_exact(tracer, (n, n), group))


def misalignment(layers: Iterable[Subsampling]) -> tuple[float, float]:
    """phi of the deepest grid of a trace, in input pixels."""
    heights, widths = zip(*[(0.0, 0.0), *(layer.phi for layer in layers)], strict=True)
    return max(heights), max(widths)


def _is_exact(tracer: Tracer, size: tuple[int, int], group: Group) -> bool:
    try:
        return not any(layer.breaks(group) for layer in tracer.trace(size))
    except ModelError:
        return False


def _nearest(tracer: Tracer, size: tuple[int, int], group: Group) -> tuple[tuple[int, int], ...]:
    """Each axis has its own condition, so a rectangle grows or shrinks along the nearest square sizes of its sides."""
    found = []
    for sign in (-1, 1):
        sides = {side: _next_exact(tracer, side, sign, group) for side in set(size)}
        h, w = (sides[side] for side in size)
        if h and w and _is_exact(tracer, (h, w), group):
            found.append((h, w))
    return tuple(found)


def _next_exact(tracer: Tracer, side: int, sign: int, group: Group) -> int | None:
    sizes = (side + sign * step for step in range(REACH + 1) if side + sign * step > 0)
    return next((n for n in sizes if _is_exact(tracer, (n, n), group)), None)


def _cause(layer: Subsampling) -> str:
    """Why a layer breaks."""
    size, r = shown(layer.size), max(layer.residue)
    if not r:
        return f"its input is {size}, and it treats height and width differently"
    if layer.note:
        return f"its input is {size}, and its grid is r = {r:g} out of centre ({layer.note})"
    return f"its input is {size}, which leaves r = {r:g} pixel{'s' if r > 1 else ''} over"


def _shape(size: int | tuple[int, int]) -> tuple[int, int]:
    shape = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(shape) != 2 or any(not isinstance(side, int) or side < 1 for side in shape):
        raise ShapeError(f"size is {size!r}, expected pixels such as 32, or (height, width)")
    return shape[0], shape[1]
