"""The annotations of a source in the plan of a dataset."""

from typing import Any

import numpy as np

from symdata.annotations import Annotations, Schema
from symdata.errors import RecipeError, SourceError
from symdata.groups import Elements
from symdata.recipes.spec import Spec
from symdata.sources import Source
from symdata.sources.base import Ref
from symdata.transforms.resampling import Resampling


def annotation_schema(source: Source) -> Schema | None:
    """What is annotated in the images of a source; None if nothing is."""
    return getattr(source, "annotation_schema", None)


def annotation_facts(source: Source) -> dict[str, Any]:
    """What the manifest says about annotations; empty if there are none."""
    schema = annotation_schema(source)
    return {} if schema is None else {"annotations": schema.to_dict()}


def moved_annotations(
    source: Source, origin: tuple[str, ...], index: np.ndarray, elements: tuple[Elements, ...], how: Resampling
) -> Annotations | None:
    """The annotations of source images (n, 1), moved as the images are; None if the source has none."""
    if annotation_schema(source) is None:
        return None
    (split,), (moves,) = origin, elements  # recipes, which join splits and images, take no annotated source
    upright: Annotations = source.annotations(split, index[:, 0])  # type: ignore[attr-defined]
    return upright.moved(moves, how)


def check_recipe(source: Source, recipe: str) -> None:
    """Refuse a recipe over an annotated source."""
    if recipe and (schema := annotation_schema(source)) is not None:
        raise RecipeError(
            f"recipe {recipe!r} moves images alone, and source {source.ref!r} has {', '.join(schema.kinds)}; "
            f"leave the recipe out, as in `symdata make {source.ref} --symmetry d4`"
        )


def check_void(source: Source, how: Resampling, spec: Spec) -> None:
    """Refuse masks in which void could be mistaken for a class."""
    schema = annotation_schema(source)
    if schema is None:
        return
    pads = spec.size is not None and spec.resize == "pad"
    shows_nothing = pads or how.mask == "disk" or (how.padding == "zeros" and not how.is_exact)
    binary = getattr(source, "binary_masks", False) and schema.void in (0, 255)
    if shows_nothing and binary and "void" not in Ref.parse(source.ref).options:
        raise SourceError(
            f"source {source.ref!r} has masks of 0 and 255 alone, and {schema.void} is written where images show "
            f"nothing; write {source.ref + ',void=128'!r} if 255 is a class, {source.ref + ',void=255'!r} if it is void"
        )
