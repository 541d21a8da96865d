"""What there is: networks that can be created, bundled ones that come trained, and those of a namespace on the Hub."""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from symdata.groups import Group
from symdata.sources import open_source
from symdata.store import load
from symdata.store.manifest import MANIFEST
from zoo.checkpoint.manifest import innermost
from zoo.errors import ModelError
from zoo.files import bundled, bundled_folder
from zoo.models import registry
from zoo.models.names import ModelName
from zoo.references.loading import info


def list_models(
    pattern: str = "*",
    *,
    group: Group | str | None = None,
    exact: bool | None = None,
    pretrained: bool = False,
    namespace: str | None = None,
) -> tuple[str, ...]:
    """The names of models that match a shell pattern, such as `*p4cnn*`: for `zoo.create`, or `zoo.load` if pretrained.

    Args:
        pattern: of the name; a repository matches by the part behind the slash.
        group: only networks on this group, such as `c4`.
        exact: only those that are exactly equivariant at the size in their name, or only those that are not. Networks
            without a group, and untrained ones on groups beyond the lattice, are neither.
        pretrained: only models that come with weights.
        namespace: with `pretrained`, those of this user or organisation of the Hub, as `user/name`, instead of the
            bundled ones.

    Raises:
        SymmetryError: for an unknown group.
        HubError: if the Hub cannot be reached.
    """
    if namespace is None and group is None and exact is None:  # nothing to be looked up
        names = bundled() if pretrained else registry.list_models(pattern)
        return tuple(name for name in names if fnmatchcase(name, pattern))
    if namespace is not None and not pretrained:
        raise ModelError(f"namespace is {namespace!r} without pretrained=True; the Hub has trained models only")
    found = trained(pattern, namespace) if pretrained else untrained(pattern)
    return tuple(row["name"] for row in chosen(found, group, exact))


def chosen(
    rows: Iterable[Mapping[str, Any]], group: Group | str | None, exact: bool | None
) -> Iterator[Mapping[str, Any]]:
    """The rows of a group, and those that are exact or are not."""
    wanted = None if group is None else str(Group.parse(group) if isinstance(group, str) else group)
    for row in rows:
        if (wanted is None or row["group"] == wanted) and (exact is None or verdict(row) is exact):
            yield row


def verdict(row: Mapping[str, Any]) -> bool | None:
    """Whether a network is exact at its size; None for one without a group, where that is no question."""
    return None if row["group"] == "c1" else row["exact"]


def untrained(pattern: str = "*") -> list[dict[str, Any]]:
    """Networks by name, at the sizes of the literature, or the one of another size that `pattern` names."""
    found = [registry.describe(name).to_dict() for name in registry.list_models(pattern) or _asked_for(pattern)]
    return [row | {"exact": None if row["phi"] is None else row["phi"] == 0, "weights": None} for row in found]


def _asked_for(name: str) -> list[str]:
    try:
        return [name] if ModelName.parse(name).data is None else []
    except ModelError:
        return []


def trained(pattern: str = "*", namespace: str | None = None) -> list[dict[str, Any]]:
    """Models with weights, by what their config.json says: the bundled ones, or those of a namespace on the Hub."""
    if namespace is None:
        found = [(name, info(bundled_folder(name))) for name in bundled()]
    else:
        from zoo.hub.repository import published

        found = published(namespace)
    where = "bundled" if namespace is None else "Hub"
    return [_row(name, config, where) for name, config in found if fnmatchcase(name.split("/")[-1], pattern)]


def _row(name: str, config: Mapping[str, Any], weights: str) -> dict[str, Any]:
    architecture, exactness = innermost(config["architecture"]), config["exactness"]
    return {
        "name": name,
        "group": config["group"],
        "size": config["input_size"][0],
        "phi": max(exactness["phi"]),
        "classes": len(config["classes"]),
        "channels": len(config["preprocessing"]["mean"]),
        "width": architecture.get("width"),
        "parameters": config["weights"]["parameters"],
        "exact": exactness["exact"],
        "weights": weights,
    }


def made_for(ref: str, split: str) -> tuple[str, ...]:
    """The bundled models that were trained on images of the same source, laid out as they come, and know its classes.

    Args:
        ref: as for `open_trial`.
        split: name of the split.

    Raises:
        SourceError, StoreError: if there are no such images.
    """
    if (Path(ref) / MANIFEST).is_file():
        dataset = load(ref, split)
        name, classes = str(dataset.manifest["source"]["name"]), dataset.classes
    else:
        source = open_source(ref)
        name, classes = source.name, source.classes
    facts = {model: info(model) for model in bundled()}
    return tuple(
        model
        for model, config in facts.items()
        if tuple(config["classes"]) == tuple(classes) and str(config["dataset"]["name"]).startswith(f"{name}-")
    )
