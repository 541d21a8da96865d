"""Datasets with masks, boxes and keypoints: written, read, checked, exported and read again."""

import json

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from symdata.errors import RecipeError, ShapeError, SourceError, StoreError
from symdata.groups import Elements
from symdata.store import load, make, verify
from symdata.transforms.action import act
from tests.support.annotated import CATEGORIES, SIDE, painted, write_coco, write_masks, write_yolo
from tests.support.folders import change, contents, failures, rewrite
from tests.support.images import encoded


def bounds(images):
    """(n, 4): x, y, width and height of the smallest box around the pixels that are not black."""
    found = []
    for image in images.amax(1).numpy():
        y, x = np.nonzero(image)
        found.append([x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min()])
    return np.array(found, np.float64)


def red(images):
    """(n, 2): x and y of the centre of the red pixel."""
    found = ((images[:, 0] == 255) & (images[:, 1] == 0)).nonzero()
    return found[:, [2, 1]].numpy() + 0.5


@pytest.mark.parametrize(("symmetry", "size"), [("d4", (SIDE, SIDE)), ("c4", (11, 11)), ("d2", (9, 14))])
def test_boxes_and_keypoints_are_those_of_the_moved_pixels(symmetry, size, tmp_path):
    write_coco(tmp_path / "coco", size=size, keypoints=True)
    made = make(str(tmp_path / "coco"), tmp_path / "d", symmetry=symmetry, count=48, seed=3)
    dataset = load(made.folder)
    found = dataset.annotations().objects
    assert len(set(dataset.element_index.tolist())) == dataset.group.order
    assert np.array_equal(found.boxes, bounds(dataset.images()))
    assert np.array_equal(found.keypoints[:, 0, :2], red(dataset.images()))
    assert (found.keypoints[:, 1] == 0).all()
    upright = painted(size=size)[1][dataset.index]
    assert not np.array_equal(found.boxes, upright)
    assert verify(made.folder).passed


def test_masks_are_moved_as_their_images(tmp_path):
    masks = torch.from_numpy(write_masks(tmp_path / "s"))
    dataset = load(make(str(tmp_path / "s"), tmp_path / "d", symmetry="d4", count=16, seed=1).folder)
    moved = dataset.annotations().masks
    assert torch.equal(moved, act(masks[dataset.index][:, None], dataset.elements)[:, 0])
    assert not torch.equal(moved, masks[dataset.index])
    assert torch.equal(moved > 0, dataset.images().amax(1) > 0)
    assert verify(dataset.folder).passed


def test_off_the_lattice_masks_are_void_where_images_are_black(tmp_path):
    write_masks(tmp_path / "s")
    dataset = load(make(f"{tmp_path / 's'},void=7", tmp_path / "d", symmetry="so2", seed=1).folder)
    moved, outside = dataset.annotations().masks, dataset.annotations().masks == 7
    assert set(moved.unique().tolist()) == {0, 2, 3, 7}
    assert (outside == outside[0]).all() and (dataset.images().amax(1)[outside] == 0).all() and outside[0, 0, 0]
    assert verify(dataset.folder).passed and dataset.annotated.void == 7


def test_objects_off_the_lattice_lie_inside_their_boxes(tmp_path):
    write_coco(tmp_path / "coco", keypoints=True)
    dataset = load(make(str(tmp_path / "coco"), tmp_path / "d", symmetry="o2", mask="none", count=12).folder)
    found = dataset.annotations().objects
    x, y = np.moveaxis(found.keypoints[:, 0, :2], -1, 0)
    left, top, w, h = found.boxes.T
    labelled = found.keypoints[:, 0, 2] > 0
    inside = (x >= left - 1e-5) & (x <= left + w + 1e-5) & (y >= top - 1e-5) & (y <= top + h + 1e-5)
    assert inside[labelled].all() and labelled.any()
    assert verify(dataset.folder).passed


def test_coco_is_the_same_after_make_none(tmp_path):
    wanted = write_coco(tmp_path / "coco", ("train", "validation"), keypoints=True)
    made = make(str(tmp_path / "coco"), tmp_path / "d", symmetry="none")
    turned = make(str(tmp_path / "coco"), tmp_path / "turned", symmetry="c4", seed=1)
    for split, content in wanted.items():
        path = load(made.folder, split).to_coco(tmp_path / "again")
        assert json.loads(path.read_text()) == content
        other = load(turned.folder, split).to_coco(tmp_path / "other")
        assert json.loads(other.read_text()) != content
        for image in (tmp_path / "coco" / split).iterdir():
            assert (tmp_path / "again" / split / image.name).exists()
    again = make(str(tmp_path / "again"), tmp_path / "d2", symmetry="none")
    assert load(again.folder).rows(np.arange(6)) == load(made.folder).rows(np.arange(6))
    assert torch.equal(load(again.folder).images(), load(made.folder).images())


