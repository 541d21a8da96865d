"""The manifest of a dataset folder, symdata.json: what was built, from what, with what, and the hash of every shard."""

import json
import platform
import re
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any

from symdata._version import __version__
from symdata.errors import StoreError
from symdata.recipes.plan import DatasetPlan
from symdata.store.png import ENCODER
from symdata.store.shards import Shard

MANIFEST = "symdata.json"
FORMAT = 1
LARGEST = 1 << 26
"""Bytes of a JSON file that is read: about 300,000 shards."""


def describe(plan: DatasetPlan, shards: list[Shard], folder: Path) -> dict[str, Any]:
    """The manifest of a built folder, ready for JSON."""
    source = plan.source
    return {
        "format": FORMAT,
        "name": plan.name,
        "spec": plan.spec.to_dict(),
        "source": {
            "ref": source.ref,
            "name": source.name,
            "license": source.license,
            "fingerprint": source.fingerprint,
            "revision": source.revision,
            "pinned": plan.pinned,
        },
        **facts(plan),
        "encoder": ENCODER,
        "splits": {split: _split_entry(plan, split, shards, folder) for split in plan.samples},
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """What has a hand in the bytes of a dataset."""
    libraries = ("torch", "kornia", "datasets", "pyarrow", "isal", "zlib-ng")
    own = {"symdata": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in libraries}


def facts(plan: DatasetPlan) -> dict[str, Any]:
    """The part of the manifest that says of all images what they are."""
    return {
        "classes": list(plan.classes),
        "shape": list(plan.shape),
        "poses": [{"angle": pose.angle, "flip": pose.flip} for pose in plan.poses],
        "resampling": dict(vars(plan.how)),
    }


def split_facts(plan: DatasetPlan, split: str) -> dict[str, Any]:
    """The part of the manifest that says of a split what it is."""
    symmetry = plan.symmetries[split]
    return {
        "symmetry": str(symmetry),
        "degree": symmetry.degree,
        "group": plan.group(split).name,
        "from": list(plan.samples[split].origin),
        "num_examples": len(plan.samples[split]),
    }


def _split_entry(plan: DatasetPlan, split: str, shards: list[Shard], folder: Path) -> dict[str, Any]:
    return split_facts(plan, split) | {"shards": [_shard_entry(s, folder / s.file) for s in shards if s.split == split]}


def _shard_entry(shard: Shard, path: Path) -> dict[str, Any]:
    return {
        "file": shard.file,
        "num_examples": len(shard),
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
    }


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


_KEYS = {"name", "spec", "source", "classes", "shape", "poses", "resampling", "encoder", "splits", "versions"}
_SPLIT_KEYS = {"symmetry", "degree", "group", "from", "num_examples", "shards"}
_SHARD_KEYS = {"file", "num_examples", "bytes", "sha256"}
_SHARD = re.compile(r"[\w-][\w.-]*\.parquet")


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """The manifest of a dataset folder; `StoreError` if there is none, or it is not one."""
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


def _missing(manifest: dict[str, Any]) -> str | None:
    """The first thing that a manifest should say and does not."""
    if absent := sorted(_KEYS - manifest.keys()):
        return absent[0]
    if not isinstance(manifest["splits"], dict) or not manifest["splits"]:
        return "splits"
    for split, entry in manifest["splits"].items():
        if not isinstance(entry, dict) or (absent := sorted(_SPLIT_KEYS - entry.keys())):
            return f"splits.{split}.{absent[0]}" if isinstance(entry, dict) else f"splits.{split}"
        if not isinstance(entry["shards"], list) or not entry["shards"]:
            return f"splits.{split}.shards"
        if not _is_count(entry["num_examples"]) or not all(map(_is_shard, entry["shards"])):
            return f"splits.{split}.shards"
    source = manifest["source"]
    return None if isinstance(source, dict) and {"fingerprint", "license", "ref"} <= source.keys() else "source"


def _is_shard(entry: Any) -> bool:
    """Whether this is an entry of `shards`: its file is in the folder itself, whatever the manifest says."""
    if not isinstance(entry, dict) or not entry.keys() >= _SHARD_KEYS:
        return False
    counts = _is_count(entry["num_examples"]) and _is_count(entry["bytes"])
    return counts and isinstance(entry["sha256"], str) and _SHARD.fullmatch(str(entry["file"])) is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None if it is missing, broken or far too large."""
    try:
        return None if path.stat().st_size > LARGEST else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
