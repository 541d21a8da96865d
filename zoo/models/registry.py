"""The one registry of networks: by name, from plain data, and what there is.

    >>> create("p4cnn_28", in_chans=1, seed=0).architecture["width"]
    10

Names are explained in `zoo.models.names`. Lattice groups are built of our own layers; names with a finer group are
handed to `zoo.models.steerable`, which needs escnn, and their exported form, plain torch, to `zoo.models.exported`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from zoo.errors import ModelError
from zoo.models.architecture_facts import ARCHITECTURES
from zoo.models.cnn import CNN
from zoo.models.knight import Knight
from zoo.models.names import CNNS, LATTICE_WORDS, PLAIN_ARCHITECTURES, ModelName, known_prefixes
from zoo.models.network import Network
from zoo.models.pathcnn import FORM as PATHS_FORM
from zoo.models.pathcnn import PathCNN, PathSpec, create_paths, read_paths
from zoo.models.resnet import ResNet
from zoo.models.spec import NetworkSpec

OTHER_SIZES = {"cnn": 28, "wrn16": 29, "pathcnn": 16}
"""Of the listed networks that are not in `ARCHITECTURES`; the steerable ones are exact under quarter turns."""


def create(
    name: str | ModelName,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    width: int | Sequence[int] | None = None,
    coset_pool: bool = True,
    dropout: float = 0.0,
    downsample: str | None = None,
    relax: str = "none",
    path: str | None = None,
    average: str | Sequence[str] | None = None,
    copies: int | None = None,
    seed: int | None = None,
) -> nn.Module:
    """The network of that name with fresh weights: images (B, in_chans, size, size) to logits (B, num_classes).

    It has `.features(images)`, the last feature map; `.group`; and `.architecture`, from which `build` makes the same
    module. It takes images of other sizes too; the size of its name is the one that it is meant for.

    Args:
        name: such as `p4cnn_28` or `gcp4resnet44_33`; data after a dot is ignored, only `zoo.load` knows weights.
        num_classes: number of logits; by default as published, like the next two.
        in_chans: channels of the images.
        width: fields of every layer of a CNN, of the first stage of a ResNet (later ones double), or of every stage.
        coset_pool: whether to take the maximum over the group before the classifier.
        dropout: rate after layers 1, 3, 4 and 5 of the CNNs.
        downsample: how resolution is lowered, of networks on lattice groups: `stride`, `max`, `avg`, `blur`, `aps` or
            `equivariant`; None is as the architecture has it. With the last two images lie on a torus, every padding
            is circular, and their size must be a multiple of the total stride.
        relax: how all convolutions may leave their lattice group while they are trained: `likelihood`, `residual`,
            `banks`, `bias` or `partial`, see `zoo.layers.relaxed`; `none` keeps it. On finer groups `likelihood` alone.
        path: of the blocks of a pathcnn: conv, dense, factored, residual or residual-factored.
        average: generators such as `rotation,translate_x`: the network is averaged over random affine maps whose
            spread is learned, see `zoo.models.averaged`; None or `none` for no average.
        copies: of which the mean is taken in eval mode; 4 by default.
        seed: of the weights; the global generators are neither read nor touched. None draws from the global one.

    Raises:
        ModelError: for an unknown name, with the nearest ones; for choices out of bounds; for a size that is too small.
    """
    parsed = ModelName.parse(name) if isinstance(name, str) else name
    if parsed.data is not None:
        from zoo.files import bundled

        if str(parsed) in bundled():
            bare = str(parsed.bare)
            raise ModelError(f"{str(parsed)!r} has weights: zoo.load({str(parsed)!r}); for an untrained one {bare!r}")
    choices: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_chans, "width": width}
    choices |= {"coset_pool": coset_pool, "dropout": dropout}
    if path is not None and parsed.architecture not in PLAIN_ARCHITECTURES:
        raise ModelError(f"path is {path!r} and {parsed} has none; leave it out, or take z2pathcnn_16")
    generators = None if average == "none" else average
    if generators is None and copies is not None:
        raise ModelError(f"copies is {copies!r} and there is no average; leave it out, or add average='rotation'")
    with seeded(seed):
        network = _fresh(parsed, path, choices, {"downsample": downsample, "relax": None if relax == "none" else relax})
    if generators is None:
        return network
    from zoo.models.averaged import averaged

    return averaged(network, generators, copies)


def _fresh(name: ModelName, path: str | None, choices: dict[str, Any], lattice: dict[str, Any]) -> nn.Module:
    """The network itself, under no average; `lattice` holds the choices of networks on lattice groups alone."""
    if name.is_steerable:
        _refuse(name, **{key: value for key, value in lattice.items() if key != "relax"})
    if name.architecture in PLAIN_ARCHITECTURES:
        _refuse(name, **lattice)
        kept = {key: value for key, value in choices.items() if key != "coset_pool"}
        return create_paths(name.bare, path=path, **kept)
    if name.is_steerable:
        from zoo.models.steerable import create_steerable

        return create_steerable(name.bare, **choices, relax=lattice["relax"] or "none")
    return _make(NetworkSpec.of(name, **choices, **lattice))


def _refuse(name: ModelName, **choices: Any) -> None:
    """`ModelError` for choices that only networks on lattice groups have."""
    for key, value in choices.items():
        if value is not None:
            raise ModelError(f"{key} is {value!r} and {name} has no such choice; leave it out, or take p4cnn_28")


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """The module that `architecture` describes, with fresh weights: same class, same keys, same shapes.

    Every key, type and bound is checked before anything is allocated, so that it may come from a file of
    unknown origin; `ModelError` for anything but what `.architecture` of one of our networks holds.

    Bounds:
        A network on a lattice group has at most 200,000,000 parameters and, once its filters are expanded over the
        group, 2**29 numbers in them (2 GiB); one on a finer group 2**26 numbers in all (256 MiB).
    """
    form = architecture.get("form") if isinstance(architecture, Mapping) else None
    if form == "exported":
        from zoo.models.exported import build_exported

        return build_exported(architecture)
    if form == "steerable":
        from zoo.models.steerable import build_steerable

        return build_steerable(architecture)
    if form == PATHS_FORM:
        return PathCNN(read_paths(architecture))
    if form == "averaged":
        from zoo.models.averaged import build_averaged

        return build_averaged(architecture, build)
    return _make(NetworkSpec.from_dict(architecture))


@dataclass(frozen=True)
class Needs:
    """What a network in plain torch takes, by arithmetic."""

    parameters: int
    largest_map: int
    """An upper bound of the numbers in the largest feature map of one image."""


def needs(architecture: Mapping[str, Any], size: int) -> Needs:
    """What `build(architecture)` allocates, and its forward of one image of `size` pixels, before either is done.

    Raises:
        ModelError: as `build`; and for a network that is not in plain torch, which no file holds.
    """
    form = architecture.get("form") if isinstance(architecture, Mapping) else None
    if form is None:
        plan = NetworkSpec.from_dict(architecture)
        return Needs(plan.parameters(), plan.largest_map(size))
    if form == PATHS_FORM:
        paths = read_paths(architecture)
        return Needs(paths.parameters(), paths.largest_map(size))
    if form == "averaged":
        from zoo.models.averaged import network_of, numbers_of

        inner = needs(network_of(architecture), size)
        return Needs(inner.parameters + numbers_of(architecture), inner.largest_map)
    from zoo.models.exported import count, read_spec

    spec = read_spec(architecture, "exported")
    return Needs(count(spec), spec.largest_map(size))


def export(model: nn.Module) -> nn.Module:
    """The same function in plain torch. Networks on lattice groups are that already, and come back as they are."""
    if isinstance(model, Network) or not getattr(model, "is_steerable", False):
        return model
    from zoo.models.averaged import InvarianceAverage
    from zoo.models.steerable import export as export_steerable

    if isinstance(model, InvarianceAverage):
        return model.exported(export)
    return export_steerable(model)


@dataclass(frozen=True)
class Row:
    """What the registry knows about a network without building it."""

    name: str
    group: str
    """`c4`, `d4`, `so2`, ..."""
    architecture: str
    variant: str
    """Empty, `g` or `gc`."""
    size: int
    """Pixels."""
    classes: int
    """Default of `create`, as are the two that follow."""
    channels: int
    width: int | tuple[int, ...]
    parameters: int | None
    """With those defaults and coset pooling; None for steerable networks, which must be built to be counted."""
    phi: int | None
    """Misalignment at that size in input pixels, 0 is exact; None for steerable networks, which only an audit knows."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)


