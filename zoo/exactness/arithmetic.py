"""The arithmetic of subsampling: which elements of d4 map a strided grid of windows to itself.

On one axis of i pixels, with p pixels of padding on either side and a window of k pixels (dilated), a layer of stride s
places its windows at -p + s t, t = 0 .. o - 1, o = floor((i + 2p - k) / s) + 1. Reversing the axis maps window t to the
one that starts at i - k + p - s t. That is again one of the windows, number o - 1 - t, if and only if

    r = (i + 2p - k) mod s = 0,

r being the pixels left over at the far end. (A single dilated window is the one exception: its taps inside the image
may happen to be symmetric.) Otherwise the centre of the grid lies r/2 pixels before that of the image, and the turned
image is sampled at another polyphase component.

Convention:
    Pairs are (height, width). An element of d4 needs r = 0 on every axis that it reverses: the turn by +90 degrees and
    the left-right mirror on the width, the turn by -90 degrees and the up-down mirror on the height, the half turn and
    the anti-transpose on both, the transpose on none. So r != 0 leaves {e, transpose} of d4 on a square image.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from symdata.groups import Element, Group

REVERSES = ((0, 0), (0, 1), (1, 1), (1, 0), (0, 1), (0, 0), (1, 0), (1, 1))
"""For every element of d4, by index: whether it needs r = 0 on (height, width)."""

D4 = Group(4, flips=True)

EXACT_ERROR = 1e-9
"""An error of feature maps below this is rounding in float64."""
BROKEN_ERROR = 1e-3
"""One above this is a broken grid; there is nothing between the two (measured on every network of the zoo)."""


def residue(size: int, kernel: int, stride: int, padding: int = 0, dilation: int = 1) -> int:
    """r: the pixels that strided windows leave over at the far end of an axis; exact if and only if it is 0."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) % stride


def survives(element: Element, residues: Sequence[float], isotropic: bool = True) -> bool:
    """Whether an element of d4 is still a symmetry of a grid with these residues.

    Args:
        element: of d4.
        residues: (height, width).
        isotropic: whether windows and strides are square; otherwise no element that swaps the axes survives.
    """
    index = D4.index(element)
    if index % 2 and not isotropic:
        return False
    return not any(reversed_ and r for reversed_, r in zip(REVERSES[index], residues, strict=True))


def survivors(group: Group, residues: Sequence[float], isotropic: bool = True) -> tuple[Element, ...]:
    """The elements of a lattice group that survive, in index order."""
    return tuple(e for e in group.elements if survives(e, residues, isotropic))


@dataclass(frozen=True)
class Subsampling:
    """One layer that changes the sampling grid, as it ran when a model was traced at one input size.

    Example:
        >>> from torch import nn
        >>> from zoo import audit
        >>> (layer,) = audit(nn.Conv2d(3, 8, 3, stride=2, padding=1), 32).layers
        >>> layer.window, layer.residue, [str(e) for e in layer.survivors()]
        ('conv 3x3, stride 2, padding 1', (1, 1), ['e', 'r90m'])
    """

    name: str
    """Path of the innermost module, as in `named_modules()`; empty for code in the model's own forward."""
    kind: str
    """`conv`, `max pool`, `avg pool`, `slice`, `padding`, `nearest resize`, ..."""
    size: tuple[int, int]
    """Pixels of the layer's own input."""
    kernel: tuple[int, int]
    """Extent of the window in pixels, dilation counted; 1 where there is none."""
    stride: tuple[int, int]
    padding: tuple[int, int]
    """Pixels on each side, the symmetric part."""
    dilation: tuple[int, int]
    residue: tuple[float, float]
    """r: twice the distance between the centres of the grid and of the layer's input, in its pixels; 0 is exact."""
    scale: tuple[float, float]
    """Input pixels per pixel of this layer's input: the product of the strides before it."""
    phi: tuple[float, float]
    """Misalignment after this layer, in input pixels: the sum of r times scale over this layer and those before."""
    isotropic: bool = True
    """Whether both axes are treated alike; otherwise no element that swaps them survives."""
    note: str = ""
    """Why it breaks, if not by the remainder of a division: asymmetric padding, nearest interpolation, ..."""
    order: int = 0
    """Number of the operation in the run, to compare with that of a `Loss`."""

    @property
    def exact(self) -> bool:
        """Whether every element of d4 survives."""
        return self.isotropic and self.residue == (0, 0)

    def survivors(self, group: Group = D4) -> tuple[Element, ...]:
        """The elements of `group` that are still symmetries."""
        return survivors(group, self.residue, self.isotropic)

    def breaks(self, group: Group) -> bool:
        """Whether some element of `group` does not survive."""
        return len(self.survivors(group)) < len(group.elements)

    @property
    def window(self) -> str:
        """`conv 3x3, stride 2, padding 1`: kernel size before dilation, square numbers once."""
        kernel = tuple((k - 1) // d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        parts = [f"{self.kind} {kernel[0]}x{kernel[1]}" if kernel != (1, 1) or self.kind == "conv" else self.kind]
        for word, pair, usual in (("stride", self.stride, (1, 1)), ("padding", self.padding, (0, 0))):
            if pair != usual:
                parts.append(f"{word} {pair[0] if pair[0] == pair[1] else pair}")
        if self.dilation != (1, 1):
            parts.append(f"dilation {self.dilation[0]}")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON, with the surviving elements of d4."""
        return asdict(self) | {"exact": self.exact, "survivors": [str(e) for e in self.survivors()]}
