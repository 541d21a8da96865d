"""Sources that are given as objects keep what they have beside images and labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symdata import load, make
from symdata.errors import SourceError
from symdata.sources import Source, open_source
from tests.support.images import encoded, noise

IMAGES, MASKS = noise(8, 12, 12), noise(8, 12, 12, seed=1) % 4


def opened(root: Path, masks: bool, labels: bool = True) -> Source:
    """A table with a column of patients."""
    columns: dict[str, object] = {"image": [encoded(image) for image in IMAGES], "patient": list("ppqqrrss")}
    columns |= {"label": list("abababab")} if labels else {}
    columns |= {"mask": [encoded(mask) for mask in MASKS]} if masks else {}
    pq.write_table(pa.table(columns), root / "table.parquet")
    return open_source(f"{root / 'table.parquet'},image=image" + (",mask=mask" if masks else ""))


@pytest.mark.parametrize("labels", [True, False])
def test_masks_are_kept(labels: bool, tmp_path: Path) -> None:
    made = make(opened(tmp_path, masks=True, labels=labels), tmp_path / "out", symmetry="none")
    assert np.array_equal(load(made.folder, "train").annotations().masks, MASKS)


def test_masks_are_not_lost_when_the_images_are_resized(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="its annotations are for 12x12 images; open the source itself with that siz"):
        open_source(opened(tmp_path, masks=True), size=6)


def test_columns_are_kept_when_the_images_are_resized(tmp_path: Path) -> None:
    made = make(opened(tmp_path, masks=False), tmp_path / "out", symmetry="none", size=6, test=0.5, group_by="patient")
    train, test = (load(made.folder, split) for split in ("train", "test"))
    assert train.shape == (1, 6, 6) and set(train.column("patient")) | set(test.column("patient")) == set("pqrs")
    assert not set(train.column("patient")) & set(test.column("patient"))
