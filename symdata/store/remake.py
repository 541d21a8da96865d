"""How to make a dataset again with a split that it lacks."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from symdata.recipes.spec import Spec


def no_split(folder: Path, split: str, manifest: dict[str, Any]) -> str:
    """The message for a split that a dataset lacks; for a test split, with the line that makes the dataset with one."""
    found = manifest["splits"]
    said = f"{str(folder)!r} has no split {split!r}; it has {', '.join(found)}"
    return f"{said}; {make_with_test(folder, manifest)}" if split == "test" and "train" in found else said


def make_with_test(folder: Path | str, manifest: dict[str, Any]) -> str:
    """How to get a test split: the line that makes the dataset again with one."""
    line = replace(Spec.from_dict(manifest["spec"]), test=0.2).command()
    out = shlex.quote(f"{Path(folder).resolve().name}-with-test")
    return f"make it again with one and train on that: `{line} --out {out}`"
