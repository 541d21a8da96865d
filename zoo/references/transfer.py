"""Transfer learning: the weights of a trained model in a network with other classes, channels or size."""

import logging
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.exactness.audits import audit
from zoo.exactness.tracer import duplicate
from zoo.inference.opened_model import OpenedModel
from zoo.models import registry
from zoo.models.code import Arch, make_network
from zoo.models.names import ModelName
from zoo.models.own import zoo_architecture
from zoo.preprocessing import Preprocessing
from zoo.references.classifier import classifier_name, named_classifier

logger = logging.getLogger("zoo")


def transferred(source: OpenedModel, *, arch: Arch | None = None, seed: int | None = None, **facts: Any) -> nn.Module:
    """A network like `source`, with some facts changed and all weights that fit; in eval mode.

    New tensors, and what an audit says of another size, are logged.

    Args:
        source: a network that `zoo.create` can make, or one of somebody's own.
        arch: the code of one's own.
        seed: of the fresh weights.
        facts: as for `zoo.models.registry.variant`: `name`, `num_classes`, `in_chans`, ...
    """
    architecture = zoo_architecture(source.model)
    if architecture:
        network = registry.variant(architecture, seed=seed, **facts)
        fresh = transfer(source.model, network)
    elif arch is None:
        raise ModelError(f"{source.name!r} was not made by zoo.create, so no network like it can be made")
    else:
        network, fresh = _own(source, arch, seed, **facts)
    known: dict[str, Any] = {"new_tensors": fresh}
    if source.preprocessing is not None:
        name = facts.get("name")
        size = source.preprocessing.size if name is None else ModelName.parse(str(name)).size
        known["preprocessing"] = _preprocessing(source.preprocessing, size, facts.get("in_chans"))
    if source.classes is not None and not fresh:
        known["classes"] = source.classes
    for attribute, value in known.items():
        setattr(network, attribute, value)
    say_new(source.name, fresh)
    network.eval()
    if source.preprocessing is not None and size != source.preprocessing.size:
        verdict = audit(registry.export(network), size).verdict
        logger.warning("%s, trained at %d pixels, %s", source.name, source.preprocessing.size, verdict)
    return network


def say_new(name: str, fresh: tuple[str, ...]) -> None:
    """Log the names of the tensors that are not those of a trained model."""
    if fresh:
        logger.warning("%s: not trained, because they are new: %s", name, ", ".join(fresh))


def _own(
    source: OpenedModel, arch: Arch, seed: int | None, *, num_classes: int | None = None, in_chans: int | None = None
) -> tuple[nn.Module, tuple[str, ...]]:
    """The network that the same code makes for other classes or channels, and the names of its new tensors."""
    known = source.require_preprocessing()
    had = len(source.classes or ())
    classes, channels = had if num_classes is None else num_classes, in_chans or known.channels
    if not classes:
        raise ModelError(
            f"num_classes is 0 and {source.name!r} is a network of somebody's own, which says no features; "
            "let its code make a network without a classifier"
        )
    with registry.seeded(seed):
        network = make_network(arch, num_classes=classes, in_chans=channels).cpu()
    images = torch.zeros(1, channels, known.size, known.size)
    head = None if classes == had else classifier_name(network, images)
    with torch.no_grad():
        made = duplicate(network)(images).shape[-1]
    if made != classes:
        raise ModelError(
            f"the code makes a network of {made} logits for num_classes={classes}; let it take num_classes"
        )
    return network, transfer(source.model, network, head)


def _preprocessing(known: Preprocessing, size: int, channels: int | None) -> Preprocessing:
    """For another size, and for another number of channels: each then has the mean of the old means and deviations."""
    if channels in (None, known.channels):
        return replace(known, size=size)
    mean, std = ((sum(values) / len(values),) * channels for values in (known.mean, known.std))
    return replace(known, size=size, mean=mean, std=std)


@torch.no_grad()
def transfer(source: nn.Module, target: nn.Module, head: str | None = None) -> tuple[str, ...]:
    """Copy the weights and statistics of `source` to `target`, which has the same layers.

    Args:
        source: a trained network.
        target: a network of the same family, group and width; its number of channels may differ, and its number of
            classes: then its classifier stays as it is.
        head: name of the classifier, which then stays as it is in any case; by default it is what both models say by
            `get_classifier`, and stays as it is if its shape is another.

    Returns:
        Names of the tensors of `target` that were not copied.

    Raises:
        ModelError: for any other difference between the two.

    Example:
        >>> import zoo
        >>> trained, fresh = zoo.load("p4cnn_28.mnist-none"), zoo.create("p4cnn_28", num_classes=3, in_chans=1)
        >>> transfer(trained, fresh)
        ('head.weight', 'head.bias')
    """
    own, given, fresh = target.state_dict(), source.state_dict(), []
    old, new = (
        f"{name}." if name else None for name in (head or named_classifier(model) for model in (source, target))
    )
    of_head = [key for key in own if new and key.startswith(new)]
    new_head = head is not None or any(key not in given or given[key].shape != own[key].shape for key in of_head)
    for key, tensor in own.items():
        found = given.get(key)
        if new_head and key in of_head:
            fresh.append(key)
        elif found is None:
            raise ModelError(f"the trained network has no {key!r}; {_MEND}")
        else:
            tensor.copy_(found if found.shape == tensor.shape else _channels(key, found, tensor.shape))
    if left := [key for key in given if key not in own and not (old and key.startswith(old))]:
        raise ModelError(f"the trained network has {left[0]!r}, and the new one has not; {_MEND}")
    return tuple(fresh)


_MEND = "take a network with the same name but for its size, and the same width and choices"


def _channels(key: str, trained: Tensor, shape: torch.Size) -> Tensor:
    """Filters for another number of input channels: their sum over the channels, spread evenly.

    Every orientation changes alike, so what was equivariant stays so.
    """
    if trained.ndim < 3 or (*trained.shape[:1], *trained.shape[2:]) != (*shape[:1], *shape[2:]):
        raise ModelError(f"{key!r} is {tuple(trained.shape)} in the trained network and {tuple(shape)} here; {_MEND}")
    return trained.sum(1, keepdim=True).expand(shape) / shape[1]
