"""Building small datasets, looking into their folders, and tampering with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scipy import stats

from symdata.groups import Elements
from symdata.recipes.spec import Spec
from symdata.sources import Source
from symdata.sources.files import sha256
from symdata.store import ImageDataset, Made, make, verify
from symdata.store.verification import Check
from symdata.transforms.action import act

D4_PARTIAL = np.array([0.5 + 0.5 / 8] + [0.5 / 8] * 7)
"""Probabilities of d4-partial, written down by hand: the identity is drawn from Haar as well."""


def build(folder: Path, *, run: dict[str, Any] | None = None, **spec: Any) -> Made:
    """`make` with the fields of the spec as keywords, and the options of the run as `run`."""
    return make(Spec(**spec), folder, **(run or {}))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its relative name, without Python's bytecode."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def table(folder: Path, split: str) -> pa.Table:
    """All rows of a split, read by pyarrow alone, in the order of the file names."""
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob(f"{split}-*.parquet"))])


def rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all splits, as plain values."""
    splits = sorted({path.name.split("-")[0] for path in folder.glob("*.parquet")})
    return {split: table(folder, split).to_pylist() for split in splits}


def by_numpy(images: torch.Tensor, elements: Elements) -> np.ndarray:
    """Lattice elements applied one by one with numpy: mirror left-right, then rot90, which is counter-clockwise."""
    moved = []
    for image, element in zip(images.cpu().numpy(), elements, strict=True):
        mirrored = image[..., ::-1] if element.flip else image
        assert element.angle % 90 == 0
        moved.append(np.rot90(mirrored, int(element.angle // 90), (-2, -1)))
    return np.stack(moved)


def derived(dataset: ImageDataset, source: Source, chunk: int = 512) -> torch.Tensor:
    """The images that the recorded elements and indices of a split say there should be."""
    how = dataset.manifest["resampling"]
    options = {"resample": how["kernel"], "mask": how["mask"]}
    options |= {"padding": how["padding"], "supersample": how["supersample"]}
    out = []
    for start in range(0, len(dataset), chunk):
        here = slice(start, start + chunk)
        upright = source.read(dataset.split, dataset.index[here])
        out.append(act(upright, dataset.elements[here], **options))
    return torch.cat(out)


def p_value(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """Pearson's chi-square test of counts against probabilities."""
    return float(stats.chisquare(counts, counts.sum() * probabilities).pvalue)


class StopBuild(BaseException):
    """What `stop_after` raises."""


def stop_after(rows: int) -> Callable[[int], None]:
    """A progress callback that stands for a kill: it raises once so many rows are done."""
    done = 0

    def progress(n: int) -> None:
        nonlocal done
        done += n
        if done >= rows:
            raise StopBuild

    return progress


def failures(folder: Path, **options: Any) -> list[Check]:
    return [check for check in verify(folder, **options).checks if not check.passed]


def change(folder: Path, *path: Any, to: Any) -> None:
    """Change one value of the manifest."""
    manifest = json.loads((folder / "symdata.json").read_text())
    place = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    (folder / "symdata.json").write_text(json.dumps(manifest))


def rewrite(folder: Path, file: str, table: pa.Table) -> None:
    """Another table in the place of a shard, and a manifest that says so: a forgery that the hashes do not show."""
    pq.write_table(table, folder / file)
    manifest = json.loads((folder / "symdata.json").read_text())
    for entry in manifest["splits"].values():
        for shard in entry["shards"]:
            if shard["file"] == file:
                shard["sha256"] = sha256(folder / file)
    (folder / "symdata.json").write_text(json.dumps(manifest))
