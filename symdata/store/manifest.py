"""The manifest of a dataset folder, symdata.json: spec, source, versions, and the hash of every shard."""

import platform
import re
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

from symdata._version import __version__
from symdata.errors import StoreError, is_whole
from symdata.recipes.plan import DatasetPlan
from symdata.sources.files import sha256
from symdata.store.files import read_json
from symdata.store.png import ENCODER
from symdata.store.shards import Shard

MANIFEST = "symdata.json"
FORMAT = 1


def describe(plan: DatasetPlan, shards: list[Shard], folder: Path) -> dict[str, Any]:
    """Manifest of a built folder, as plain data for JSON."""
    manifest = outline(plan)
    for split, entry in manifest["splits"].items():
        entry["shards"] = [_shard_entry(shard, folder / shard.file) for shard in shards if shard.split == split]
    return manifest


def outline(plan: DatasetPlan) -> dict[str, Any]:
    """The manifest without the shards, which follows from the plan alone."""
    source = plan.source
    return {
        "format": FORMAT,
        "name": plan.name,
        "spec": plan.spec.to_dict(),
        "source": {key: getattr(source, key) for key in ("ref", "name", "license", "fingerprint", "revision")}
        | {"pinned": plan.pinned},
        **plan.facts(),
        "encoder": ENCODER,
        "splits": {split: plan.split_facts(split) for split in plan.samples},
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of everything that can change the bytes of a dataset."""
    libraries = ("torch", "kornia", "datasets", "pyarrow", "isal", "zlib-ng")
    own = {"symdata": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in libraries}


def _shard_entry(shard: Shard, path: Path) -> dict[str, Any]:
    return {"file": shard.file, "num_examples": len(shard), "bytes": path.stat().st_size, "sha256": sha256(path)}


_KEYS = {"name", "spec", "source", "classes", "shape", "poses", "resampling", "encoder", "splits", "versions"}
_SPLIT_KEYS = {"symmetry", "degree", "group", "from", "num_examples", "shards"}
_SHARD_KEYS = {"file", "num_examples", "bytes", "sha256"}
_SHARD = re.compile(r"[\w-][\w.-]*\.parquet")


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """Read and check the manifest of a dataset folder.

    Raises:
        StoreError: if there is none, or it lacks something.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs", "few", symmetry="d4", count=8, size=8)
        >>> read_manifest("few")["splits"]["train"]["symmetry"]
        'd4'
    """
    if folder == "":
        raise StoreError("the folder is empty; name one (is a variable of the shell unset?)")
    path = Path(folder) / MANIFEST
    manifest = read_json(path)
    if manifest is None:
        raise StoreError(
            f"{str(folder)!r} is not a symdata dataset: {MANIFEST} is missing or is not JSON; "
            "build one with `symdata make`"
        )
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        got = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise StoreError(f"{str(path)!r} has format {got!r}, expected {FORMAT}; build it again with this version")
    if missing := _missing(manifest):
        raise StoreError(f"{str(path)!r} does not say {missing!r}, so it was changed; build the dataset again")
    return manifest


def is_dataset(place: Any) -> bool:
    """Whether a place is a folder that `make` wrote."""
    return isinstance(place, str | PurePath) and place != "" and (Path(place) / MANIFEST).is_file()


def shard_entries(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Entries of all shards of all splits, in order."""
    return [shard for split in manifest["splits"].values() for shard in split["shards"]]


def _missing(manifest: dict[str, Any]) -> str | None:
    """First entry that a manifest lacks, or that has the wrong type; None if it has all."""
    if absent := sorted(_KEYS - manifest.keys()):
        return absent[0]
    splits, source = manifest["splits"], manifest["source"]
    if not isinstance(splits, dict) or not splits:
        return "splits"
    for split, entry in splits.items():
        if not isinstance(entry, dict):
            return f"splits.{split}"
        if absent := sorted(_SPLIT_KEYS - entry.keys()):
            return f"splits.{split}.{absent[0]}"
        shards = entry["shards"]
        if not (isinstance(shards, list) and shards and all(map(_is_shard, shards)) and _is_count(entry)):
            return f"splits.{split}.shards"
    return None if isinstance(source, dict) and {"fingerprint", "license", "ref"} <= source.keys() else "source"


def _is_shard(entry: Any) -> bool:
    """Whether this is an entry of `shards`, with a file in the dataset folder itself."""
    if not isinstance(entry, dict) or not entry.keys() >= _SHARD_KEYS:
        return False
    counts = _is_count(entry) and _is_count(entry, "bytes")
    return counts and isinstance(entry["sha256"], str) and _SHARD.fullmatch(str(entry["file"])) is not None


def _is_count(entry: dict[str, Any], key: str = "num_examples") -> bool:
    return is_whole(entry[key], 0, (1 << 63) - 1)
