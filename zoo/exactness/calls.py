"""One call of a torch operation, as the rules read it, and what they answer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from symdata.groups import Element
from zoo.exactness.sites import OUT_OF_STEP, Loss, SiteMap, Sites


@dataclass(eq=False)
class Call:
    """One call of an operation."""

    order: int
    """Number of the call in the run."""
    path: str
    """Of the running module."""
    module: nn.Module | None
    """The running module."""
    operation: str
    """Name at the dispatcher, without overload."""
    function: Any
    args: Sequence[Any]
    kwargs: dict[str, Any]
    outs: list[Tensor]
    """Its results, flat."""
    elements: tuple[Element, ...]
    isotropic: bool
    """Whether filters count as symmetric, because the question is about the grids alone."""
    states: dict[int, Sites] = field(default_factory=dict)
    """What is known of its tensors, by `id`; constants are not in it."""
    answers: dict[Any, Any] = field(default_factory=dict)
    """What was found out about weights in earlier runs of the same model."""
    births: Sequence[Any] = ()
    """For each tensor that depends on the image the call that made it, and which of its results it was."""
    other: "Call | None" = None
    """The same call in the run on x, where that has another shape."""

    def __post_init__(self) -> None:
        self._versions = [tensor._version for tensor in self.constants]

    @property
    def twin(self) -> "Call":
        """The same call in the run on x; the call itself where both runs have one shape."""
        return self if self.other is None else self.other

    @property
    def is_square(self) -> bool:
        """Whether one run serves for both images."""
        return self.other is None

    @property
    def tracked(self) -> list[Tensor]:
        """The tensors that depend on the image, in order."""
        return [tensor for tensor in tensors([self.args, self.kwargs]) if id(tensor) in self.states]

    @property
    def constants(self) -> list[Tensor]:
        """The tensors that do not depend on the image, in order."""
        return [tensor for tensor in tensors([self.args, self.kwargs]) if id(tensor) not in self.states]

    def state(self, tensor: Any) -> Sites | None:
        """What is known of a tensor; None for a constant."""
        return self.states.get(id(tensor))

    def loss(self, note: str, broken: bool, head: bool = False) -> Loss:
        """That this call loses an element."""
        return Loss(self.order, self.path, self.operation, note, broken, head)

    def merged(self) -> Sites:
        """No parts, and the losses of all inputs: the first one of each element."""
        states = [self.states[id(tensor)] for tensor in self.tracked]
        ways = {state.flips for state in states if any(state.losses)}
        losses: list[Loss | None] = []
        for found in zip(*(state.losses for state in states), strict=True):
            real = [loss for loss in found if loss is not None]
            first = min(real, key=lambda loss: loss.order, default=None)
            apart = len({loss.order for loss in real}) > 1 and any(loss.note != OUT_OF_STEP for loss in real)
            if first is not None and (len(ways) > 1 or apart or not all(loss.broken for loss in real)):
                first = replace(first, broken=False)
            losses.append(first)
        return Sites((), tuple(losses), max(state.flips for state in states))

    def answer(self, parts: Iterable[SiteMap], lost: dict[int, Loss] | None = None, base: object = None) -> Sites:
        """The state of a result: these parts, the losses of the inputs, and new ones."""
        before = self.merged()
        losses = tuple(old or (lost or {}).get(k) for k, old in enumerate(before.losses))
        gone = [k for k, loss in enumerate(losses) if loss is not None]
        kept = tuple(part.without(gone) for part in parts) if gone else tuple(parts)
        more: dict[str, Any] = {} if base is None else {"base": base}
        return Sites(tuple(part for part in kept if part.is_moving), losses, before.flips, **more)

    def lose(self, note: str, broken: bool = False, elements: Iterable[int] | None = None) -> Sites:
        """The state of a result of which nothing, or for some elements nothing, is known."""
        which = range(len(self.elements)) if elements is None else elements
        return self.answer((), {k: self.loss(note, broken) for k in which})

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """An argument, by place or by name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    def run(self, tensor: Tensor) -> Any:
        """What the operation makes of another first argument."""
        return self.function(tensor, *self.args[1:], **self.kwargs)

    def is_stale(self) -> bool:
        """Whether a constant of it has been written in place since: then it cannot be asked any more."""
        return self._versions != [tensor._version for tensor in self.constants]

    def settings(self) -> Any:
        """The arguments without the tensors."""
        return _without_tensors([list(self.args), self.kwargs])


Answer = Sites | Sequence[Sites]
"""The state of every result, or of each."""
Rule = Callable[[Call], Answer]


def _without_tensors(value: Any) -> Any:
    if isinstance(value, Tensor):
        return None
    if isinstance(value, dict):
        return {name: _without_tensors(inner) for name, inner in value.items()}
    return [_without_tensors(inner) for inner in value] if isinstance(value, list | tuple) else value


def tensors(values: Any) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples and dictionaries."""
    for value in values.values() if isinstance(values, dict) else values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple | dict):
            yield from tensors(value)