def test_yolo_is_the_same_after_make_none(tmp_path):
    write_yolo(tmp_path / "yolo", ("train", "val"))
    made = make(str(tmp_path / "yolo"), tmp_path / "d", symmetry="none")
    for split, word in (("train", "train"), ("validation", "val")):
        load(made.folder, split).to_yolo(tmp_path / "again")
        for path in (tmp_path / "yolo" / "labels" / word).iterdir():
            wanted, found = np.loadtxt(path), np.loadtxt(tmp_path / "again" / "labels" / split / path.name)
            assert np.allclose(wanted, found, atol=1e-11, rtol=0)  # a box that ends beyond 1 by rounding is cut off
    assert (tmp_path / "again" / "labels" / "train" / "000001.txt").read_text() == ""
    again = make(str(tmp_path / "again"), tmp_path / "d2", symmetry="none")
    for split in ("train", "validation"):
        one, two = (load(each.folder, split).annotations().objects for each in (made, again))
        assert np.allclose(one.boxes, two.boxes, atol=1e-10) and one.category.tolist() == two.category.tolist()


def test_keypoints_survive_yolo(tmp_path):
    write_coco(tmp_path / "coco", keypoints=True)
    made = make(str(tmp_path / "coco"), tmp_path / "d", symmetry="d4", seed=2)
    load(made.folder).to_yolo(tmp_path / "yolo")
    again = load(make(str(tmp_path / "yolo"), tmp_path / "d2", symmetry="none").folder)
    one, two = load(made.folder).annotations().objects, again.annotations().objects
    assert np.allclose(one.keypoints[~one.crowd], two.keypoints, atol=1e-10) and one.crowd.sum() == 1


