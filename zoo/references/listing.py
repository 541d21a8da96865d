"""The list of models: networks that can be created, bundled ones that come trained, and those of a user on the Hub."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from symdata.display import Result, Table
from symdata.groups import Group
from symdata.sources import open_source
from symdata.store import load
from symdata.store.manifest import MANIFEST
from zoo.checkpoint.manifest import innermost
from zoo.errors import ModelError
from zoo.files import bundled, bundled_folder
from zoo.models import registry
from zoo.models.names import ModelName
from zoo.models.spec import NetworkSpec
from zoo.references.cost import cost, short_count
from zoo.references.loading import info

HEADER = ("model", "group", "parameters", "channels", "pixels", "at this size", "weights")
COSTS = ("multiply-adds", "activations", "times the plain")
"""Columns of a listing with costs."""


@dataclass(frozen=True)
class ModelListing(Result):
    """Models by name, a row of plain data for each."""

    rows: tuple[Mapping[str, Any], ...]
    advice: str = ""
    """Why there are none, if there are none."""

    def parts(self) -> Iterator[str | Table]:
        if not self.rows:
            yield self.advice
            return
        header = HEADER + (COSTS if any("cost" in row for row in self.rows) else ())
        yield Table(header, [_cells(row) for row in self.rows])
        named = {(row["architecture"], row["description"], row["paper"]): None for row in self.rows}
        yield Table(("architecture", "what it is", "paper"), [row for row in named if row[1]])

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"models": [dict(row) for row in self.rows]}


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
        pattern: of the name; of a repository, the part after the slash.
        group: only networks on this group, such as `c4`.
        exact: only those that are exactly equivariant at the size in their name, or only those that are not. Networks
            without a group, and untrained ones on groups beyond the lattice, are neither.
        pretrained: only models that come with weights.
        namespace: with `pretrained`, those of this user or organisation of the Hub, as `user/name`, instead of the
            bundled ones.

    Raises:
        SymmetryError: for an unknown group.
        HubError: if the Hub cannot be reached.

    Example:
        >>> list_models("*cnn_2?", group="c4", exact=True)
        ('p4cnn_28', 'p4cwcnn_28')
    """
    if namespace is None and group is None and exact is None:  # names alone: no file is read
        names = bundled() if pretrained else registry.list_models(pattern)
        return tuple(name for name in names if fnmatchcase(name, pattern))
    if namespace is not None and not pretrained:
        raise ModelError(f"namespace is {namespace!r} without pretrained=True; the Hub has trained models only")
    found = trained(pattern, namespace) if pretrained else untrained(pattern)
    return tuple(row["name"] for row in found if _is_chosen(row, group, exact))


def list_rows(
    pattern: str = "*", *, pretrained: bool = False, namespace: str | None = None, costs: bool = False, **asked: Any
) -> ModelListing:
    """Trained models and, unless `pretrained`, networks that can be created, with their group, size and exactness.

    Arguments as in `list_models`; with `namespace` there are only the models of that user. `costs` adds what
    one image takes (`zoo.cost`), of networks that can be created or are bundled.

    Example:
        >>> print(list_rows("p4knight_3?"))
        model        group  parameters  channels  pixels  at this size  weights
        -----------  -----  ----------  --------  ------  ------------  -------
        p4knight_33  c4             14  1         33      exact
        p4knight_32  c4             14  1         32      phi = 1
        <BLANKLINE>
        architecture  what it is ...
    """
    found = trained(pattern, namespace)
    if not pretrained and namespace is None:
        found += untrained(pattern)
    if rows := tuple(row for row in found if _is_chosen(row, **asked)):
        return ModelListing(tuple({**row, "cost": cost(row["name"]).to_dict()} for row in rows) if costs else rows)
    if namespace is not None and pattern == "*" and not found:
        advice = f"{namespace!r} has published no model of symdata on the Hub that you may read; check the name"
    elif found:
        advice = f"no model that matches {pattern!r} is of that group and exactness; leave --group or --exact out"
    else:
        known = bundled() if pretrained else (*bundled(), *registry.list_models())
        near = [] if namespace else get_close_matches(pattern.strip("*"), known, 3, 0.5)
        mend = f"did you mean {' or '.join(near)}?" if near else "leave it out to see all, or write it as in '*cnn*'"
        advice = f"no {'trained ' if pretrained else ''}model matches {pattern!r}; {mend}"
    return ModelListing((), advice)


