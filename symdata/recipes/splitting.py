"""How the splits of a dataset come about: the groups that are not divided, checks, and what the manifest says."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symdata.errors import RecipeError, SourceError
from symdata.recipes.catalog import Recipe
from symdata.recipes.extras import Extras
from symdata.recipes.sampling import Samples
from symdata.recipes.spec import Spec
from symdata.sources import Source

OURS = {"element", "angle", "flip", "index"}
"""The columns that say that a source is a dataset of symdata."""


def groups_of(spec: Spec, source: Source, extras: Extras) -> dict[str, np.ndarray] | None:
    """The group of each image of each split of the source, (n,) int64; None if each image is its own.

    Without `group_by`, the images of a dataset of symdata that come from one source image are a group.

    Raises:
        RecipeError: if there is no such column, a value is missing, or a group is in two splits of the source.
    """
    if (name := spec.group_by) is None:
        return _repeated(source, extras)
    if name not in extras.schema.names:
        known = f"it has {', '.join(extras.schema.names)}" if extras.schema.names else "it has none to group by"
        for table in list(getattr(source, "tables", ()))[:1]:
            known += f"; take those of the table beside its images with {source.ref + ',columns=' + table!r}"
        raise RecipeError(f"source {source.ref!r} has no column {name!r} beside image and label; {known}")
    if pa.types.is_nested(kind := extras.schema.field(name).type):
        raise RecipeError(f"column {name!r} is of type {kind}; --group-by needs one value an image, such as a patient")
    values = pa.chunked_array([chunk for table in extras.tables.values() for chunk in table.column(name).chunks])
    if values.null_count:
        raise RecipeError(f"column {name!r} has no value for {values.null_count} images; fill them or drop those rows")
    codes = pc.dictionary_encode(values).combine_chunks().indices.to_numpy().astype(np.int64)
    found = dict(zip(source.splits, np.split(codes, np.cumsum(list(source.splits.values()))[:-1]), strict=True))
    _check_apart(name, found, values, codes, source)
    return found


def _repeated(source: Source, extras: Extras) -> dict[str, np.ndarray] | None:
    if "train" not in source.splits or not OURS.issubset(extras.schema.names):
        return None
    index = extras.tables["train"].column("index").to_numpy()
    return {"train": index} if len(np.unique(index)) < len(index) else None


def _check_apart(
    name: str, found: Mapping[str, np.ndarray], values: pa.ChunkedArray, codes: np.ndarray, source: Source
) -> None:
    splits = list(found)
    for i, one in enumerate(splits):
        for other in splits[:i]:
            if len(both := np.intersect1d(found[one], found[other])):
                value = values[int(np.flatnonzero(codes == both[0])[0])].as_py()
                alone = f"{source.ref},splits={'train' if 'train' in splits else splits[0]}"
                raise RecipeError(
                    f"{len(both)} values of column {name!r}, such as {value!r}, are in the splits {other} and {one} of "
                    f"source {source.ref!r}; divide one split anew, as in {alone!r} with --test 0.2"
                )


def check_splits(spec: Spec, source: Source, recipe: Recipe, samples: Mapping[str, Samples]) -> None:
    """Refuse options without effect, and splits without samples."""
    if spec.test_symmetry is not None and "test" not in samples:
        raise RecipeError(
            f"there is no test split for --test-symmetry, only {', '.join(samples)}; "
            "hold one out, as with --test 0.2, or leave it out"
        )
    for name, share in (("validation", spec.validation), ("test", spec.test)):
        if share and recipe.pool:
            raise RecipeError(f"recipe {recipe.name!r} has a {name} split of its own; leave --{name} out")
        if share and name in source.splits:
            raise RecipeError(f"source {source.ref!r} has a {name} split of its own; leave --{name} out")
        if share and "train" not in source.splits:
            raise RecipeError(f"source {source.ref!r} has no training split to hold images out of; leave --{name} out")
    if spec.group_by is not None and recipe.pool:
        raise RecipeError(f"recipe {recipe.name!r} divides single images; leave --group-by out")
    if spec.group_by is not None and len(samples) == 1:
        raise RecipeError("--group-by divides nothing, because nothing is held out; add --test 0.2")
    if empty := [split for split, planned in samples.items() if not len(planned)]:
        raise SourceError(f"split {empty[0]!r} comes out empty; use a larger --count or another source")


def division(
    spec: Spec, source: Source, samples: Mapping[str, Samples], groups: Mapping[str, np.ndarray] | None
) -> dict[str, Any]:
    """What the manifest says of splits that `test` or `group_by` made: shares of images that they have, and groups."""
    held_out = any(split != "train" and own.origin == ("train",) for split, own in samples.items())
    if not (held_out and (spec.test or groups is not None)):
        return {}
    images = {split: np.unique(own.index[:, 0]) for split, own in samples.items() if own.origin == ("train",)}
    labels, total = source.labels("train"), sum(map(len, images.values()))
    every = np.bincount(np.concatenate([labels[rows] for rows in images.values()]))
    said: dict[str, Any] = {"column": spec.group_by or ("index" if groups else None), "splits": {}}
    for split, rows in images.items():
        of_class = (np.bincount(labels[rows], minlength=len(every)) / np.maximum(every, 1))[every > 0]
        said["splits"][split] = {
            "images": len(rows),
            "share": round(len(rows) / total, 4),
            "share_of_a_class": [round(float(of_class.min()), 4), round(float(of_class.max()), 4)],
        }
        if groups is not None:
            said["splits"][split]["groups"] = len(np.unique(groups["train"][rows]))
    return {"division": said}


def repeats(samples: Samples) -> dict[str, int]:
    """How many source images a split has, if any is in several samples; else nothing."""
    images = len(np.unique(samples.index))
    return {"source_images": images} if images < samples.index.size else {}


def notes(manifest: Mapping[str, Any]) -> list[str]:
    """Sentences about the splits in a manifest: how they were made, and which have images several times."""
    found = []
    for split, own in manifest.get("division", {}).get("splits", {}).items():
        low, high = own["share_of_a_class"]
        groups = f" in {own['groups']:,} groups" if "groups" in own else ""
        share = f"{own['share']:.1%} of all, {low:.1%} to {high:.1%} of a class"
        found.append(f"{split}: {own['images']:,} source images{groups}, {share}")
    if by := manifest.get("division", {}).get("column"):
        found.append(f"no value of column {by!r} is in two splits")
    found += [
        f"{split}: {entry['num_examples']:,} images of {entry['source_images']:,} source images, so images repeat; "
        "divide it by column index only"
        for split, entry in manifest["splits"].items()
        if "source_images" in entry
    ]
    return found
