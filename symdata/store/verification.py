"""Check that a dataset folder agrees with its manifest, and that its source still gives the same images."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from symdata.display import Result
from symdata.errors import SymdataError, SymmetryError
from symdata.keys import permutation
from symdata.recipes.extras import NO_EXTRAS
from symdata.recipes.plan import DatasetPlan, resolve
from symdata.recipes.spec import Spec
from symdata.sources.files import sha256
from symdata.store.dataset import ImageDataset
from symdata.store.manifest import read_manifest, shard_entries
from symdata.store.shards import BLOCK_BYTES, table_of
from symdata.transforms.resampling import DEFAULT, FIRST_DEFAULT

AGAIN = "build the dataset again"
ROUNDING = 1
"""Gray levels by which a resampled pixel may differ: another processor or device rounds float32 differently."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verification(Result):
    """The outcome of `verify`.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs", "intact", symmetry="c4", count=8, size=8)
        >>> print(symdata.verify("intact", samples=4))
        ok      train-00000-of-00001.parquet: 8 rows, sha256 as in the manifest
        ...
        ok      test: 1 of 1 images derived again, bit for bit
    """

    json_fields = ("folder", "passed", "checks")
    folder: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    def parts(self) -> list[str]:
        return ["\n".join(f"{'ok    ' if c.passed else 'FAILED'}  {c.name}: {c.detail}" for c in self.checks)]


def verify(folder: Path | str, *, samples: int = 64, seed: int = 0, source: Any = None) -> Verification:
    """Hash every shard again, and derive a random sample of each split from the source again.

    Args:
        folder: the dataset.
        samples: images per split to derive again; 0 does not open the source.
        seed: which samples.
        source: where the source is now, if it has moved, or the images themselves if they were given from Python.

    Raises:
        StoreError: if the folder is not a dataset at all. A mismatch is a failed check, not an exception.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs", "damaged", symmetry="d4", count=8, size=8)
        >>> shard = made.folder / "test-00000-of-00001.parquet"
        >>> size = shard.write_bytes(shard.read_bytes()[:-1])
        >>> [check.name for check in symdata.verify("damaged").failed]
        ['test-00000-of-00001.parquet']
    """
    manifest, folder = read_manifest(folder), Path(folder)
    shards = shard_entries(manifest)
    checks = [_check_shard(folder / shard["file"], shard) for shard in shards]
    checks += [_check_folder(folder, {shard["file"] for shard in shards}), _check_counts(manifest)]
    if samples and all(check.passed for check in checks):
        checks += _check_source(folder, manifest, samples, seed, source)
    return Verification(folder, tuple(checks))


def _check_shard(path: Path, shard: dict[str, Any]) -> Check:
    if not path.is_file():
        return Check(path.name, False, f"missing; {AGAIN}")
    if (found := sha256(path)) != shard["sha256"]:
        said = shard["sha256"]
        return Check(path.name, False, f"sha256 is {found[:12]}..., the manifest says {said[:12]}...; {AGAIN}")
    try:
        rows = pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        return Check(path.name, False, f"not a parquet file ({reason}); {AGAIN}")
    if rows != shard["num_examples"]:
        return Check(path.name, False, f"{rows} rows, the manifest says {shard['num_examples']}; {AGAIN}")
    return Check(path.name, True, f"{rows} rows, sha256 as in the manifest")


def _check_folder(folder: Path, known: set[str]) -> Check:
    """Look for shards that the manifest does not list: `datasets` would load them all the same."""
    if strangers := sorted(path.name for path in folder.rglob("*.parquet") if path.name not in known):
        return Check("folder", False, f"{', '.join(strangers)} not in the manifest; remove it")
    if not (folder / "README.md").is_file():
        return Check("folder", False, f"README.md is missing, and it tells `datasets` the splits; {AGAIN}")
    return Check("folder", True, "no parquet file beside those of the manifest")


def _check_counts(manifest: dict[str, Any]) -> Check:
    for split, entry in manifest["splits"].items():
        rows = sum(shard["num_examples"] for shard in entry["shards"])
        if rows != entry["num_examples"]:
            detail = f"split {split!r} is said to have {entry['num_examples']} images, its shards have {rows}; {AGAIN}"
            return Check("counts", False, detail)
    return Check("counts", True, "the shards of each split add up to it")


