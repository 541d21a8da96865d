"""Which axes of which parameters have to be permuted together so that a network computes the same."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from zoo.alignment.axes import Axis, factors
from zoo.alignment.channel_tracer import ChannelTracer
from zoo.errors import ModelError, describe_error
from zoo.exactness.trace import outputs_of
from zoo.exactness.tracer import FAILURES, duplicate, input_channels

Permutations = Mapping[str, Tensor]
"""Name of tied channels -> (n,): new channel i is the old channel of that number."""


@dataclass(frozen=True)
class Place:
    """A factor of an axis of a tensor that is permuted."""

    tensor: str
    """Name of the parameter or buffer; of what is read, the number of the reader."""
    axis: int
    sizes: tuple[int, ...]
    """The axis is a product of factors of these sizes, slowest first."""
    factor: int


@dataclass(frozen=True)
class TiedChannels:
    """Channels that are permuted together: outputs of layers, and what reads them."""

    name: str
    """Of the first layer that writes them."""
    size: int
    places: tuple[Place, ...]
    reads: tuple[Place, ...]
    """Where the next layers read them, after norms and nonlinearities."""


@dataclass(frozen=True)
class PermutationSpec(Result):
    """All permutations of hidden channels that leave a network's function as it is.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
        >>> print(PermutationSpec.of(net, 8))
        1 set of channels can be permuted
        <BLANKLINE>
        channels of  number  axes that move with them
        -----------  ------  ------------------------------------------------------------------------------------...
        0            8       0.weight[0], 0.bias[0], 1.weight[0], 1.bias[0], 3.weight[1], 1.running_mean[0], 1.ru...
    """

    tied: tuple[TiedChannels, ...]
    """In the order in which the layers run."""
    fixed: tuple[str, ...] = ()
    """Hidden layers whose channels are used in a way that no permutation keeps."""

    @classmethod
    def of(cls, model: nn.Module, size: int | tuple[int, int], in_chans: int | None = None) -> "PermutationSpec":
        """Find them by running a copy of a model once, and verify that random ones leave its outputs as they are.

        Args:
            model: any module without group convolutions of ours, see `plain_copy`.
            size: of the images, pixels or (height, width).
            in_chans: C; by default read from the first convolution.

        Raises:
            ModelError: for shared weights, an operation that does not treat channels alike, and a network without
                hidden channels.
        """
        copy = duplicate(model).cpu().double()
        shape = (size, size) if isinstance(size, int) else tuple(size)
        channels = input_channels(model) if in_chans is None else in_chans
        image = torch.rand(2, channels, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        tracer = ChannelTracer(copy, image)
        fast = torch.backends.mha.get_fastpath_enabled()
        try:
            torch.backends.mha.set_fastpath_enabled(False)  # it is one operation for a whole block
            with torch.no_grad(), tracer.following(copy):
                outputs = list(outputs_of(copy(image)))
        except FAILURES as error:
            raise ModelError(
                f"{type(model).__name__} cannot run on images {tuple(image.shape)}: {describe_error(error)}"
            ) from error
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
        tracer.finish(outputs)
        spec = cls(*_tied(tracer))
        if not spec.tied:
            raise ModelError(f"{type(model).__name__} has no hidden channels to permute; expected two layers at least")
        spec._verify(copy, image, outputs)
        return spec

    def _verify(self, copy: nn.Module, image: Tensor, before: Sequence[Tensor]) -> None:
        draw = torch.Generator().manual_seed(1)
        permute_(copy, self, {tied.name: torch.randperm(tied.size, generator=draw) for tied in self.tied})
        with torch.no_grad():
            after = list(outputs_of(copy(image)))
        for one, other in zip(before, after, strict=True):
            if one.is_floating_point() and not torch.allclose(
                one, other, rtol=1e-6, atol=1e-6 * float(one.abs().max())
            ):
                raise ModelError(
                    f"there is no permutation of channels to find: those that the run of {type(copy).__name__} shows "
                    "change its outputs, so it uses channels in a way that the run does not show"
                )

    def parts(self) -> Iterable[str | Table]:
        """How many there are, and the axes that each moves."""
        count = len(self.tied)
        fixed = f"; not those of {', '.join(self.fixed)}" if self.fixed else ""
        yield f"{count} {'set' if count == 1 else 'sets'} of channels can be permuted{fixed}"
        rows = [(t.name, f"{t.size:,}", ", ".join(f"{p.tensor}[{p.axis}]" for p in t.places)) for t in self.tied]
        yield Table(("channels of", "number", "axes that move with them"), rows)


@torch.no_grad()
def permute_(model: nn.Module, spec: PermutationSpec, permutations: Permutations) -> nn.Module:
    """Permute the channels of a model in place; it computes the same afterwards."""
    held = dict((*model.named_parameters(), *model.named_buffers()))
    for tied in spec.tied:
        order = permutations[tied.name]
        for place in tied.places:
            tensor = held[place.tensor]
            shape, k = tensor.shape, place.axis
            split = tensor.reshape(*shape[:k], *place.sizes, *shape[k + 1 :])
            tensor.copy_(split.index_select(k + place.factor, order.to(tensor.device)).reshape(shape))
    return model


def _tied(tracer: ChannelTracer) -> tuple[tuple[TiedChannels, ...], tuple[str, ...]]:
    """The factors that something reads and that are free, with all axes that have them; the layers of the others."""
    reads: dict[Axis, list[Place]] = {}
    for number, (labels, summed) in tracer.reads.items():
        free = any(not axis.fixed for label in summed for axis in factors(label))
        for place, label in enumerate(labels if free else summed):
            _gather(reads, str(number), place, factors(label))
    places: dict[Axis, list[Place]] = {axis: [] for axis in reads}
    for name, every in tracer.axes.items():
        for number, label in enumerate(every):
            _gather(places, name, number, factors(label), only=True)
    names, tied, fixed = Counter[str](), [], dict[str, None]()
    for axis, own in places.items():
        writers = [p.tensor.rpartition(".")[0] or p.tensor for p in own if p.axis == 0 and p.tensor.endswith("weight")]
        if axis.fixed:
            fixed |= dict.fromkeys(writers)
        elif own:
            writer = writers[0] if writers else own[0].tensor
            names[writer] += 1
            name = writer if names[writer] == 1 else f"{writer}#{names[writer]}"
            tied.append(TiedChannels(name, axis.size, tuple(own), tuple(reads[axis])))
    return tuple(tied), tuple(fixed)


def _gather(found: dict[Axis, list[Place]], name: str, axis: int, label: list[Axis], only: bool = False) -> None:
    sizes = tuple(factor.size for factor in label)
    for number, factor in enumerate(label):
        if not only or factor in found:
            found.setdefault(factor, []).append(Place(name, axis, sizes, number))
