"""Where the pixels of a tensor lie in the input, as the tracer carries it from operation to operation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from zoo.exactness.arithmetic import Subsampling
from zoo.exactness.operations import Pair, Step

Border = tuple[Pair, Pair]
"""Pixels at the (start, end) of height and of width."""


@dataclass(frozen=True)
class AsymmetricBorder:
    """Padding or cropping that is not the same on all four sides."""

    name: str
    """Path of the module that did it."""
    kind: str
    """`padding` or `cropping`."""
    size: Pair
    """Pixels before it."""
    border: Border
    """Pixels added; cropping counts negative."""

    @property
    def note(self) -> str:
        """How many pixels on which side."""
        sign = -1 if self.kind == "cropping" else 1
        (top, bottom), (left, right) = self.border
        return f"asymmetric: top {sign * top}, bottom {sign * bottom}, left {sign * left}, right {sign * right}"


@dataclass(frozen=True)
class SamplingGrid:
    """Where the pixels of a tensor lie in the input; pairs are (height, width)."""

    axes: tuple[int, int] | None = (-2, -1)
    """The spatial axes, from the end; None where they are not known."""
    scale: tuple[float, float] = (1.0, 1.0)
    phi: tuple[float, float] = (0.0, 0.0)
    border: Border = ((0, 0), (0, 0))
    """Pixels padded at the (start, end) of each axis, not yet seen by a window; cropping counts negative."""
    leans: tuple[AsymmetricBorder, ...] = ()
    """What made the border uneven, in order."""
    half: tuple[int, int] | None = None
    """Number and first pixel of the last subsampling, if it took one axis only and the other may follow: a slice."""

    @property
    def offset(self) -> Pair:
        """Twice the way that the centre has moved by padding and cropping, in pixels."""
        (h0, h1), (w0, w1) = self.border
        return h1 - h0, w1 - w0

    @property
    def is_even(self) -> bool:
        """Whether as much was padded, or cropped, on every side."""
        return not any(self.offset) and self.border[0] == self.border[1]

    @property
    def why(self) -> str:
        """Where the centre was moved, for a window that does not undo it."""
        if not any(self.offset):
            return ""
        names = [f"{lean.kind} in {lean.name or 'the forward'}" for lean in self.leans]
        return f"asymmetric {' and '.join(dict.fromkeys(names))} before it"

    def bordered(self, step: Step, name: str) -> "SamplingGrid":
        """After padding or cropping, which waits for the window that reads it; `name` is the module's."""
        lean = AsymmetricBorder(name, step.kind, step.size, step.border)
        leans = self.leans
        if leans and (leans[-1].name, leans[-1].kind) == (name, step.kind):  # x[..., 1:, 1:] are two steps
            lean = replace(leans[-1], border=_sum(leans[-1].border, step.border))
            leans = leans[:-1]
        sides = {pixels for axis in lean.border for pixels in axis}
        return replace(self, border=_sum(self.border, step.border), leans=(*leans, lean) if len(sides) > 1 else leans)

    def blamed(self) -> Subsampling:
        """The last uneven padding or cropping, as what puts the grid out of step."""
        lean = self.leans[-1]
        r = pair(abs(o) for o in self.offset)
        return Subsampling(
            name=lean.name,
            kind=lean.kind,
            size=lean.size,
            kernel=(1, 1),
            stride=(1, 1),
            padding=(0, 0),
            dilation=(1, 1),
            residue=r,
            scale=self.scale,
            phi=pair(p + a * b for p, a, b in zip(self.phi, r, self.scale, strict=True)),
            isotropic=self.border[0] == self.border[1],
            note=lean.note,
        )

    def settled(self) -> "SamplingGrid":
        """After that, with the misalignment counted."""
        return replace(self, phi=self.blamed().phi, border=((0, 0), (0, 0)), leans=())


def follow(name: str, source: Tensor, args: Sequence[Any], out: Any, place: SamplingGrid) -> SamplingGrid:
    """The place of what an operation makes that is no step: the same pixels, perhaps on other axes."""
    if place.axes is None or not isinstance(out, Tensor):
        return place
    if name in ("permute", "transpose"):
        order = list(range(source.ndim))
        if name == "permute":
            order = [int(a) % source.ndim for a in args[0]]
        else:
            a, b = (int(a) % source.ndim for a in args[:2])
            order[a], order[b] = order[b], order[a]
        h, w = (order.index(a % source.ndim) - source.ndim for a in place.axes)
        return replace(place, axes=(h, w))
    kept = all(-a <= out.ndim and out.shape[a] == source.shape[a] for a in place.axes)
    return place if kept else replace(place, axes=None)


def merge(places: Sequence[SamplingGrid | None]) -> SamplingGrid:
    """Branches that meet have walked the same grid; where they have not, the worse misalignment counts."""
    known = [p for p in places if p is not None]
    worst = max(known, key=lambda p: (sum(p.phi), p.axes is not None, sum(map(abs, p.offset)), sum(p.scale)))
    return replace(worst, scale=pair(max(p.scale[a] for p in known) for a in (0, 1)))


def pair(values: Iterable[float]) -> tuple[float, float]:
    """Two numbers, of height and width."""
    a, b = values
    return a, b


def _sum(one: Border, other: Border) -> Border:
    (a, b), (c, d) = one
    (e, f), (g, h) = other
    return (a + e, b + f), (c + g, d + h)
