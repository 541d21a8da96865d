"""A run of a model on a blank image, watched at torch's dispatcher.

Modules, functions, methods, scripts and escnn all end there in the same few hundred operations. For every tensor that
depends on the image the recorder carries what is proven of it (`Sites`), by the rule of each operation, and along with
it the sampling grid whose arithmetic says why something breaks (`Grids`). What gets past the dispatcher (an array of
numpy, a number read from a tensor, a write into part of a tensor) makes what follows unknown.

Modules that choose pixels by their input have no rule. Ours declare what they do
(`zoo.layers.subsampling.polyphase.ByPhase`): the lattice that they choose moves with the image.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from symdata.groups import Element
from zoo.errors import describe_error
from zoo.exactness.arithmetic import survives
from zoo.exactness.calls import Call, tensors
from zoo.exactness.grids import Grids
from zoo.exactness.known import Known
from zoo.exactness.rectangles import OTHERWISE, same
from zoo.exactness.rules import RULES, STRETCHES
from zoo.exactness.rules.windows import grid_part
from zoo.exactness.shape_only import shape_only
from zoo.exactness.sites import Loss, Sites
from zoo.layers.subsampling.polyphase import ByPhase

RANDOM = {
    "rand", "rand_like", "randn", "randn_like", "randint", "randint_like", "randperm", "bernoulli", "normal", "uniform",
    "exponential", "multinomial", "native_dropout", "rrelu_with_noise",
}  # fmt: skip
"""Operations whose results are not the same in two runs."""
NOT_FOLLOWED = "cannot be followed"
"""What a note begins with where the analysis itself has failed."""
READS = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "_assert_async"}
"""Operations after which a model may do other things with other images."""
FRESH = {
    "empty_like", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_empty",
    "new_empty_strided",
}  # fmt: skip
"""Operations that take from a tensor its shape alone."""
RESHAPES_IN_PLACE = {
    "squeeze_", "unsqueeze_", "t_", "transpose_", "swapaxes_", "swapdims_", "resize_", "as_strided_", "set_",
}  # fmt: skip
"""Operations that give a tensor another shape, and so leave no trace of what it was."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches one run.

    Args:
        image: blank, (1, C, H, W).
        elements: of d4, which are to be proven.
        isotropic: whether filters count as symmetric, because the question is about the grids alone.
        calls: those of the run on an image of the other shape, where elements swap the sides of a rectangle.
        proves: whether to prove anything, or to write down the calls alone.
        answers: what was found out about weights in earlier runs of the same model; added to.
    """

    def __init__(
        self,
        image: Tensor,
        elements: Sequence[Element],
        isotropic: bool,
        calls: Sequence[Call] | None = None,
        proves: bool = True,
        answers: dict[Any, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements, self.isotropic, self.proves = tuple(elements), isotropic, proves
        self.before, self.calls = calls, list[Call]()
        self.answers = {} if answers is None else answers
        self.grids, self.known = Grids(image), Known(len(self.elements))
        self.modules: list[tuple[str, nn.Module | None]] = [("", None)]
        self.count = self.hidden = 0  # of calls; of running modules that declare what they do
        self.escaped: Loss | None = None
        here = (image.shape[-2], image.shape[-1])
        self.births = WeakTensorKeyDictionary({image: (-1, 0)})
        self.known.put(image, self._moved((), here, [*self.elements], [None] * len(self.elements)))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled while tracing, and shielding us from dynamo costs its import, a second

    def state(self, tensor: Tensor) -> Sites | None:
        """What is known of a tensor; None for a constant."""
        return self.known.get(tensor, self._loss("alias", "reads a tensor by another name"))

    def escape(self, name: str, note: str) -> None:
        """Nothing is known from here on, because a model has read values of its image."""
        self.escaped = self.escaped or self._loss(name, note)

    def forget(self, tensors: Iterable[Tensor]) -> None:
        """Nothing is known of these, which an earlier run has left behind."""
        for tensor in tensors:
            self.known.put(tensor, self.known.lost(self._loss("memory", "was left behind by an earlier image")))

    def last_loss(self) -> Callable[[str, bool], Loss]:
        """Makes the loss of an element at the output itself, from a note and whether it is broken."""
        return lambda note, broken: Loss(self.count, "", "output", note, broken)

    def _loss(self, operation: str, note: str, broken: bool = False) -> Loss:
        return Loss(self.count, self.modules[-1][0], operation, note, broken)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if self.hidden:
            return func(*args, **kwargs)
        states = self.known.of([args, kwargs], self._loss("alias", "reads a tensor by another name"))
        if not states or name.rstrip("_") in RANDOM:
            out = func(*args, **kwargs)
            if name.rstrip("_") in RANDOM:
                for tensor in tensors([out]):
                    self.known.put(tensor, self.known.lost(self._loss(name, "its result is drawn at random")))
            return out
        out = shape_only(name, args)
        if out is None:
            out = func(*args, **kwargs)
        self.grids.record(name, args, out, self.modules[-1][0], self.count)
        if name in READS:
            self.escape(name, "reads values of the image, on which its way may depend")
        if name not in FRESH:
            self._follow(func, name, args, kwargs, list(tensors([out])), states)
        return out

    def _follow(
        self,
        func: Any,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        outs: list[Tensor],
        states: dict[int, Sites],
    ) -> None:
        """Find out what is known of the results of a call, and of what it has written to."""
        in_place, operation = name.endswith("_") and not name.endswith("__"), name
        if name in RESHAPES_IN_PLACE or (func._schema.is_mutable and not in_place and "out" in kwargs):
            operation = f"{name} in place"
        elif in_place:
            operation = name.rstrip("_")
            func = getattr(getattr(torch.ops.aten, operation, None), func._overloadname, func)
        path, module = self.modules[-1]
        births = [self._birth(tensor) for tensor in tensors([args, kwargs]) if id(tensor) in states]
        call = Call(
            self.count, path, module, operation, func, args, kwargs, outs, self.elements, self.isotropic, states,
            self.answers, births,
        )  # fmt: skip
        if self.before is not None:
            self._pair(call, self.before)
        self.count += 1
        if not self.proves:
            self.calls.append(call)
        for number, (tensor, state) in enumerate(zip(outs, self._answers(call), strict=True)):
            self.known.put(tensor, state if call.is_square else self._in_both(call, number, state))
            self.births[tensor] = (call.order, number)
        target = kwargs.get("out", args[0] if in_place else None)
        if isinstance(target, Tensor) and target.numel():
            loss = call.loss("is written in place, and read by another name", False)
            self.known.written(target, outs, id(target) not in states, loss)

    def _pair(self, call: Call, before: Sequence[Call]) -> None:
        """Put beside a call what it is in the other run; from where the runs differ, nothing is known."""
        if self.count < len(before) and same(call, before[self.count]):
            call.other = before[self.count]
        else:
            self.escape(call.operation, OTHERWISE)

    def _birth(self, tensor: Tensor) -> Any:
        """The call that made a tensor, and which of its results it was; None for a constant."""
        return self.births.get(tensor)  # type: ignore[no-untyped-call]

    def finish(self, outputs: Sequence[Tensor], ends: Sequence[Any] | None) -> list[Any]:
        """After a run: its outputs have to be those of the other run, if there is one, which `ends` names."""
        found = [self._birth(tensor) for tensor in outputs]
        if self.before is not None and (found != ends or self.count != len(self.before)):
            self.escape("output", OTHERWISE)
        self.grids.finish(list(outputs))
        return found

    def _answers(self, call: Call) -> list[Sites]:
        """What the rule of a call says of each result."""
        merged, count = call.merged(), len(call.outs)
        if not self.proves or not merged.alive:
            return [merged] * count
        if self.escaped is not None:
            return [call.answer((), dict.fromkeys(range(len(self.elements)), self.escaped))] * count
        moves = any(state.parts or any(state.losses) for state in call.states.values())
        if not moves and call.operation not in STRETCHES:
            return [merged] * count
        rule = RULES.get(call.operation)
        if rule is None or len(call.twin.outs) != count:
            lost = call.lose("this operation is not analysed")
            return [replace(lost, losses=tuple(loss and replace(loss, broken=False) for loss in lost.losses))] * count
        try:
            answer = rule(call)
            given = [answer] * count if isinstance(answer, Sites) else list(answer)
            assert len(given) == count, f"{len(given)} answers for {count} results"
        except Exception as error:  # noqa: BLE001  nobody knows all the ways in which an operation can be called
            return [call.lose(f"{NOT_FOLLOWED}: {describe_error(error)}")] * count
        return given

    def _in_both(self, call: Call, number: int, state: Sites) -> Sites:
        """The state of a result, if the axes that do not move have one size in both runs; else nothing is known."""
        here, there = call.outs[number].shape, call.twin.outs[number].shape
        moving = {d for part in state.parts for d in part.dims}
        if len(here) == len(there) and all(
            m == n or d in moving for d, (m, n) in enumerate(zip(here, there, strict=True))
        ):
            return state
        return call.lose("makes results of another shape of the turned rectangle")

    def enter(self, name: str, module: nn.Module) -> None:
        """Before a module runs."""
        self.modules.append((name, module))
        self.hidden += isinstance(module, ByPhase)

    def leave(self, name: str, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        """After a module has run, or failed."""
        if isinstance(module, ByPhase):
            self.hidden -= 1
            if not self.hidden and out is not None:
                with torch._C.DisableTorchFunction():
                    self._declare(module, args, out)
        self.modules.pop()

    def _declare(self, module: ByPhase, args: tuple[Any, ...], out: Any) -> None:
        """What a module declares that chooses pixels by its input: its first result is a map, or it makes none."""
        source = next(tensors([args[:1]]), None)
        state = None if source is None else self.state(source)
        if source is None or state is None:
            return
        results = list(tensors([out]))
        self.grids.declare(self.modules[-1][0], module, source, results)
        for number, tensor in enumerate(results):
            if number or not module.sampling or tensor.ndim != 4 or self.before is not None:
                self.known.put(tensor, self.known.lost(self._loss("choice", "is chosen by the image")))
                continue
            up = tensor.shape[-1] > source.shape[-1]
            left = [0 if up else side % module.stride for side in source.shape[-2:]]
            broken = self._loss(module.sampling, "its stride leaves pixels over", True)
            pairs = zip(state.losses, self.elements, strict=True)
            losses = [old or (None if survives(e, left) else broken) for old, e in pairs]
            rest = [part for part in state.parts if not set(part.dims) & {2, 3}]
            found = [None if loss else e for loss, e in zip(losses, self.elements, strict=True)]
            self.known.put(tensor, self._moved(rest, (tensor.shape[-2], tensor.shape[-1]), found, losses))

    def _moved(
        self, rest: Sequence[Any], here: tuple[int, int], found: list[Any], losses: Sequence[Loss | None]
    ) -> Sites:
        """The state of a map (B, C, H, W) that moves like an image."""
        there = here if self.before is None else (here[1], here[0])
        return Sites((*rest, grid_part((2, 3), here, there, found)), tuple(losses))
