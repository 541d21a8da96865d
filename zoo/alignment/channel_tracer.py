"""A run of a model in which every tensor's axes are followed: which channels of which layers are the same.

Modules, functions and methods all end at torch's dispatcher in a few dozen operations, whose rules tie axes. So it does
not matter how a network is written. What no rule knows is refused with its name and place.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from zoo.alignment.axes import Axis, Label, UntiedAxesError, fix, is_fixed, new
from zoo.alignment.channel_rules import RULES
from zoo.errors import ModelError
from zoo.exactness.calls import tensors
from zoo.exactness.hooks import module_hooks

READERS = {"convolution": 0, "mm": 0, "addmm": 1, "bmm": 0, "baddbmm": 1, "amax": 0, "amin": 0, "mean": 0, "sum": 0}
"""Operation that sums over channels, or takes their maximum -> the number of the argument that has them."""
FRESH = {"new_empty", "new_zeros", "new_ones", "new_full", "empty_like", "zeros_like", "ones_like", "full_like"}
"""Operations that take from a tensor its shape alone."""


class Reading(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Hands what every reader of a run reads to a function, with the number of the reader.

    Args:
        see: gets the number and the tensor.
    """

    def __init__(self, see: Callable[[int, Tensor], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.see, self.count = see, 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as in `zoo.exactness.recorder`

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in READERS:
            self.see(self.count, args[READERS[name]])
            self.count += 1
        return func(*args, **(kwargs or {}))


class ChannelTracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows one run.

    Args:
        model: in eval mode; the axes of its parameters and buffers are `axes`, by name.
        image: (B, C, H, W), none of whose axes may be permuted.
    """

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._labels, self._wholes = WeakTensorKeyDictionary(), WeakTensorKeyDictionary()
        self.axes: dict[str, list[list[Axis]]] = {}
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            self.axes[name] = [new(size, home=name) for size in tensor.shape]
            self._labels[tensor] = self.axes[name]
        self._labels[image] = [new(size, fixed=True) for size in image.shape]
        self.reads: dict[int, tuple[list[Label], list[Label]]] = {}
        """Number of a reader -> the labels of the tensor that it reads, and of those the axes that it sums over."""
        self.users: dict[str, list[str]] = {}
        """Parameter -> the modules whose products have it as a factor."""
        self._count, self._path = 0, [""]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as in `zoo.exactness.recorder`

    def labels(self, tensor: Tensor) -> Sequence[Label]:
        """Those of a tensor; the entries of a constant may not be exchanged where they are not all the same."""
        if tensor in self._labels:
            found: Sequence[Label] = self._labels[tensor]
            return found
        uniform = tensor.numel() < 2 or bool((tensor == tensor.flatten()[0]).all())
        return [[] if uniform else new(size, fixed=True) for size in tensor.shape]

    def read(self, x: Tensor, axes: Iterable[int], weight: Sequence[Label] = ()) -> None:
        """Note what a reader reads, the axes that it sums over, and the parameter that it does so with."""
        labels = list(self.labels(x))
        self.reads[self._count] = labels, [labels[axis] for axis in axes]
        for home in {a.home for label in weight for a in label if a.home}:
            self.users.setdefault(home, []).append(self._path[-1])
            if len(self.users[home]) > 1:
                where = " and ".join(repr(path) if path else "the forward" for path in dict.fromkeys(self.users[home]))
                raise ModelError(
                    f"{home!r} is shared: it is used {len(self.users[home])} times, in {where}, and one permutation "
                    "would have to serve all of them; give every layer weights of its own, by copy.deepcopy"
                )

    def finish(self, outputs: Sequence[Tensor]) -> None:
        """The entries of the outputs have names, and may not be exchanged."""
        for tensor in outputs:
            fix(self.labels(tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = kwargs or {}, func.overloadpacket.__name__
        known = [tensor for tensor in tensors([args, kwargs]) if tensor in self._labels]
        out = func(*args, **kwargs)
        if known and name not in FRESH:
            self._follow(name, args, kwargs, list(tensors([out])))
        elif name in ("slice", "view", "select", "detach", "alias") and isinstance(out, Tensor):
            self._wholes[out] = args[0]
        self._count += name in READERS
        return out

    def _follow(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], outs: list[Tensor]) -> None:
        rule = RULES.get(name)
        try:
            if rule is None:
                if not all(is_fixed(label) for t in tensors([args, kwargs]) for label in self.labels(t)):
                    raise UntiedAxesError
                return
            given = args[1:] if name == "copy_" else args
            for number, out in enumerate(outs):
                if number == 0 or name.startswith(("split", "unbind")):
                    self._labels[out] = rule(self, given, kwargs, out)
                    if name == "copy_":
                        self._written(out)
        except (UntiedAxesError, IndexError, ValueError, TypeError) as error:
            where = f"in {self._path[-1]!r}" if self._path[-1] else "in the model's own forward"
            shapes = ", ".join(str(tuple(t.shape)) for t in tensors([args]))
            raise ModelError(
                f"there is no permutation of channels to find: {name} of {shapes} {where} does not treat channels "
                "alike, or is not known to; match the part of the network before it"
            ) from error

    def _written(self, part: Tensor) -> None:
        """A constant into a part of which something was written has its axes, where it has its size."""
        while part in self._wholes and (whole := self._wholes[part]) not in self._labels and whole.ndim == part.ndim:
            self._labels[whole] = [
                label if size == old else new(size, fixed=True)
                for label, size, old in zip(self.labels(part), whole.shape, part.shape, strict=True)
            ]
            part = whole

    @contextmanager
    def following(self, model: nn.Module) -> Iterator[None]:
        """Within this context operations are followed, and modules named."""
        with module_hooks(model, self._leave, lambda name, _: self._path.append(name)), self:
            yield

    def _leave(self, *_: Any) -> None:
        self._path.pop()
