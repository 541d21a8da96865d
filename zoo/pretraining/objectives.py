"""What a pretraining learns from: the label of a pretext task, or two views of an image; written as
`name:field=value,field=value`, as in `erased-quadrant:head=invariant` or `contrastive:over=mean,temperature=0.1`."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from symdata.errors import suggest
from symdata.fields import declare, one_of, read, real
from symdata.groups import Group
from symdata.keys import uniforms
from zoo.errors import ModelError
from zoo.layers.regular import order
from zoo.models.network import Network
from zoo.pretraining.contrastive import SIMILARITIES, ContrastiveHead, partners
from zoo.pretraining.heads import EquivariantLabelHead, InvariantLabelHead
from zoo.pretraining.tasks import TASKS, PretextTask, label_orbits

CONTRASTIVE = "contrastive"
HEADS = ("equivariant", "invariant")


@dataclass(frozen=True)
class Pretext:
    """The base of what a pretraining learns from."""

    views: ClassVar[int] = 1
    """How often each image is augmented for one step, every time anew."""

    name: str
    maps: float = declare(0.0, real(0, 1e6), "Weight of the equivariance error of the feature maps; see `MapError`.")

    @property
    def coset_pool(self) -> bool:
        """Whether the network takes the maximum over its group before the head."""
        return False

    def new_head(self, network: Network) -> nn.Module:
        """A head with fresh weights for the features of a network."""
        raise NotImplementedError

    def made(self, views: list[Tensor], keys: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        """Images for the network and the labels of its logits, from augmented images (B, C, S, S) and keys (B,)."""
        raise NotImplementedError

    def outputs(self, network: Network) -> tuple[str, ...]:
        """The names of the outputs of the network that is written: its features, where the head is not kept."""
        size = 1 if self.coset_pool else order(network.group)
        words = [""] if self.coset_pool else [f" at {element}" for element in network.group.elements]
        return tuple(f"field {c}{words[g]}" for g in range(size) for c in range(network.num_features // size))

    def describe(self, group: Group) -> str:
        """The objective in a line."""
        raise NotImplementedError

    def __str__(self) -> str:
        """The text that makes it: the name, and the fields that are not the default."""
        given = [
            f"{field.name}={_written(value)}"
            for field in _fields(type(self))
            if (value := getattr(self, field.name)) != field.default
        ]
        return f"{self.name}:{','.join(given)}" if given else self.name


@dataclass(frozen=True)
class LabelPretext(Pretext):
    """The label of a pretext task, found by a head that moves with the labels, or by one that cannot.

    Example:
        >>> print(parse_pretext("jigsaw:head=invariant"), parse_pretext("jigsaw").describe(Group(4)), sep="; ")
        jigsaw:head=invariant; jigsaw: 24 labels in 10 orbits of c4, equivariant head
    """

    head: str = declare("equivariant", one_of(*HEADS), "Whether logits move with the labels, or stay.")

    def task(self, group: Group) -> PretextTask:
        """The task over the group of a network."""
        return TASKS[self.name](group)

    @property
    def coset_pool(self) -> bool:
        return self.head == "invariant"

    def new_head(self, network: Network) -> nn.Module:
        task = self.task(network.group)
        if self.coset_pool:
            return InvariantLabelHead(task, network.num_features)
        return EquivariantLabelHead(task, network.num_features // order(network.group))

    def made(self, views: list[Tensor], keys: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        task = self.task(group)
        (drawn,) = uniforms(keys.cpu().numpy(), 1)
        labels = torch.from_numpy((drawn * len(task.classes)).astype(np.int64)).to(keys.device)
        return task(views[0], labels), labels

    def outputs(self, network: Network) -> tuple[str, ...]:
        task = self.task(network.group)
        return task.classes if task.pieces == 1 else super().outputs(network)

    def describe(self, group: Group) -> str:
        task = self.task(group)
        orbits = len(label_orbits(task))
        many = f"{len(task.classes)} labels in {orbits} orbit{'s' * (orbits > 1)} of {group}"
        return f"{self.name}: {many}, {self.head} head"


@dataclass(frozen=True)
class ContrastivePretext(Pretext):
    """Two views of each image: augmented twice, and in each a random square erased; see `contrastive_loss`."""

    views: ClassVar[int] = 2

    over: str = declare("max", one_of(*SIMILARITIES), "How two views are compared; see `similarity`.")
    temperature: float = declare(0.07, real(1e-3, 1e3), "Similarities are divided by it.")
    erase: float = declare(0.4, real(0, 0.9), "Side of the square that is erased, as a share of the image's.")

    def new_head(self, network: Network) -> nn.Module:
        return ContrastiveHead(network.group, self.over, self.temperature)

    def made(self, views: list[Tensor], keys: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        drawn = uniforms(keys.cpu().numpy(), 2 * len(views))
        erased = [
            erase_square(view, round(self.erase * view.shape[-1]), drawn[2 * k], drawn[2 * k + 1])
            for k, view in enumerate(views)
        ]
        images = torch.stack(erased, 1).flatten(0, 1)
        return images, partners(len(images), images.device)

    def describe(self, group: Group) -> str:
        return f"contrastive: two views, compared by {self.over} over {group}, temperature {self.temperature:g}"


def erase_square(images: Tensor, side: int, down: Any, right: Any) -> Tensor:
    """Images (B, C, S, S) with a square of `side` pixels at 0, wherever it fits.

    Args:
        images: of floats.
        side: in pixels.
        down: (B,) uniform numbers in [0, 1), which place it vertically.
        right: the same for its horizontal place.

    Example:
        >>> erase_square(torch.ones(1, 1, 3, 3), 2, np.array([0.9]), np.array([0.1]))[0, 0].tolist()
        [[1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    """
    line = torch.arange(images.shape[-1], device=images.device)
    inside = []
    for place in (down, right):
        start = torch.from_numpy((np.asarray(place) * (len(line) - side + 1)).astype(np.int64)).to(images.device)
        inside.append((line >= start[:, None]) & (line < start[:, None] + side))  # (B, S)
    return images.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0.0)


def parse_pretext(text: str) -> Pretext:
    """The objective of a pretraining that `text` writes.

    Raises:
        ModelError: for an unknown name or field, with the nearest one, and for a value that it cannot have.

    Example:
        >>> str(parse_pretext("contrastive:over=max,temperature=0.5"))
        'contrastive:temperature=0.5'
    """
    name, _, rest = text.partition(":")
    known = (CONTRASTIVE, *TASKS)
    if name not in known:
        raise ModelError(f"no objective of a pretraining {name[:80]!r}; {suggest(name, known)}")
    kind: type[Pretext] = ContrastivePretext if name == CONTRASTIVE else LabelPretext
    fields = {field.name: field for field in _fields(kind)}
    given: dict[str, Any] = {}
    for part in rest.split(",") if rest else ():
        key, equals, value = part.partition("=")
        if key not in fields or key in given or not equals:
            words = ", ".join(f"{field.name}={_written(field.default)}" for field in fields.values())
            raise ModelError(f"objective {text[:120]!r} says {part[:40]!r}, expected each once of {words}")
        given[key] = read(fields[key], value, ModelError)
    return kind(name, **given)


def _fields(kind: type[Pretext]) -> list["dataclasses.Field[Any]"]:
    return [field for field in dataclasses.fields(kind) if field.name != "name"]


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
