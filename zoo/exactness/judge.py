"""Which question is asked of a model, and its answer at one input size after the other."""

from collections.abc import Iterable

from torch import nn

from symdata.groups import Element, Group
from zoo.errors import ModelError
from zoo.exactness.arithmetic import Subsampling
from zoo.exactness.model_groups import defines_fields, has_typed_layers, relaxed_layers, tied_group
from zoo.exactness.trace import RunTrace
from zoo.exactness.tracer import Tracer


class Judge:
    """Asks of a model whether its function is exact where a group ties its weights, else whether its grids are.

    Fields of finer groups are tied by construction, in representations that permute nothing; of a model that has them,
    or relaxed layers, or layers of escnn, the grids are asked.

    Args:
        model: any module that takes an image batch (B, C, H, W).
        group: the elements that are to survive.
        in_chans: C; by default read from the first convolution.
    """

    def __init__(self, model: nn.Module, group: Group, in_chans: int | None = None) -> None:
        self.group, self.tracer = group, Tracer(model, in_chans)
        self.tied = tied_group(model) is not None
        self._fields = self.tied and defines_fields(model)
        self.asks_function = self.tied and not (self._fields or relaxed_layers(model) or has_typed_layers(model))

    def trace(self, size: tuple[int, int], elements: Iterable[Element] | None = None) -> RunTrace:
        """The answer at (height, width), by default for all elements of the group."""
        return self.tracer.trace(size, elements or self.group.elements, isotropic=not self.asks_function)

    def scoped(self, size: tuple[int, int]) -> tuple[RunTrace, str]:
        """The answer at (height, width), and whether it is about the `function` or the `grids`."""
        trace = self.trace(size)
        if self.asks_function or self._fields:
            return trace, "function"
        if trace.exact(self.group):  # perhaps the filters are symmetric all the same
            strict = self.tracer.trace(size, self.group.elements, isotropic=False)
            if strict.exact(self.group):
                return strict, "function"
        return trace, "grids"

    def is_exact(self, size: tuple[int, int]) -> bool:
        """Whether every element of the group is proven at (height, width); False where the model cannot run."""
        try:
            elements = generators(self.group) if size[0] == size[1] else self.group.elements
            return not any(self.trace(size, elements).losses.values())
        except ModelError:
            return False


def generators(group: Group) -> tuple[Element, ...]:
    """Elements of a subgroup of d4 whose products are all of it; on a square all are exact if these are."""
    turn = [e for e in group.elements if not e.flip and e.angle][:1]
    return (*turn, *[e for e in group.elements if e.flip][:1]) or group.elements[:1]


def misalignment(layers: Iterable[Subsampling]) -> tuple[float, float]:
    """phi of the deepest grid of a trace, in input pixels."""
    heights, widths = zip(*[(0.0, 0.0), *(layer.phi for layer in layers)], strict=True)
    return max(heights), max(widths)