def test_what_cannot_be_exported(tmp_path):
    write_masks(tmp_path / "s")
    dataset = load(make(str(tmp_path / "s"), tmp_path / "d").folder)
    for export in (dataset.to_coco, dataset.to_yolo):
        with pytest.raises(StoreError, match="has no boxes to write"):
            export(tmp_path / "out")
    write_coco(tmp_path / "coco")
    boxes = load(make(str(tmp_path / "coco"), tmp_path / "b").folder)
    boxes.to_coco(tmp_path / "out")
    with pytest.raises(StoreError, match=r"instances_train.json' exists and is left alone"):
        boxes.to_coco(tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*: Not a directory; choose another folder"):
        boxes.to_yolo(tmp_path / "file")


def test_the_hub_reads_the_columns(tmp_path):
    write_coco(tmp_path / "coco", keypoints=True)
    made = make(str(tmp_path / "coco"), tmp_path / "d", symmetry="d4")
    rows = datasets.load_dataset(str(made.folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows.features["objects"]["category"].feature.names == list(CATEGORIES)
    found = load(made.folder).annotations().objects
    assert [row["objects"]["bbox"] for row in rows] == [[box] for box in found.boxes.tolist()]
    assert rows[0]["objects"]["keypoints"] == [found.keypoints[0].tolist()]
    card = (made.folder / "README.md").read_text()
    assert "- object-detection" in card and "- image-classification" not in card and "| `objects` |" in card


def test_targets_are_those_of_torchvision(tmp_path):
    write_coco(tmp_path / "coco", keypoints=True)
    dataset = load(make(str(tmp_path / "coco"), tmp_path / "d", symmetry="d4").folder)
    (one, two), found = dataset.targets([2, -1]), dataset.annotations([2, 5]).objects
    x, y, w, h = found.boxes[0]
    assert one["boxes"].tolist() == [[x, y, x + w, y + h]] and one["boxes"].dtype == torch.float32
    assert one["labels"].tolist() == [2] and one["iscrowd"].tolist() == [True] and two["iscrowd"].tolist() == [False]
    assert one["keypoints"].tolist() == found.keypoints[:1].tolist() and "mask" not in one
    write_masks(tmp_path / "s")
    masked = load(make(str(tmp_path / "s"), tmp_path / "m").folder)
    assert torch.equal(masked.targets([3])[0]["mask"], masked.annotations([3]).masks[0])
    pairs = torch.utils.data.StackDataset(masked.images(), masked.targets())
    assert pairs[1][0].shape == (3, SIDE, SIDE) and pairs[1][1]["mask"].shape == (SIDE, SIDE)
    plain = load(make("glyphs", tmp_path / "g", count=8, size=8).folder)
    assert plain.annotated is None
    with pytest.raises(StoreError, match="has no masks, boxes or keypoints"):
        plain.targets()


def test_an_empty_selection_has_no_annotations(tmp_path):
    write_coco(tmp_path / "coco")
    dataset = load(make(str(tmp_path / "coco"), tmp_path / "d").folder)
    assert dataset.targets([]) == [] and len(dataset.annotations([]).objects) == 0


def test_verify_finds_a_box_that_did_not_move(tmp_path):
    write_coco(tmp_path / "coco")
    made = make(str(tmp_path / "coco"), tmp_path / "d", symmetry="c4", seed=1)
    shard = "train-00000-of-00001.parquet"
    table = pq.read_table(made.folder / shard)
    rows = table.to_pylist()
    rows[3]["objects"]["bbox"][0][0] += 1.0
    column = table.column_names.index("objects")
    cells = table.schema.field(column).type
    forged = table.set_column(column, table.schema.field(column), [pa.array([r["objects"] for r in rows], cells)])
    rewrite(made.folder, shard, forged)
    assert [check.name for check in failures(made.folder)] == ["train"]


def test_verify_finds_a_changed_annotation_file(tmp_path):
    write_masks(tmp_path / "s")
    made = make(str(tmp_path / "s"), tmp_path / "d")
    assert verify(made.folder).passed
    (tmp_path / "s" / "masks" / "2.png").write_bytes(encoded(np.zeros((SIDE, SIDE), np.uint8)))
    assert [check.name for check in failures(made.folder)] == ["source"]


def test_shards_workers_and_batches_change_no_annotation(tmp_path):
    write_coco(tmp_path / "coco", keypoints=True)
    one = make(str(tmp_path / "coco"), tmp_path / "one", symmetry="so2", count=20)
    small = make(str(tmp_path / "coco"), tmp_path / "small", symmetry="so2", count=20, batch_size=3)
    assert contents(one.folder) == contents(small.folder)
    four = make(str(tmp_path / "coco"), tmp_path / "four", symmetry="so2", count=20, num_shards=4)
    assert load(four.folder).rows(np.arange(20)) == load(one.folder).rows(np.arange(20))


def test_binary_masks_and_void_are_told_apart(tmp_path):
    masks = write_masks(tmp_path / "s")
    for k, mask in enumerate(masks):
        (tmp_path / "s" / "masks" / f"{k}.png").write_bytes(encoded((mask > 0).astype(np.uint8) * 255))
    source = str(tmp_path / "s")
    assert set(load(make(source, tmp_path / "exact", symmetry="d4").folder).annotations().masks.unique().tolist()) == {
        0,
        255,
    }
    for refused in ({"symmetry": "so2"}, {"size": 20, "resize": "pad"}):
        with pytest.raises(
            SourceError, match=r"masks of 0 and 255 alone, .*,void=128' if 255 is a class, .*,void=255' if"
        ):
            make(source, tmp_path / "no", **refused)
    made = make(f"{source},void=128", tmp_path / "yes", symmetry="so2")
    assert set(load(made.folder).annotations().masks.unique().tolist()) == {0, 128, 255}


def test_what_annotated_sources_refuse(tmp_path):
    write_coco(tmp_path / "coco", size=(8, 12))
    with pytest.raises(
        RecipeError, match=r"recipe 'rotmnist' moves images alone, and source .* has boxes; leave the rec"
    ):
        make("rotmnist", tmp_path / "d", source=str(tmp_path / "coco"), size=28)
    with pytest.raises(ShapeError, match="source images are 8x12"):
        make(str(tmp_path / "coco"), tmp_path / "d", symmetry="d4")


def test_elements_off_by_one_are_another_dataset(tmp_path):
    """Negative control: the boxes of the recorded elements fit, those of the next image's element do not."""
    write_coco(tmp_path / "coco")
    dataset = load(make(str(tmp_path / "coco"), tmp_path / "d", symmetry="d4", count=24, seed=3).folder)
    upright = load(make(str(tmp_path / "coco"), tmp_path / "u", symmetry="none", count=24, seed=3).folder)
    assert np.array_equal(upright.index, dataset.index)
    elements, objects = dataset.elements, upright.annotations().objects
    assert np.array_equal(objects.moved(elements, (SIDE, SIDE)).boxes, dataset.annotations().objects.boxes)
    shifted = Elements(np.roll(elements.angle, 1), np.roll(elements.flip, 1))
    assert not np.array_equal(objects.moved(shifted, (SIDE, SIDE)).boxes, dataset.annotations().objects.boxes)


@pytest.mark.parametrize("forged", [None, 3, {}, {"masks": True, "void": 255, "categories": 3, "keypoints": []}])
def test_a_forged_manifest_is_found(forged, tmp_path):
    write_masks(tmp_path / "s")
    made = make(str(tmp_path / "s"), tmp_path / "d")
    change(made.folder, "annotations", to=forged)
    assert [check.name for check in failures(made.folder)] == ["manifest"]
    with pytest.raises(StoreError, match=r"says nothing sensible about annotations|has no masks, boxes or keypoints"):
        load(made.folder).targets()


def test_a_mask_that_is_damaged_or_missing_in_a_shard_is_named(tmp_path):
    write_masks(tmp_path / "s")
    made = make(str(tmp_path / "s"), tmp_path / "d")
    shard = "train-00000-of-00001.parquet"
    table = pq.read_table(made.folder / shard)
    for blob in (None, b"x", encoded(np.zeros((3, 4), np.uint8))):
        column = pa.array([{"bytes": blob, "path": None}] * 6, table.schema.field("mask").type)
        rewrite(
            made.folder, shard, table.set_column(table.column_names.index("mask"), table.schema.field("mask"), column)
        )
        assert [check.name for check in failures(made.folder)] == ["train"]
        with pytest.raises(
            StoreError, match=r"the annotations of split 'train' in .* cannot be read \(.*build the dataset"
        ):
            load(made.folder).targets()
