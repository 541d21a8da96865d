"""Which channel of one network is which channel of another: activation matching.

Both networks see the same images. With C_ij the Pearson correlation of channel i of one and channel j of the other,
over images and positions and after the nonlinearity, the permutation of a layer is

    P = argmax_P sum_i C_{i, P(i)},

a linear assignment (the Hungarian algorithm). Permuting the channels of one layer changes no other activation, so one
pass through the images serves all layers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.errors import ShapeError
from symdata.installation.hints import install_line
from zoo.alignment.channel_tracer import Reading
from zoo.alignment.permutations import PermutationSpec, Place, TiedChannels
from zoo.errors import ModelError
from zoo.inference.forward import compute

ROUNDS = 5
"""Most times that channels which are products of factors are matched one factor after the other."""
BATCH = 100
"""Images of a forward."""


@dataclass(frozen=True)
class ChannelMatch(Result):
    """The permutation of one set of channels.

    Example:
        >>> match = ChannelMatch("conv1", (1, 2, 0), 0.9, 0)
        >>> print(match)
        conv1: 3 channels, matched correlation 0.900
        >>> match.returns(2), match.returns(3)
        (0.0, 1.0)
    """

    name: str
    """Of the first layer that writes them."""
    permutation: tuple[int, ...]
    """Channel i of the first network is this channel of the second."""
    correlation: float
    """Mean over the channels that are alive in both of the correlation of i and P(i); NaN if none is."""
    dead: int
    """Channels that are constant on all images, in one of the two networks at least, after the match."""

    def parts(self) -> Iterable[str | Table]:
        """One line."""
        yield f"{self.name}: {len(self.permutation)} channels, matched correlation {self.correlation:.3f}"

    def returns(self, order: int) -> float:
        """The share of channels with P^order(i) = i: 1 in a group convolution, if the element has this order."""
        place = list(range(len(self.permutation)))
        for _ in range(order):
            place = [self.permutation[i] for i in place]
        return sum(i == p for i, p in enumerate(place)) / len(place)


@dataclass(frozen=True)
class Matching(Result):
    """How the channels of two networks match.

    Example:
        >>> import zoo
        >>> from zoo.alignment import PermutationSpec, plain_copy
        >>> net = plain_copy(zoo.create("p4cnn_12", width=2, seed=0))
        >>> found = match_activations(net, net, torch.rand(4, 3, 12, 12))
        >>> min(layer.correlation for layer in found.layers) > 0.999
        True
    """

    spec: PermutationSpec
    layers: tuple[ChannelMatch, ...]

    @property
    def permutations(self) -> dict[str, Tensor]:
        """Name of tied channels -> (n,): the order that puts the second network's channels beside the first one's."""
        return {layer.name: torch.tensor(layer.permutation) for layer in self.layers}

    def parts(self) -> Iterable[str | Table]:
        """A row for each set of channels."""
        rows = [(m.name, f"{len(m.permutation):,}", f"{m.correlation:.3f}", f"{m.dead:,}") for m in self.layers]
        yield Table(("channels of", "number", "matched correlation", "dead"), rows)


def match_activations(
    one: nn.Module, other: nn.Module, images: Tensor, spec: PermutationSpec | None = None
) -> Matching:
    """Match the channels of two networks of one architecture.

    Args:
        one: in eval mode; its channels keep their order.
        other: the same architecture.
        images: normalised (n, C, H, W), as both take them; some thousand are usual.
        spec: of the architecture; by default it is found by `PermutationSpec.of`.

    Raises:
        ModelError: if the two differ in shape, scipy is not installed, or there is no specification.
        ShapeError: for less than two images.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
        >>> twin = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
        >>> order = torch.tensor([2, 0, 3, 1])
        >>> _ = twin[0].weight.data.copy_(net[0].weight[order]), twin[0].bias.data.copy_(net[0].bias[order])
        >>> match_activations(net, twin, torch.randn(8, 3, 6, 6)).layers[0].permutation
        (1, 3, 0, 2)
    """
    check_alike(one, other)
    if images.ndim != 4 or len(images) < 2:
        raise ShapeError(f"images are {tuple(images.shape)}, expected (n, C, H, W) with n > 1, to correlate over them")
    spec = PermutationSpec.of(one, (images.shape[-2], images.shape[-1]), images.shape[1]) if spec is None else spec
    found = {number: _Correlation(places) for number, places in _by_reader(spec.tied).items()}
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        ours, theirs = _readings(one, batch, found), _readings(other, batch, found)
        for number, correlation in found.items():
            correlation.add(ours[number], theirs[number])
    return Matching(spec, _assigned(spec, found))


def check_alike(one: nn.Module, other: nn.Module) -> None:
    """`ModelError` unless two networks have the same tensors in the same shapes."""
    ours, theirs = ({k: tuple(v.shape) for k, v in m.state_dict().items()} for m in (one, other))
    for name in [*ours, *theirs]:
        if ours.get(name) != theirs.get(name):
            raise ModelError(
                f"{name!r} is {ours.get(name, 'missing')} in one network and {theirs.get(name, 'missing')} in the "
                "other; expected two networks of one architecture, with the same widths and number of classes"
            )


@torch.no_grad()
def _readings(model: nn.Module, images: Tensor, found: "Mapping[int, _Correlation]") -> dict[int, Tensor]:
    """What the readers of a run read, as (samples, channels)."""
    seen: dict[int, Tensor] = {}

    def see(number: int, x: Tensor) -> None:
        if number in found:
            seen[number] = found[number].rows(x)

    with Reading(see):
        compute(model, images)
    return seen


class _Correlation:
    """The correlations of the channels that one reader reads, summed up over batches in float64."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self.names = list(places)
        self.places = sorted(places.values(), key=lambda place: (place.axis, place.factor))
        self.names.sort(key=lambda name: self.places.index(places[name]))
        self.sizes = [place.sizes[place.factor] for place in self.places]
        self.count, self.sums = 0, list[Tensor]()

    def rows(self, x: Tensor) -> Tensor:
        """(samples, channels): every axis that is not matched is one of samples."""
        shape: list[int] = []
        kept: list[int] = []
        for axis, size in enumerate(x.shape):
            here = [place for place in self.places if place.axis % x.ndim == axis]
            kept += [len(shape) + place.factor for place in here]
            shape += here[0].sizes if here else (size,)
        moved = x.reshape(shape).movedim(kept, [k - len(kept) for k in range(len(kept))])
        return moved.reshape(-1, *moved.shape[len(shape) - len(kept) :]).flatten(1).double()

    def add(self, a: Tensor, b: Tensor) -> None:
        """One more batch."""
        sums = [a.sum(0), b.sum(0), a.square().sum(0), b.square().sum(0), a.T @ b]
        self.sums = [old + more for old, more in zip(self.sums, sums, strict=True)] if self.sums else sums
        self.count += len(a)

    def matrix(self) -> Tensor:
        """(channels, channels) of the first and the second network; NaN where one is constant."""
        a, b, aa, bb, ab = (total / self.count for total in self.sums)
        one, other = (square - mean.square() for square, mean in ((aa, a), (bb, b)))
        one, other = (
            torch.where(v > 1e-12 * square.clamp_min(1e-30), v, torch.nan) for v, square in ((one, aa), (other, bb))
        )
        found: Tensor = (ab - a[:, None] * b) / (one[:, None] * other).sqrt()
        return found.cpu()