def describe(name: str | ModelName) -> Row:
    """The row of one network; nothing is built."""
    parsed = (ModelName.parse(name) if isinstance(name, str) else name).bare
    facts = (str(parsed), str(parsed.group), parsed.architecture, parsed.variant, parsed.size)
    if parsed.is_steerable:
        from zoo.models.exported_spec import WIDTHS

        return Row(*facts, 10, 3, WIDTHS[parsed.architecture][parsed.group_word], None, None)
    if parsed.architecture in PLAIN_ARCHITECTURES:
        paths = PathSpec(str(parsed), "conv")
        return Row(*facts, paths.num_classes, paths.in_chans, paths.width, paths.parameters(), paths.phi)
    plan = NetworkSpec.of(parsed)
    return Row(*facts, plan.num_classes, plan.in_chans, plan.width, plan.parameters(), plan.design.phi(parsed.size))


def list_models(pattern: str = "*") -> tuple[str, ...]:
    """The canonical names at the sizes of the literature that match a shell pattern, such as `*p4cnn*`."""
    return tuple(name for name in _names() if fnmatchcase(name, pattern))


def _names() -> Iterator[str]:
    for head, (variant, word, architecture) in known_prefixes().items():
        if head != f"{variant}{word}{architecture}":
            continue  # the other spelling of a group
        published = ARCHITECTURES.get(architecture) if word in LATTICE_WORDS else None
        sizes = (OTHER_SIZES[architecture],) if published is None else published.sizes
        yield from (f"{head}_{size}" for size in sizes)


