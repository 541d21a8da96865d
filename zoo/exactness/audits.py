"""Whether a model is exactly equivariant at an input size: proven, before any training.

`audit` runs a model once on a blank image and follows, for every tensor, how its entries move with the image. An
element of the group is exact if that is known all the way to the output; it is broken if an operation breaks it, such
as a window that is out of step with the image; and it is unknown if an operation is not one of those whose effect is
known. Beside that an audit reports, per layer that changes the sampling grid, what is left over (r), how far the grid
is out of centre (phi, in input pixels), which elements survive, and what mends it.

Of a model whose weights no group ties it is about the grids alone, as if every filter were symmetric. Relaxed layers of
ours that have left their group make a model approximate. `zoo.feature_error` measures the same things.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from symdata.display import Result, Table
from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.exactness import audit_text
from zoo.exactness.arithmetic import EXACT_ERROR, Subsampling
from zoo.exactness.judge import Judge, misalignment
from zoo.exactness.mends import Mend, mends
from zoo.exactness.model_groups import checked_group, has_typed_layers, relaxed_layers
from zoo.exactness.sites import Loss
from zoo.exactness.tracer import known_size

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
    """The nearest exact sizes below and above, as far as there are some within `reach` pixels."""
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
    scope: str = "grids"
    """`function`: the filters are tied, and this is about what the model computes. `grids`: it is about the sampling
    grids alone, as if every filter were symmetric."""
    losses: Mapping[Element, Loss | None] = field(default_factory=dict)
    """For every element of the group but the identity why it is not proven; None where it is."""
    weighs_orientations: bool = False
    """Whether logits are made of orientations by weights of their own: exact feature maps, and no invariant logits."""
    reach: int = REACH
    """How many pixels away from the input size an exact one was looked for."""
    measured: "FeatureError | None" = None
    """The error of its feature maps, if it was measured too; see `zoo.measure.checked_audit`."""

    @property
    def survivors(self) -> tuple[Element, ...]:
        """The elements of the group under which the whole model is proven to be exact."""
        return tuple(e for e in self.group.elements if self.losses.get(e) is None)

    @property
    def undecided(self) -> tuple[Element, ...]:
        """The elements of which nothing is known."""
        return tuple(e for e, loss in self.losses.items() if loss is not None and not loss.broken)

    @property
    def first_broken(self) -> Subsampling | None:
        """The first layer whose grid an element breaks that is lost; None if something else breaks it."""
        broken = [e for e, loss in self.losses.items() if loss is not None and loss.broken]
        return next((layer for layer in self.layers if any(e not in layer.survivors(self.group) for e in broken)), None)

    @property
    def first_loss(self) -> Loss | None:
        """What loses an element first, and breaks it where some element is broken; None if all are proven."""
        lost = [loss for loss in self.losses.values() if loss is not None]
        broken = [loss for loss in lost if loss.broken]
        return min(broken or lost, key=lambda loss: loss.order, default=None)

    @property
    def outcome(self) -> str:
        """`exact` (proven), `approximate` (some element is broken, or a layer relaxed), or `unknown`."""
        lost = [loss for loss in self.losses.values() if loss is not None]
        if any(loss.broken for loss in lost):
            return "approximate"
        return "unknown" if lost else "approximate" if self.relaxed else "exact"

    @property
    def exact(self) -> bool:
        """Whether every element of the group is proven, and no layer has left it."""
        return self.outcome == "exact"

    @property
    def agrees(self) -> bool | None:
        """Whether errors are at rounding where elements survive, and above it elsewhere; None if not measured.

        Elements of which nothing is known cannot disagree.
        """
        if self.measured is None:
            return None
        errors = self.errors
        broken = [e for e in self.group.elements if e not in self.survivors and e not in self.undecided]
        return all(errors[e] < EXACT_ERROR for e in self.survivors) and all(errors[e] > EXACT_ERROR for e in broken)

    @property
    def errors(self) -> dict[Element, float]:
        """The measured error of each element: of the output where it is proven or unknown and an output was measured,
        else the largest of all feature maps. Empty if nothing was measured."""
        if self.measured is None:
            return {}
        last = dict(zip(self.group.elements, self.measured.errors.get("output", ()), strict=False))
        return {
            e: last[e] if e in last and (e in self.survivors or e in self.undecided) else worst
            for e, worst in zip(self.group.elements, self.measured.by_element.values(), strict=True)
        }

    @property
    def settled(self) -> str:
        """The outcome, in which a measurement has settled what was unknown: `exact`, `approximate` or `unknown`."""
        if self.outcome != "unknown" or self.measured is None:
            return self.outcome
        errors = [self.errors[e] for e in self.undecided]
        if any(error > EXACT_ERROR for error in errors):
            return "approximate"
        return "exact" if all(error < EXACT_ERROR for error in errors) and not self.relaxed else "unknown"

    @property
    def phi(self) -> tuple[float, float]:
        """Misalignment of the deepest grid, in input pixels; (0, 0) is exact."""
        return (0.0, 0.0) if self.exact else misalignment(self.layers)

    @property
    def verdict(self) -> str:
        """One sentence: what is exact, the function or its grids alone; or where it breaks and what is left."""
        return audit_text.verdict(self)

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
            "scope": self.scope,
            "outcome": self.outcome,
            "exact": self.exact,
            "verdict": self.verdict,
            "phi": list(self.phi),
            "survivors": [str(e) for e in self.survivors],
            "undecided": [str(e) for e in self.undecided],
            "first_broken": None if self.first_broken is None else self.layers.index(self.first_broken),
            "layers": [layer.to_dict() for layer in self.layers],
            "nearest": [list(size) for size in self.nearest],
            "mends": [asdict(mend) for mend in self.mends],
        }
        if self.relaxed:
            fields |= {"relaxed": list(self.relaxed), "degree": self.degree}
        if self.measured is not None:
            more = {"by_element": self.measured.by_element, "agrees": self.agrees, "settled": self.settled}
            fields["measured"] = self.measured.to_dict() | more
        return fields


def audit(
    model: nn.Module,
    size: int | tuple[int, int] | None = None,
    group: Group | str | None = None,
    in_chans: int | None = None,
    *,
    name: str = "",
    reach: int = REACH,
) -> Audit:
    """Trace `model` at `size` and predict under which elements it is exactly equivariant.

    Args:
        model: any module that takes an image batch (B, C, H, W); it is copied, never changed.
        size: pixels, or (height, width); by default the one that the model says.
        group: subgroup of d4 to analyse; by default what it has in common with the model's own group, and d4 for a
            model without any.
        in_chans: C; by default read from the first convolution.
        name: of the model, for the text.
        reach: how many pixels away from the input size an exact one is looked for, in one run each; 0 looks for none.

    Raises:
        ModelError: if the model cannot run at this size, cannot be copied, or is built on a group without this one.
        SymmetryError: for a group that moves pixels off their lattice.

    Example:
        >>> import zoo
        >>> print(audit(zoo.create("p4cnn_28", width=2), 27).verdict)
        approximate: at 27x27 trunk.pool2 (max pool 2x2, stride 2): its input is 27x27, which leaves r = 1 pixel ...
    """
    group, shape = checked_group(model, group), _shape(known_size(model) if size is None else size)
    judge = Judge(model, group, in_chans)
    trace, scope = judge.scoped(shape)
    lost = [loss for loss in trace.losses.values() if loss is not None]
    nearest = _nearest(judge, shape, reach) if any(loss.broken for loss in lost) else ()
    loose = relaxed_layers(model)
    return Audit(
        type(model).__name__,
        shape,
        group,
        trace.layers,
        nearest,
        mends(shape, trace.layers, group, nearest) if lost else (),
        relaxed=tuple(loose),
        degree=min((module.degree for module in loose.values()), default=1.0),
        tied=judge.tied,
        typed=has_typed_layers(model),
        name=name,
        scope=scope,
        losses=trace.losses,
        weighs_orientations=trace.weighs_orientations,
        reach=reach,
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
    judge = Judge(model, checked_group(model, group), in_chans)
    return tuple(n for n in sizes if judge.is_exact((n, n)))


def _nearest(judge: Judge, size: tuple[int, int], reach: int) -> tuple[tuple[int, int], ...]:
    """Each axis has its own condition, so a rectangle grows or shrinks along the nearest square sizes of its sides."""
    found = []
    for sign in (-1, 1):
        sides = {side: _next_exact(judge, side, sign, reach) for side in set(size)}
        h, w = (sides[side] for side in size)
        if h and w and judge.is_exact((h, w)):
            found.append((h, w))
    return tuple(found)


def _next_exact(judge: Judge, side: int, sign: int, reach: int) -> int | None:
    sizes = (side + sign * step for step in range(reach + 1) if side + sign * step > 0)
    return next((n for n in sizes if judge.is_exact((n, n))), None)


def _shape(size: int | tuple[int, int]) -> tuple[int, int]:
    shape = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(shape) != 2 or any(not isinstance(side, int) or side < 1 for side in shape):
        raise ShapeError(f"size is {size!r}, expected pixels such as 32, or (height, width)")
    return shape[0], shape[1]
