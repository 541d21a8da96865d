"""Where the pixels of a tensor lie in the input, as the tracer carries it from operation to operation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from zoo.exactness.arithmetic import Subsampling
from zoo.exactness.effects import Border, Pair, Sides, Step

KEPT_FIELDS = ("kind", "size", "kernel", "stride", "padding", "dilation")
"""What a `Subsampling` takes over from its `Step`."""


@dataclass(frozen=True)
class SamplingGrid:
    """Where the pixels of a tensor lie in the input; pairs are (height, width)."""

    axes: Pair | None = (-2, -1)
    """The spatial axes, from the end; None where they are not known."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Input pixels per pixel."""
    phi: tuple[float, float] = (0.0, 0.0)
    """Misalignment so far, in input pixels."""
    sides: Sides = ((0, 0), (0, 0))
    """Pixels padded at the (start, end) of each axis that no window has read yet; cropping counts negative."""
    asymmetric: tuple[Border, ...] = ()
    """The paddings and croppings behind it that were not alike on all sides, in order."""
    half: Pair | None = None
    """Number and first pixel of the last subsampling, if it took one axis only and the other may follow: a slice."""

    @property
    def offset(self) -> Pair:
        """Twice the way that the centre has moved by padding and cropping, in pixels."""
        (h0, h1), (w0, w1) = self.sides
        return h1 - h0, w1 - w0

    @property
    def is_square(self) -> bool:
        """Whether height and width were padded or cropped alike."""
        return self.sides[0] == self.sides[1]

    @property
    def is_centred(self) -> bool:
        """Whether as much was padded, or cropped, on every side."""
        return not any(self.offset) and self.is_square

    @property
    def note(self) -> str:
        """What moved the centre, for a window that does not undo it."""
        if not any(self.offset):
            return ""
        names = [f"{border.kind} in {border.name or 'the forward'}" for border in self.asymmetric]
        return f"asymmetric {' and '.join(dict.fromkeys(names))} before it"

    def bordered(self, border: Border) -> "SamplingGrid":
        """The grid after padding or cropping, which the next window may undo."""
        before = self.asymmetric
        here = border
        if before and (before[-1].name, before[-1].kind) == (border.name, border.kind):  # x[..., 1:, 1:] are two steps
            here = replace(before[-1], sides=_sum(before[-1].sides, border.sides))
            before = before[:-1]
        sides = _sum(self.sides, border.sides)
        return replace(self, sides=sides, asymmetric=before if here.is_symmetric else (*before, here))

    def phi_after(self, residue: tuple[float, float]) -> tuple[float, float]:
        """The misalignment after a step that leaves `residue` over."""
        return pair(p + r * s for p, r, s in zip(self.phi, residue, self.scale, strict=True))

    def subsampling(
        self, name: str, step: Step, residue: tuple[float, float], isotropic: bool, note: str
    ) -> Subsampling:
        """The record of a step on this grid."""
        kept: dict[str, Any] = {field: getattr(step, field) for field in KEPT_FIELDS}
        kept |= {"residue": residue, "scale": self.scale, "phi": self.phi_after(residue)}
        return Subsampling(name, isotropic=isotropic, note=note, **kept)

    def as_subsampling(self) -> Subsampling:
        """The last asymmetric padding or cropping, as what misaligns the grid."""
        border = self.asymmetric[-1]
        r = pair(abs(o) for o in self.offset)
        return self.subsampling(border.name, Step(border.kind, border.size), r, self.is_square, border.note)

    def misaligned(self) -> "SamplingGrid":
        """The grid once no window can undo the border: its offset counts as misalignment."""
        return replace(self, phi=self.as_subsampling().phi, sides=((0, 0), (0, 0)), asymmetric=())

    def kept(self, source: Tensor, out: Any) -> "SamplingGrid":
        """The grid of a result that has the same pixels; its axes are not known if their sizes have changed."""
        if self.axes is None or not isinstance(out, Tensor):
            return self
        same = all(-a <= out.ndim and out.shape[a] == source.shape[a] for a in self.axes)
        return self if same else replace(self, axes=None)


def merge(grids: Sequence[SamplingGrid]) -> SamplingGrid:
    """The grid of a result of several inputs: they share one grid, or the worse misalignment counts."""
    worst = max(grids, key=lambda g: (sum(g.phi), g.axes is not None, sum(map(abs, g.offset)), sum(g.scale)))
    return replace(worst, scale=pair(max(g.scale[a] for g in grids) for a in (0, 1)))


def pair(values: Iterable[float]) -> tuple[float, float]:
    """Two numbers, of height and width."""
    a, b = values
    return a, b


def _sum(one: Sides, other: Sides) -> Sides:
    (a, b), (c, d) = one
    (e, f), (g, h) = other
    return (a + e, b + f), (c + g, d + h)