def _make(plan: NetworkSpec) -> Network:
    model = _network(plan)
    if plan.name.size < model.minimum:
        mend = f"{plan.name.head}_{-(-max(model.minimum, plan.design.sizes[0]) // model.divisor) * model.divisor}"
        raise ModelError(f"{plan.name} is too small: it needs at least {model.minimum} pixels, for example {mend}")
    model.architecture = plan.to_dict()
    return model


def _network(plan: NetworkSpec) -> Network:
    name, design = plan.name, plan.design
    common: dict[str, Any] = {"in_chans": plan.in_chans, "num_classes": plan.num_classes, "coset_pool": plan.coset_pool}
    common |= {"downsample": plan.downsample, "relax": plan.relax}
    if name.architecture in CNNS:
        common |= {"pools": design.pools, "padding": design.padding, "dropout": plan.dropout}
        return CNN(name.group, plan.widths[0], **common)
    if name.architecture == "knight":
        return Knight(name.group, plan.widths[0], **common)
    common |= {"variant": name.variant, "coset_first": not name.architecture.startswith("pcam")}
    return ResNet(name.group, plan.widths, design.blocks, **common)


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Weights drawn inside are those of `seed`, on the CPU; the global generator is put back."""
    if seed is None:
        yield
        return
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ModelError(f"seed is {seed!r}, expected a whole number from 0 to 2**63 - 1, for example 0")
    # torch.manual_seed would reseed every GPU too
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield
