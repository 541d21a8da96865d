"""Masks exported beside their images, and read again."""

import numpy as np
import pytest
import torch

from symdata.errors import StoreError
from symdata.store import load, make, verify
from tests.support.annotated import write_coco, write_masks


@pytest.mark.parametrize("classes", [False, True])
def test_masks_are_exported_and_read_again_with_the_same_pixels(classes, tmp_path):
    write_masks(tmp_path / "s", n=10, classes=classes)
    made = make(f"{tmp_path / 's'},void=7", tmp_path / "d", symmetry="so2", test=0.4, seed=1)
    for split in ("train", "test"):
        assert load(made.folder, split).to_masks(tmp_path / "out") == tmp_path / "out"
    again = make(f"{tmp_path / 'out'},void=7", tmp_path / "again")
    assert again.manifest["classes"] == made.manifest["classes"] and verify(again.folder).passed
    for split in ("train", "test"):
        first, second = load(made.folder, split), load(again.folder, split)
        order = np.argsort(first.labels.numpy(), kind="stable")  # class by class
        assert torch.equal(second.images(), first.images(order))
        assert torch.equal(second.annotations().masks, first.annotations(order).masks)
        assert torch.equal(second.labels, first.labels[order])
    assert (load(made.folder).annotations().masks == 7).any()
    moved = load(make(f"{tmp_path / 'out'},void=7", tmp_path / "moved", symmetry="r90").folder)
    assert not torch.equal(moved.annotations().masks, load(again.folder).annotations().masks)


def test_masks_that_cannot_be_exported(tmp_path):
    write_coco(tmp_path / "coco")
    boxes = load(make(str(tmp_path / "coco"), tmp_path / "b").folder)
    with pytest.raises(StoreError, match=r"'.*b' has no masks to write; make it from a source that has them"):
        boxes.to_masks(tmp_path / "out")
    write_masks(tmp_path / "s", classes=True)
    (tmp_path / "s" / "cat").rename(tmp_path / "s" / "a:b")
    (tmp_path / "s" / "masks" / "cat").rename(tmp_path / "s" / "masks" / "a:b")
    masks = load(make(str(tmp_path / "s"), tmp_path / "m").folder)
    with pytest.raises(StoreError, match="class 'a:b' cannot be the name of a folder; rename it"):
        masks.to_masks(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out" / "masks" / "train").mkdir(parents=True)
    with pytest.raises(StoreError, match="masks/train' exists and is left alone; choose another folder"):
        masks.to_masks(tmp_path / "out")
    masks.split = "holdout"
    with pytest.raises(StoreError, match="split 'holdout' would be read as a class; expected train, validation, test"):
        masks.to_masks(tmp_path / "other")