def _check_source(folder: Path, manifest: dict[str, Any], samples: int, seed: int, source: Any) -> list[Check]:
    said = manifest["source"]
    original = source if source is not None else (said.get("pinned") if said.get("revision") else None)
    try:
        plan = resolve(Spec.from_dict(manifest["spec"] | ({} if original is None else {"source": original})))
    except (SymdataError, TypeError) as error:
        moved = source is None and not isinstance(error, SymmetryError)
        mend = "; if the source has moved, name its place with --source" if moved else ""
        return [Check("source", False, f"{error}{mend}")]
    plan = _as_made(plan, manifest["resampling"])
    if "columns" not in manifest:  # older datasets have no extra columns
        plan = replace(plan, extras=NO_EXTRAS)
    expected, found = str(said["fingerprint"]), plan.source.fingerprint
    if expected != found:
        detail = f"{plan.source.ref} has fingerprint {found[:19]}..., the dataset was built from {expected[:19]}..."
        return [Check("source", False, f"{detail}; name the original with --source, or {AGAIN}")]
    return [
        Check("source", True, f"{plan.source.ref}: fingerprint {found[:19]}... as in the manifest"),
        _check_facts(manifest, plan),
        *(_check_split(folder, split, plan, samples, seed) for split in manifest["splits"]),
    ]


def _as_made(plan: DatasetPlan, said: Any) -> DatasetPlan:
    """The plan with the kernel that `auto` meant when the dataset was made; older manifests say no version."""
    chosen = plan.spec.resample == "auto" and plan.how.kernel == DEFAULT
    if not chosen or not isinstance(said, dict) or "version" in said or said.get("kernel") != FIRST_DEFAULT:
        return plan
    return replace(plan, how=replace(plan.how, kernel=FIRST_DEFAULT))


def _check_facts(manifest: dict[str, Any], plan: DatasetPlan) -> Check:
    """Compare what the manifest says about the images with what follows from its spec."""
    if manifest["splits"].keys() != plan.samples.keys():
        found, given = ", ".join(manifest["splits"]), ", ".join(plan.samples)
        return Check("manifest", False, f"it has splits {found}, its spec gives {given}; {AGAIN}")
    missing = {"annotations": None}  # older manifests say less, but always what is annotated
    pairs = {key: (manifest.get(key, missing.get(key, value)), value) for key, value in plan.facts().items()}
    for split, entry in manifest["splits"].items():
        pairs |= {f"{split} {key}": (entry.get(key, value), value) for key, value in plan.split_facts(split).items()}
    for key, (said, wanted) in pairs.items():
        if not _equal(said, wanted):
            return Check("manifest", False, f"{key} is {said!r}, its spec gives {wanted!r}; {AGAIN}")
    return Check("manifest", True, "symmetries, classes, shape and counts follow from the spec")


def _equal(a: Any, b: Any) -> bool:
    """Whether two values are equal; floats up to the rounding of another version of numpy."""
    return math.isclose(a, b, abs_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else bool(a == b)


def _check_split(folder: Path, split: str, plan: DatasetPlan, samples: int, seed: int) -> Check:
    try:
        dataset = ImageDataset(folder, split)
        rows = np.sort(permutation(seed, split, "verify", len(dataset))[:samples])
        step = max(1, BLOCK_BYTES // math.prod(plan.shape))
        off = np.concatenate([_differences(dataset, plan, rows[a : a + step]) for a in range(0, len(rows), step)])
    except SymdataError as error:
        return Check(split, False, str(error))
    wrong = rows[off > (0 if plan.how.is_exact else ROUNDING)]
    if len(wrong):
        detail = f"{len(wrong)} of {len(rows)} rows are not what the source gives, the first is row {wrong[0]}"
        return Check(split, False, f"{detail}; {AGAIN}")
    how = f"{(off > 0).sum()} of them off by one gray level, as from another device" if off.any() else "bit for bit"
    return Check(split, True, f"{len(rows)} of {len(dataset)} images derived again, {how}")


def _differences(dataset: ImageDataset, plan: DatasetPlan, rows: np.ndarray) -> np.ndarray:
    """Gray levels by which the images of some rows are off, (n,) int; 256 where another column differs."""
    batch = plan.batch(dataset.split, rows)
    table = table_of(plan, dataset.split, batch).drop_columns("image")
    off: np.ndarray = (batch.images.cpu().int() - dataset.images(rows).int()).abs().amax((1, 2, 3)).numpy()
    # By their text as well, because NaN is not equal to itself.
    same = [a == b or repr(a) == repr(b) for a, b in zip(table.to_pylist(), dataset.rows(rows), strict=True)]
    return np.where(same, off, 256)
