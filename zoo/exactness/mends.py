"""What makes a model exact: another input size, or a change of each layer that breaks."""

from collections.abc import Sequence
from dataclasses import dataclass

from symdata.groups import Group
from zoo.exactness.arithmetic import Subsampling

ADVICE = {
    "nearest": "interpolate with mode='bilinear' and antialias=True, which has no preferred side",
    "output_padding": "use output_padding=0 and an input of another size, or upsample bilinearly",
    "asymmetric": "pad or crop the same number of pixels on every side",
}
"""A word in the kind or the note of a layer -> what to do."""


@dataclass(frozen=True)
class Mend:
    """One way to make a model exact, as data and as a sentence.

    Example:
        >>> from torch import nn
        >>> from zoo import audit
        >>> [(mend.kind, mend.size or mend.kernel) for mend in audit(nn.Conv2d(3, 8, 3, 2), 36).mends]
        [('resize', (35, 35)), ('resize', (37, 37)), ('kernel', 4)]
    """

    kind: str
    """`pad`, `crop`, `resize` the input; a larger `kernel` for one layer; or `replace` one operation."""
    sentence: str
    size: tuple[int, int] | None = None
    """(height, width) to give to the model, for the first three."""
    layer: str | None = None
    kernel: int | None = None


def mends(
    size: tuple[int, int], layers: Sequence[Subsampling], group: Group, nearest: Sequence[tuple[int, int]]
) -> tuple[Mend, ...]:
    """All of them, those of the input first.

    Args:
        size: (height, width) of the input.
        layers: of the trace.
        group: whose elements are to survive.
        nearest: exact sizes.
    """
    resized = [mend for target in nearest for mend in _resizings(size, target)]
    changed = [mend for layer in layers if layer.breaks(group) for mend in _changes(layer)]
    return tuple(dict.fromkeys(resized + changed))  # a module may run several times


def _resizings(size: tuple[int, int], target: tuple[int, int]) -> list[Mend]:
    """Padding or cropping by an odd number would move the centre by half a pixel; resizing does not."""
    found = []
    dh, dw = target[0] - size[0], target[1] - size[1]
    if dh % 2 == 0 and dw % 2 == 0:
        kind, (h, w) = "pad" if dh + dw > 0 else "crop", (dh // 2, dw // 2)
        code = f"torch.nn.functional.pad(x, ({w}, {w}, {h}, {h}))"
        sides = f"{abs(h)} on every side" if h == w else f"{abs(h)} above and below and {abs(w)} left and right"
        found.append(Mend(kind, f"{kind} the input to {shown(target)}, by {sides}: {code}", target))
    code = f"torch.nn.functional.interpolate(x, size={target}, mode='bilinear', antialias=True)"
    return [*found, Mend("resize", f"resize the input to {shown(target)}: {code}", target)]


def _changes(layer: Subsampling) -> list[Mend]:
    r = layer.residue[0]
    plain = layer.kind in ("conv", "max pool", "avg pool") and not layer.note and layer.isotropic
    if plain and layer.residue == (r, r) and r % layer.dilation[0] == 0 and r:
        # (i + 2p - (k + r)) is a multiple of s, and the output keeps its size, so that later layers see no change
        kernel = int((layer.kernel[0] - 1 + r) // layer.dilation[0] + 1)
        text = f"give {where(layer)} a {kernel}x{kernel} window and leave the rest: the output keeps its size"
        return [Mend("kernel", text, layer=layer.name, kernel=kernel)]
    if layer.note or not layer.isotropic:
        return [Mend("replace", f"{where(layer)}: {_advice(layer)}", layer=layer.name)]
    return []


def _advice(layer: Subsampling) -> str:
    words = f"{layer.kind}, {layer.note}"
    if (known := next((advice for word, advice in ADVICE.items() if word in words), None)) is not None:
        return known
    return layer.note if layer.isotropic else "use the same window, stride and padding on both axes"


def where(layer: Subsampling) -> str:
    """`stem (conv 3x3, stride 2)`."""
    return f"{layer.name or 'the forward'} ({layer.window})"


def shown(size: Sequence[int]) -> str:
    """`28x20`, height first."""
    return "x".join(map(str, size))