def _is_chosen(row: Mapping[str, Any], group: Group | str | None = None, exact: bool | None = None) -> bool:
    """Whether a model is on that group, and exact or not as asked; one without a group is neither."""
    wanted = row["group"] if group is None else str(Group.parse(group) if isinstance(group, str) else group)
    return row["group"] == wanted and (exact is None or (row["group"] != "c1" and row["exact"] is exact))


def untrained(pattern: str = "*") -> list[dict[str, Any]]:
    """Networks by name, at the sizes of the literature, or the one of another size that `pattern` names."""
    names = registry.list_models(pattern)
    if not names:
        with suppress(ModelError):
            names = (pattern,) if ModelName.parse(pattern).data is None else ()
    return [_untrained_row(NetworkSpec.of(name)) for name in names]


def _untrained_row(spec: NetworkSpec) -> dict[str, Any]:
    name, parameters = spec.name, spec.parameters() if spec.in_plain_torch else None
    return {
        "name": str(name), "group": str(name.group), "architecture": name.architecture, "variant": name.variant,
        "description": name.family.description, "paper": name.family.paper,
        "size": name.size, "classes": spec.num_classes, "channels": spec.in_chans, "width": spec.width,
        "parameters": parameters, "phi": spec.phi, "exact": None if spec.phi is None else spec.phi == 0,
        "weights": None,
    }  # fmt: skip


def trained(pattern: str = "*", namespace: str | None = None) -> list[dict[str, Any]]:
    """Models with weights, from their config.json: the bundled ones, or those of a namespace on the Hub."""
    if namespace is None:
        found = [(name, info(bundled_folder(name))) for name in bundled()]
    else:
        from zoo.hub.repository import published

        found = published(namespace)
    where = "bundled" if namespace is None else "Hub"
    return [_trained_row(name, config, where) for name, config in found if fnmatchcase(name.split("/")[-1], pattern)]


def _trained_row(name: str, config: Mapping[str, Any], weights: str) -> dict[str, Any]:
    architecture, exactness = innermost(config["architecture"]), config["exactness"]
    family = ModelName.parse(architecture["name"]).family
    return {
        "name": name, "group": config["group"], "architecture": family.architecture,
        "description": family.description, "paper": family.paper,
        "size": config["input_size"][0], "phi": max(exactness["phi"]),
        "classes": len(config["classes"]), "channels": len(config["preprocessing"]["mean"]),
        "width": architecture.get("width"), "parameters": config["weights"]["parameters"],
        "exact": exactness["exact"], "weights": weights,
    }  # fmt: skip


def _cells(row: Mapping[str, Any]) -> list[str]:
    count = "" if row["parameters"] is None else f"{row['parameters']:,}"
    numbers = [count.rjust(10), str(row["channels"]), str(row["size"])]
    cells = [row["name"], row["group"], *numbers, _exactness(row), row["weights"] or ""]
    if (paid := row.get("cost")) is not None:
        price = "" if paid["price"] is None else f"{paid['price']:.1f}"
        cells += [short_count(paid["multiply_adds"]), short_count(paid["activations"]), price]
    return cells


def _exactness(row: Mapping[str, Any]) -> str:
    """`plain` without a group; `relaxed` where the grids are exact and the filters left the group."""
    if row["group"] == "c1":
        return "plain"
    if row["exact"] is None:
        return ""
    return "exact" if row["exact"] else f"phi = {row['phi']:g}" if row["phi"] else "relaxed"


def made_for(ref: str, split: str) -> tuple[str, ...]:
    """The bundled models that were trained on the same source of images and have its classes.

    Args:
        ref: a dataset folder or a source.
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