def _by_reader(tied: Sequence[TiedChannels]) -> dict[int, dict[str, Place]]:
    """Number of a reader -> name of channels -> where it reads them."""
    every = sorted(((int(place.tensor), t.name, place) for t in tied for place in t.reads), key=lambda row: row[:2])
    return {number: {name: place for _, name, place in rows} for number, rows in groupby(every, key=lambda r: r[0])}


def _assigned(spec: PermutationSpec, found: Mapping[int, _Correlation]) -> tuple[ChannelMatch, ...]:
    """The best permutation of all channels; where an axis is a product, one factor after the other until all stay."""
    assign = _linear_assignment()
    orders = {tied.name: torch.arange(tied.size) for tied in spec.tied}
    matrices = {number: correlation.matrix() for number, correlation in found.items()}
    for _ in range(ROUNDS):
        before = {name: order.clone() for name, order in orders.items()}
        for tied in spec.tied:
            total = torch.zeros(tied.size, tied.size, dtype=torch.float64)
            for values in _pairs(tied.name, orders, found, matrices):
                total += values.nan_to_num().mean(-1)
            orders[tied.name] = torch.as_tensor(assign(total.numpy(), maximize=True)[1])
        if all(torch.equal(before[name], order) for name, order in orders.items()):
            break
    matches = []
    for tied in spec.tied:
        order = orders[tied.name]
        rows = torch.arange(tied.size)
        matched = [v[rows, order].nanmean(-1) for v in _pairs(tied.name, orders, found, matrices)]
        every = torch.stack(matched).nanmean(0)  # (n,)
        dead = int(every.isnan().sum())
        matches.append(ChannelMatch(tied.name, tuple(order.tolist()), float(every.nanmean()), dead))
    return tuple(matches)


def _pairs(
    name: str, orders: Mapping[str, Tensor], found: Mapping[int, _Correlation], matrices: Mapping[int, Tensor]
) -> Iterator[Tensor]:
    """(n, n, others) for every reader: correlations of entries of a factor, its other factors matched as they are."""
    for number, correlation in found.items():
        if name not in correlation.names:
            continue
        k, count = correlation.names.index(name), len(correlation.sizes)
        matrix = matrices[number].view(*correlation.sizes, *correlation.sizes)
        for other, factor in enumerate(correlation.names):
            if other != k:
                matrix = matrix.index_select(count + other, orders[factor])
        rest = [j for j in range(count) if j != k]
        matrix = matrix.permute(k, count + k, *rest, *(count + j for j in rest))
        n, others = correlation.sizes[k], matrix[0, 0].numel()
        side = round(others**0.5)
        yield matrix.reshape(n, n, side, side).diagonal(dim1=-2, dim2=-1)


def _linear_assignment() -> Callable[..., Any]:
    try:
        from scipy.optimize import linear_sum_assignment
    except ModuleNotFoundError:
        raise ModelError(f"matching channels needs scipy; run {install_line('alignment')}") from None
    return cast(Callable[..., Any], linear_sum_assignment)
