"""The registry of networks: create one by name, build one from plain data, list them.

Names are explained in `zoo.models.names`; the families are found in `zoo.models.families`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from symdata.errors import whole
from zoo.errors import ModelError
from zoo.files import bundled
from zoo.models.averaged import COPIES, FORM, AveragedSpec, InvarianceAverage
from zoo.models.family import families
from zoo.models.names import ModelName
from zoo.models.own import is_own
from zoo.models.spec import NetworkSpec
from zoo.models.steerable import export as export_steerable


def create(
    name: str | ModelName,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    width: int | Sequence[int] | None = None,
    average: str | Sequence[str] | None = None,
    copies: int | None = None,
    seed: int | None = None,
    **choices: Any,
) -> nn.Module:
    """The network of that name with fresh weights: images (B, in_chans, size, size) to logits (B, num_classes).

    It has `.features(images)`, the last feature map; `.group`; and `.architecture`, from which `build` makes the same
    module. It takes images of other sizes too; the size of its name is the one that it is meant for.

    Args:
        name: such as `p4cnn_28` or `gcp4resnet44_33`; data after a dot is ignored, only `zoo.load` finds weights.
        num_classes: number of logits; by default as published, like the next two.
        in_chans: channels of the images.
        width: fields of every layer of a CNN, of the first stage of a ResNet (later ones double), or of every stage.
        average: generators such as `rotation,translate_x`: the network is averaged over random affine maps whose
            range is learned, see `zoo.models.averaged`; None or `none` for no average.
        copies: number of images of which the mean is taken in eval mode; 4 by default.
        seed: of the weights; the global generators are neither read nor touched. None draws from the global one.
        choices: what the family of the network has:

            coset_pool: whether to take the maximum over the group before the classifier; True by default.
            dropout: rate after layers 1, 3, 4 and 5 of the CNNs; 0 by default.
            downsample: how resolution is lowered, of networks on lattice groups: `stride`, `max`, `avg`, `blur`, `aps`
                or `equivariant`; by default as the architecture has it. With the last two images lie on a torus, every
                padding is circular, and their size must be a multiple of the total stride.
            relax: how all convolutions may leave their lattice group while they are trained: `likelihood`, `residual`,
                `banks`, `bias` or `partial`, see `zoo.layers.relaxed`; `none`, the default, keeps it. On finer groups
                `likelihood` alone.
            path: of a pathcnn: `conv`, `dense`, `factored`, `residual` or `residual-factored`.

    Raises:
        ModelError: for an unknown name, with the nearest ones; for choices out of bounds; for a size that is too small.

    Example:
        >>> net = create("p4cnn_28", in_chans=1, seed=0)
        >>> net(torch.zeros(2, 1, 28, 28)).shape, str(net.group), net.architecture["width"]
        (torch.Size([2, 10]), 'c4', 10)
    """
    parsed = ModelName.parse(name) if isinstance(name, str) else name
    if parsed.data is not None and str(parsed) in bundled():
        bare = str(parsed.bare)
        raise ModelError(f"{str(parsed)!r} has weights: zoo.load({str(parsed)!r}); for an untrained one {bare!r}")
    generators = None if average == "none" else average
    if generators is None and copies is not None:
        raise ModelError(f"copies is {copies!r} and there is no average; leave it out, or add average='rotation'")
    spec = NetworkSpec.of(parsed, num_classes=num_classes, in_chans=in_chans, width=width, **choices)
    with seeded(seed):
        if generators is None:
            return spec.build()
        return AveragedSpec(spec, generators, COPIES if copies is None else copies).build()


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """The module that `architecture` describes, with fresh weights: same class, same keys, same shapes.

    Every key, type and bound is checked before anything is allocated, so that it may come from a file of
    unknown origin; `ModelError` for anything but what `.architecture` of one of our networks holds.

    Bounds:
        A network on a lattice group has at most 200,000,000 parameters and, once its filters are expanded over the
        group, 2**29 numbers in them (2 GiB); one on a finer group 2**26 numbers in all (256 MiB).
    """
    return _read(architecture).build()


def variant(architecture: Mapping[str, Any], *, seed: int | None = None, **facts: Any) -> nn.Module:
    """The module that `architecture` describes with some facts changed, and fresh weights.

    Args:
        architecture: as for `build`.
        seed: as for `create`.
        facts: `name`, of the same family and group; `num_classes`, `in_chans`, `width`, or a choice of the family.
            None leaves a fact as it is.

    Raises:
        ModelError: for what `build` and `create` refuse, and for a name of another family.
    """
    given = {key: value for key, value in facts.items() if value is not None}
    spec = _read(architecture)
    if isinstance(spec, AveragedSpec):
        changed: NetworkSpec | AveragedSpec = replace(spec, network=_changed(spec.network, given))
    else:
        changed = _changed(spec, given)
    with seeded(seed):
        return changed.build()


def _changed(spec: NetworkSpec, given: Mapping[str, Any]) -> NetworkSpec:
    name = given.get("name", spec.name)
    parsed = (ModelName.parse(name) if isinstance(name, str) else name).bare
    if parsed.head != spec.name.head:
        raise ModelError(f"{parsed} is another network than {spec.name}, expected {spec.name.head} at any size")
    own = {key: value for key, value in given.items() if key in ("num_classes", "in_chans", "width")}
    choices = {key: value for key, value in given.items() if key not in (*own, "name")}
    if unknown := [key for key in choices if key not in spec.choices]:
        raise ModelError(f"{parsed} has no choice {unknown[0]!r}; it has {', '.join(spec.choices)}")
    return replace(spec, name=parsed, **own, choices=dict(spec.choices) | choices)


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
    spec = _read(architecture)
    if not spec.in_plain_torch:
        raise ModelError(f"{str(architecture)[:200]} is no exported architecture; expected {{'form': 'exported', ...}}")
    return Needs(spec.parameters(), spec.largest_map(size))


def _read(architecture: Mapping[str, Any]) -> NetworkSpec | AveragedSpec:
    if isinstance(architecture, Mapping) and architecture.get("form") == FORM:
        return AveragedSpec.from_dict(architecture)
    if is_own(architecture):
        raise ModelError("the architecture is of a network of somebody's own; give its code to zoo.load, as arch=")
    return NetworkSpec.from_dict(architecture)


def export(model: nn.Module) -> nn.Module:
    """The same function in plain torch. Networks on lattice groups are that already, and come back as they are.

    Example:
        >>> net = create("p4cnn_28")
        >>> export(net) is net
        True
    """
    if isinstance(model, InvarianceAverage):
        return model.around(export(model.network))
    return export_steerable(model) if getattr(model, "is_steerable", False) else model


def list_models(pattern: str = "*") -> tuple[str, ...]:
    """The canonical names at the sizes of the literature that match a shell pattern, such as `*p4cnn*`."""
    every = (
        f"{variant}{word}{architecture}_{size}"
        for (word, architecture), family in families().items()
        for variant in family.variants_over(word)
        for size in family.sizes
    )
    return tuple(name for name in every if fnmatchcase(name, pattern))


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Weights drawn inside are those of `seed`, on the CPU; the global generator is put back."""
    if seed is None:
        yield
        return
    whole("seed", seed, 0, (1 << 63) - 1, ModelError)
    # torch.manual_seed would reseed every GPU too
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield
