"""What a manifest, or the outline of one, says in a table and as plain data."""

from collections.abc import Mapping, Sequence
from typing import Any

from symdata.display import Table
from symdata.recipes.splitting import notes as split_notes
from symdata.sources.files import omission_notes


def splits_table(manifest: Mapping[str, Any], notes: Sequence[str] = ()) -> Table:
    """The splits in a manifest: how many images of which size, moved by which symmetry."""
    c, h, w = manifest["shape"]
    rows = [
        (name, f"{split['num_examples']:,}", f"{h}x{w}x{c}", split["symmetry"], f"{split['degree']:.3f}")
        for name, split in manifest["splits"].items()
    ]
    said = [*split_notes(manifest), *omission_notes(manifest.get("source", {})), *notes]
    return Table(("split", "images", "size", "symmetry", "degree"), rows, notes=said)


def summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan says of itself as plain data, from the outline of its manifest."""
    splits = {
        name: {key: split[key] for key in ("num_examples", "symmetry")} for name, split in manifest["splits"].items()
    }
    source = manifest.get("source", {})
    omitted = {key: source[key] for key in ("skipped", "passed_over") if key in source}
    return {"spec": manifest["spec"], "shape": manifest["shape"], "splits": splits, **omitted}
