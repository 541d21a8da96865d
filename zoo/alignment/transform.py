"""The weights of a network moved by an element of d4: g theta, whose function is f_{g theta}(x) = f_theta(g^-1 x).

    (g W)(p) = W(g^-1 p)    for every filter W of every convolution; all else stays.

So f_{g theta}(g x) = f_theta(x) for invariant outputs, wherever strides, pools and borders are symmetric: a layer that
leaves pixels over at one side samples the moved image at other places. The sampling grids say which layer that is, and
at which size it does not happen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.errors import SymmetryError
from symdata.groups import Element
from zoo.alignment.plain_copy import plain_copy
from zoo.errors import ModelError
from zoo.exactness.arithmetic import D4
from zoo.exactness.mends import shown, where
from zoo.exactness.trace import outputs_of
from zoo.exactness.tracer import FAILURES, Tracer, duplicate, input_channels, known_size
from zoo.layers.regular import move

TOLERANCE = 1e-5
"""Of |f_{g theta}(g x) - f_theta(x)|, relative to the largest output; in float64 rounding is far below."""
REACH = 32
"""How many pixels away from the input size an exact one is looked for."""
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class TransformCheck(Result):
    """Whether moving the weights of a network moves its function.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> print(transform_check(net, "r90", 224))
        under r90 f_{g theta}(g x) differs from f_theta(x) by ... at 224x224: 0 (conv 3x3, stride 2, ...; take ...
        >>> transform_check(net, "r90", 225).exact
        True
    """

    element: str
    size: tuple[int, int]
    """(height, width) of the images, in pixels."""
    error: float
    """The largest |f_{g theta}(g x) - f_theta(x)|, relative to the largest |f_theta(x)|, on noise in float64."""
    layer: str = ""
    """The first layer whose sampling grid the element does not keep; empty if there is none."""
    nearest: tuple[int, ...] = ()
    """The nearest sides, below and above, at which the element keeps all grids."""

    @property
    def exact(self) -> bool:
        """Whether the two agree, to rounding."""
        return self.error <= TOLERANCE

    def parts(self) -> Iterable[str | Table]:
        """One sentence."""
        if self.exact:
            yield f"under {self.element} f_{{g theta}}(g x) = f_theta(x) to {self.error:.1e} at {shown(self.size)}"
            return
        head = (
            f"under {self.element} f_{{g theta}}(g x) differs from f_theta(x) by {self.error:.2g} at {shown(self.size)}"
        )
        if self.layer:
            sides = " or ".join(map(str, self.nearest))
            mend = f"take images of {sides} pixels" if sides else "no size near this one mends it"
            yield f"{head}: {self.layer} leaves pixels over at one side; {mend}"
        else:
            yield (
                f"{head}: every sampling grid is symmetric, so something else depends on positions, such as a linear "
                "layer after a flatten, or position embeddings; end in a global pool instead"
            )


def transform_weights(
    model: nn.Module, element: Element | str, size: int | tuple[int, int] | None = None, *, check: bool = True
) -> nn.Module:
    """A copy of a network in eval mode whose filters are moved by an element of d4: g theta.

    Group convolutions become ordinary ones first, see `plain_copy`.

    Args:
        model: any module of convolutions; it is copied, never changed.
        element: of d4: an `Element`, or its text, such as `r90` or `m`.
        size: pixels, or (height, width), of the images of the check; by default the one that the model says.
        check: whether f_{g theta}(g x) = f_theta(x) is verified on noise.

    Raises:
        ModelError: if the check fails, with the subsampling that breaks it and the nearest sizes that mend it; and for
            filters that the element cannot move onto themselves, such as 1x7 by a quarter turn.
        SymmetryError: for an element that does not permute pixels.

    Example:
        >>> import zoo
        >>> net, x = zoo.create("z2cnn_28", width=2, seed=0).eval(), torch.rand(1, 3, 28, 28)
        >>> moved = transform_weights(net, "r90")
        >>> torch.allclose(moved(torch.rot90(x, 1, (2, 3))), net(x), atol=1e-5)
        True
    """
    g = lattice_element(element)
    if check and not (found := transform_check(model, g, size)).exact:
        raise ModelError(f"{type(model).__name__} does not move with its weights: {found}, or say check=False")
    return moved_copy(plain_copy(model), g)


@torch.no_grad()
def transform_check(
    model: nn.Module, element: Element | str, size: int | tuple[int, int] | None = None, in_chans: int | None = None
) -> TransformCheck:
    """Compare f_{g theta}(g x) with f_theta(x) on noise, in float64.

    Args:
        model: any module of convolutions, with a tensor as output: logits (B, K), or maps (B, C, H, W).
        element: of d4.
        size: pixels, or (height, width); by default the one that the model says.
        in_chans: C; by default read from the first convolution.

    Raises:
        ModelError, SymmetryError: as `transform_weights`, but for a failing check.

    Example:
        >>> import zoo
        >>> transform_check(zoo.load("p4cnn_28.mnist-none"), "r90").exact
        True
    """
    g, sides = lattice_element(element), known_size(model) if size is None else size
    shape = (sides, sides) if isinstance(sides, int) else (int(sides[0]), int(sides[1]))
    channels = input_channels(model) if in_chans is None else in_chans
    plain = plain_copy(model).double().cpu()
    x = torch.rand(2, channels, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = _output(plain, x)
    after = _output(moved_copy(plain, g), move(x, g))
    expected = move(before, g) if before.ndim == 4 and max(before.shape[-2:]) > 1 else before
    if after.shape != expected.shape:
        raise ModelError(f"the output is {tuple(expected.shape)}, and that of moved images {tuple(after.shape)}")
    error = float((after - expected).abs().max() / expected.abs().max().clamp_min(1e-300))
    if error <= TOLERANCE:
        return TransformCheck(str(g), shape, error)
    tracer = Tracer(plain, channels)
    layers = tracer.trace(shape, [g]).layers
    layer = next((layer for layer in layers if g not in layer.survivors(D4)), None)
    if layer is None:
        return TransformCheck(str(g), shape, error)
    return TransformCheck(str(g), shape, error, where(layer), _nearest(tracer, max(shape), g))


def lattice_element(element: Element | str) -> Element:
    """The element itself, or the one of that text; `SymmetryError` unless it permutes pixels."""
    found = Element.parse(element) if isinstance(element, str) else element
    if found not in D4:
        raise SymmetryError(
            f"element {str(found)!r} moves pixels off their lattice, and filters with them; expected one of "
            f"{', '.join(map(str, D4.elements))}"
        )
    return found


@torch.no_grad()
def moved_copy(plain: nn.Module, element: Element) -> nn.Module:
    """A copy of an ordinary network with moved filters, without a check."""
    copy, done = duplicate(plain), set[int]()
    for name, module in copy.named_modules():
        if not isinstance(module, CONVOLUTIONS) or id(module.weight) in done:
            continue
        settings = [module.kernel_size, module.stride, module.padding, module.dilation]
        if D4.index(element) % 2 and any(isinstance(pair, tuple) and len(set(pair)) > 1 for pair in settings):
            k, s = "x".join(map(str, module.kernel_size)), "x".join(map(str, module.stride))
            raise ModelError(
                f"{name!r} has {k} filters and strides {s}, and {element} exchanges height and width; take elements "
                "that do not: those of d2"
            )
        done.add(id(module.weight))
        module.weight.copy_(move(module.weight, element))
    if not done:
        raise ModelError(
            f"{type(plain).__name__} has no convolution (torch.nn.Conv2d), so there are no filters to move"
        )
    return copy


def _output(model: nn.Module, x: Tensor) -> Tensor:
    try:
        out: Any = next(outputs_of(model(x)), None)
    except FAILURES as error:
        raise ModelError(f"{type(model).__name__} cannot run on images {tuple(x.shape)} in float64: {error}") from error
    if not isinstance(out, Tensor):
        raise ModelError(f"{type(model).__name__} returns no tensor; wrap it in a module that does")
    return out


def _nearest(tracer: Tracer, side: int, element: Element) -> tuple[int, ...]:
    """The nearest square sizes, below and above, at which no grid breaks the element."""
    found = []
    for sign in (-1, 1):
        for step in range(1, REACH + 1):
            n = side + sign * step
            try:
                layers = tracer.trace((n, n), [element]).layers if n > 0 else ()
            except ModelError:
                continue
            if layers and all(element in layer.survivors(D4) for layer in layers):
                found.append(n)
                break
    return tuple(found)
