"""Does a dataset folder still hold what its manifest says, and does its source still give these images?"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from symdata.errors import SymdataError
from symdata.keys import permutation
from symdata.recipes.plan import DatasetPlan, resolve
from symdata.recipes.spec import Spec
from symdata.store.dataset import ImageDataset
from symdata.store.manifest import facts, read_manifest, sha256, split_facts
from symdata.store.shards import BLOCK_BYTES, features, table_of

AGAIN = "build the dataset again"
ROUNDING = 1
"""Gray levels by which a resampled pixel may differ: float32 rounds differently on another processor or device."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verification:
    """The outcome of `verify`."""

    folder: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """The checks, ready for JSON."""
        checks = [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks]
        return {"folder": str(self.folder), "passed": self.passed, "checks": checks}


def verify(folder: Path | str, *, samples: int = 64, seed: int = 0, source: str | None = None) -> Verification:
    """Re-hash every shard, and derive a random sample of each split again from the source.

    Args:
        folder: the dataset.
        samples: images per split to derive again; 0 leaves the source alone.
        seed: which samples.
        source: where the source is now, if it has moved.

    Raises:
        StoreError: if the folder is not a dataset at all. What does not match is a failed check, not an exception.
    """
    manifest, place = read_manifest(folder), Path(folder)
    shards = [shard for split in manifest["splits"].values() for shard in split["shards"]]
    checks = [*(_check_shard(place / shard["file"], shard) for shard in shards)]
    checks += [_check_folder(place, {shard["file"] for shard in shards}), _check_counts(manifest)]
    if samples and all(check.passed for check in checks):
        checks += _check_source(place, manifest, samples, seed, source)
    return Verification(place, tuple(checks))


def _check_shard(path: Path, shard: dict[str, Any]) -> Check:
    if not path.is_file():
        return Check(path.name, False, f"missing; {AGAIN}")
    if (found := sha256(path)) != shard["sha256"]:
        said = str(shard["sha256"])
        return Check(path.name, False, f"sha256 is {found[:12]}..., the manifest says {said[:12]}...; {AGAIN}")
    try:
        rows = pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        return Check(path.name, False, f"not a parquet file ({reason}); {AGAIN}")
    if rows != shard["num_examples"]:
        return Check(path.name, False, f"{rows} rows, the manifest says {shard['num_examples']}; {AGAIN}")
    return Check(path.name, True, f"{rows} rows, sha256 as in the manifest")


def _check_folder(place: Path, known: set[str]) -> Check:
    """A shard that the manifest does not know would be loaded by `datasets` all the same."""
    if strangers := sorted(path.name for path in place.rglob("*.parquet") if path.name not in known):
        return Check("folder", False, f"{', '.join(strangers)} not in the manifest; remove it")
    if not (place / "README.md").is_file():
        return Check("folder", False, f"README.md is missing, and it tells `datasets` the splits; {AGAIN}")
    return Check("folder", True, "no parquet file beside those of the manifest")


def _check_counts(manifest: dict[str, Any]) -> Check:
    for split, entry in manifest["splits"].items():
        rows = sum(shard["num_examples"] for shard in entry["shards"])
        if rows != entry["num_examples"]:
            detail = f"split {split!r} is said to have {entry['num_examples']} images, its shards have {rows}; {AGAIN}"
            return Check("counts", False, detail)
    return Check("counts", True, "the shards of each split add up to it")


def _check_source(place: Path, manifest: dict[str, Any], samples: int, seed: int, source: str | None) -> list[Check]:
    try:
        plan = _plan(manifest, source)
    except (SymdataError, TypeError) as error:
        mend = "" if source else "; if the source has moved, name its place with --source"
        return [Check("source", False, f"{error}{mend}")]
    expected, found = str(manifest["source"]["fingerprint"]), plan.source.fingerprint
    if expected != found:
        detail = f"{plan.source.ref} has fingerprint {found[:19]}..., the dataset was built from {expected[:19]}..."
        return [Check("source", False, f"{detail}; name the original with --source, or {AGAIN}")]
    checks = [Check("source", True, f"{plan.source.ref}: fingerprint {found[:19]}... as in the manifest")]
    checks.append(_check_facts(manifest, plan))
    for split in manifest["splits"]:
        checks.append(_checked_split(place, split, plan, samples, seed))
    return checks


def _plan(manifest: dict[str, Any], source: str | None) -> DatasetPlan:
    """What the manifest says was built, from the very revision of its source."""
    spec = manifest["spec"]
    if source is None and manifest["source"].get("revision"):
        source = manifest["source"].get("pinned")
    return resolve(Spec.from_dict(spec | ({"source": source} if source else {})))


def _check_facts(manifest: dict[str, Any], plan: DatasetPlan) -> Check:
    """Everything that the manifest says of the images follows from the spec."""
    if manifest["splits"].keys() != plan.samples.keys():
        found, given = ", ".join(manifest["splits"]), ", ".join(plan.samples)
        return Check("manifest", False, f"it has splits {found}, its spec gives {given}; {AGAIN}")
    wanted = facts(plan)
    said = {key: manifest[key] for key in wanted}
    for split, entry in manifest["splits"].items():
        wanted |= {f"{split} {key}": value for key, value in split_facts(plan, split).items()}
        said |= {f"{split} {key}": entry[key] for key in split_facts(plan, split)}
    if wrong := [key for key in wanted if not _alike(said[key], wanted[key])]:
        key = wrong[0]
        return Check("manifest", False, f"{key} is {said[key]!r}, its spec gives {wanted[key]!r}; {AGAIN}")
    return Check("manifest", True, "symmetries, classes, shape and counts follow from the spec")


def _alike(a: Any, b: Any) -> bool:
    """Equal, or floats that another version of numpy may round otherwise."""
    return math.isclose(a, b, abs_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else bool(a == b)


def _checked_split(place: Path, split: str, plan: DatasetPlan, samples: int, seed: int) -> Check:
    try:
        return _check_split(ImageDataset(place, split), plan, samples, seed)
    except SymdataError as error:
        return Check(split, False, str(error))


def _check_split(dataset: ImageDataset, plan: DatasetPlan, samples: int, seed: int) -> Check:
    n, split = len(dataset), dataset.split
    rows = np.sort(permutation(seed, split, "verify", n)[:samples])
    step = max(1, BLOCK_BYTES // math.prod(plan.shape))
    off = np.concatenate([_differences(dataset, plan, rows[a : a + step]) for a in range(0, len(rows), step)])
    wrong = rows[off > (0 if plan.how.is_exact else ROUNDING)]
    if len(wrong):
        detail = f"{len(wrong)} of {len(rows)} rows are not what the source gives, the first is row {wrong[0]}"
        return Check(split, False, f"{detail}; {AGAIN}")
    how = f"{(off > 0).sum()} of them off by one gray level, as from another device" if off.any() else "bit for bit"
    return Check(split, True, f"{len(rows)} of {n} images derived again, {how}")


def _differences(dataset: ImageDataset, plan: DatasetPlan, rows: np.ndarray) -> np.ndarray:
    """Gray levels by which the images of some rows are off, (n,) int; 256 where any other column differs."""
    batch = plan.batch(dataset.split, rows)
    table = table_of(plan, dataset.split, batch, features(plan).arrow_schema).drop_columns("image")
    off: np.ndarray = (batch.images.cpu().int() - dataset.images(rows).int()).abs().amax((1, 2, 3)).numpy()
    same = [a == b for a, b in zip(table.to_pylist(), dataset.rows(rows), strict=True)]
    return np.where(same, off, 256)
