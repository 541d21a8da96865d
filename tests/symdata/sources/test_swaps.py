"""A mirror exchanges the names of keypoints if the source says which, and not otherwise."""

import json
from pathlib import Path

import numpy as np
import pytest

from symdata.annotations import Schema
from symdata.errors import SourceError
from symdata.groups import Element
from symdata.sources import open_source
from symdata.sources.base import Ref
from symdata.sources.swaps import swaps_of
from symdata.store import load, make, verify
from tests.support.annotated import SIDE, write_coco, write_yolo

NAMES = ("nose", "left_eye", "right_eye", "ear_left", "ear_right")
FACE = np.array([[6.5, 6.5], [8.5, 4.5], [4.5, 4.5], [10.5, 5.5], [2.5, 5.5]])
"""Of somebody who looks at us: the left eye is on our right."""
MIRRORED = [0, 2, 1, 4, 3]


def _faces(root: Path) -> str:
    """Six images with such a face each; its right ear is hidden."""
    content = write_coco(root)["train"]
    content["categories"] = [{"id": k, "name": name, "keypoints": list(NAMES)} for k, name in enumerate("abc", 1)]
    for entry in content["annotations"]:
        entry["keypoints"] = [value for k, (x, y) in enumerate(FACE - 0.5) for value in (x, y, 1 if k == 4 else 2)]
    (root / "instances_train.json").write_text(json.dumps(content))
    return str(root)


def test_a_mirrored_face_has_its_left_eye_on_the_side_of_the_left(tmp_path: Path) -> None:
    ref = _faces(tmp_path / "s")
    made = make(f"{ref},swap=left:right", tmp_path / "d", symmetry="m")
    found = load(made.folder)
    points = found.annotations().objects.keypoints
    across = FACE * [-1, 1] + [SIDE, 0]
    assert np.array_equal(points[:, :, :2], np.broadcast_to(across[MIRRORED], (6, 5, 2)))
    assert (points[:, 3, 2] == 1).all() and (points[:, 4, 2] == 2).all()  # hidden is the ear that was the right one
    assert np.array_equal(found.targets()[0]["keypoints"], points[0][None].astype(np.float32))
    pairs = [["left_eye", "right_eye"], ["ear_left", "ear_right"]]
    assert made.manifest["annotations"]["swaps"] == pairs and verify(made.folder).passed
    said = "A mirror exchanges `left_eye` with `right_eye`, `ear_left` with `ear_right`."
    assert said in (made.folder / "README.md").read_text()
    plain = make(ref, tmp_path / "p", symmetry="m")
    assert np.array_equal(load(plain.folder).annotations().objects.keypoints[0, :, :2], across)
    assert "swaps" not in plain.manifest["annotations"]
    assert " A mirror exchanges no names of keypoints.\n" in (plain.folder / "README.md").read_text()


@pytest.mark.parametrize("symmetry", ["d4", "o2", "so2"])
def test_names_are_exchanged_by_elements_with_a_mirror_alone(symmetry: str, tmp_path: Path) -> None:
    ref = _faces(tmp_path / "s")
    options = {"symmetry": symmetry, "count": 40, "seed": 1, "mask": "none"}
    swapped = load(make(f"{ref},swap=left:right", tmp_path / "a", **options).folder)
    plain = load(make(ref, tmp_path / "b", **options).folder)
    flip = swapped.elements.cpu().flip.astype(bool)
    one, other = swapped.annotations().objects, plain.annotations().objects
    flip = flip[one.image]
    assert np.array_equal(one.image, other.image) and np.array_equal(one.boxes, other.boxes)
    assert np.array_equal(one.keypoints[flip], other.keypoints[flip][:, MIRRORED])
    assert np.array_equal(one.keypoints[~flip], other.keypoints[~flip])
    assert flip.any() is not np.bool_(symmetry == "so2")


def test_a_mirror_twice_is_no_change() -> None:
    schema = Schema(categories=("face",), keypoints=NAMES, swaps=(("left_eye", "right_eye"), ("ear_left", "ear_right")))
    assert schema.exchange == tuple(MIRRORED) and Schema.from_dict(schema.to_dict()) == schema
    assert [schema.exchange[k] for k in schema.exchange] == list(range(5))
    assert Schema(keypoints=NAMES).exchange == () and "swaps" not in Schema(keypoints=NAMES).to_dict()
    assert (Element(0, True) @ Element(0, True)) == Element()


def test_flip_idx_of_yolo(tmp_path: Path) -> None:
    root = tmp_path / "s"
    for flip, said in (("[0, 2, 1]", None), ("[1, 2, 0]", r"flip_idx \[1, 2, 0\], expected 3 numbers that exchange")):
        data = f"names: [cat, dog, eel]\nkpt_shape: [3, 2]\nflip_idx: {flip}\n"
        if not root.exists():
            write_yolo(root, data=data)
            for path in (root / "labels" / "train").iterdir():
                path.write_text(path.read_text().strip() + " 0.5 0.5 0.25 0.5 0.75 0.5\n")
        (root / "data.yaml").write_text(data)
        if said is None:
            assert open_source(f"{root},swap=flip_idx").annotation_schema.swaps == (("1", "2"),)
            assert open_source(f"{root},swap=1:2").annotation_schema.swaps == (("1", "2"),)
            assert open_source(str(root)).annotation_schema.swaps == ()
        else:
            with pytest.raises(SourceError, match=said):
                open_source(f"{root},swap=flip_idx")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("up:down", r"swap=up:down: 'up:down' fits no two of its keypoints, nose, left_eye, .*swap=left:right"),
        ("left", "'left' fits no two"),
        ("left:", "'left:' fits no two"),
        (":", "':' fits no two"),
        ("", "'' fits no two"),
        ("nose:nose", "fits no two"),
        ("left_eye:ear_right+left:right", "keypoint 'left_eye' is in two pairs"),
        ("eye:ear", "keypoint 'left_eye' has no partner 'left_ear'; write the pairs"),
        ("eft:ight", "fits no two"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        swaps_of(Ref.parse(f"data,swap={text}"), NAMES)


def test_pairs_by_name_and_by_word() -> None:
    assert swaps_of(Ref.parse("data,swap=nose:ear_left"), NAMES) == (("nose", "ear_left"),)
    assert swaps_of(Ref.parse("data,swap=right:left"), NAMES) == (("right_eye", "left_eye"), ("ear_right", "ear_left"))
    assert swaps_of(Ref.parse("data"), NAMES) == ()


def test_sources_without_keypoints_refuse_pairs(tmp_path: Path) -> None:
    write_coco(tmp_path / "boxes")
    with pytest.raises(SourceError, match="swap= is for keypoints, and there are none; leave it out"):
        open_source(f"{tmp_path / 'boxes'},swap=left:right")
    with pytest.raises(SourceError, match="this kind of source takes no swap= option"):
        open_source("glyphs,swap=left:right")
