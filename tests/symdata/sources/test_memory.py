"""Images that are given from Python, in every form, are the same images; and what is no such form is refused."""

import pickle
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

from symdata import Spec, load, make, verify
from symdata.errors import SourceError, StoreError
from symdata.recipes.plan import resolve
from symdata.sources import Source, open_source
from symdata.sources.memory import MemoryData
from tests.support.images import noise, write_folder

PIXELS, LABELS = noise(12, 6, 7, 3), np.arange(12) % 3
PLANES = torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy())
FEATURES = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["ant", "bee", "cow"])})


def rows(count: int = 12) -> datasets.Dataset:
    columns = {"image": [Image.fromarray(image) for image in PIXELS[:count]], "label": LABELS[:count].tolist()}
    return datasets.Dataset.from_dict(columns, features=FEATURES)


class Pictures(Dataset[tuple[Any, Any]]):
    """A dataset of torch, as torchvision's are."""

    classes = ("ant", "bee", "cow")

    def __init__(self, labels: Any = LABELS) -> None:
        self.images, self.labels = [Image.fromarray(image) for image in PIXELS], labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int) -> tuple[Any, Any]:
        return self.images[item], self.labels[item]


FORMS = {
    "arrays": (PIXELS, LABELS),
    "column": (PIXELS, LABELS[:, None].astype(np.uint8)),
    "planes": (PIXELS.transpose(0, 3, 1, 2), LABELS.tolist()),
    "tensors": (PLANES, torch.from_numpy(LABELS)),
    "lists": (list(PIXELS), list(LABELS)),
    "pictures": ([Image.fromarray(image) for image in PIXELS], LABELS),
    "items": list(zip(PLANES, LABELS, strict=True)),
    "splits": {"train": (PIXELS, LABELS)},
    "names": {"train_images": PIXELS, "train_labels": LABELS},
    "keras": {"x_train": PIXELS, "y_train": LABELS},
    "TensorDataset": TensorDataset(PLANES, torch.from_numpy(LABELS)),
    "Subset": torch.utils.data.Subset(TensorDataset(PLANES, torch.from_numpy(LABELS)), range(12)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_source(form: str) -> None:
    source = open_source(FORMS[form])
    assert isinstance(source, Source)
    assert (source.splits, source.classes, source.shape) == ({"train": 12}, ("0", "1", "2"), (3, 6, 7))
    assert np.array_equal(source.labels("train"), LABELS)
    order = np.array([7, 0, 11])
    assert torch.equal(source.read("train", order), PLANES[order])
    assert source.fingerprint == open_source((PIXELS, LABELS)).fingerprint
    again = pickle.loads(pickle.dumps(source))
    assert torch.equal(again.read("train", order), PLANES[order])


@pytest.mark.parametrize(
    "form", [rows(), Pictures(), {"train": rows()}, {"train": Pictures()}, datasets.DatasetDict({"train": rows()})]
)
def test_datasets_name_their_classes(form: Any) -> None:
    source = open_source(form)
    assert (source.splits, source.classes, source.shape) == ({"train": 12}, ("ant", "bee", "cow"), (3, 6, 7))
    assert torch.equal(source.read("train", np.arange(12)), PLANES)
    again = pickle.loads(pickle.dumps(source))
    assert torch.equal(again.read("train", np.arange(12)), PLANES)
    assert again.fingerprint == open_source(form).fingerprint


def test_splits_are_known_by_their_usual_names() -> None:
    given = {"test": (PIXELS[:4], LABELS[:4]), "val": (PIXELS[4:], LABELS[4:]), "train": (PIXELS, LABELS)}
    source = open_source(given)
    assert list(source.splits.items()) == [("train", 12), ("validation", 8), ("test", 4)]
    assert torch.equal(source.read("validation", np.arange(2)), PLANES[4:6])
    mixed = open_source({"train": rows(), "test": rows(6)})
    assert mixed.splits == {"train": 12, "test": 6}
    with pytest.raises(SourceError, match=r"two keys name split 'validation'; leave one of them out"):
        open_source({"val": (PIXELS, LABELS), "valid": (PIXELS, LABELS)})


def test_the_fingerprint_follows_images_labels_and_splits() -> None:
    other = PIXELS.copy()
    other[3, 2, 2, 0] ^= 1
    forms = [
        (PIXELS, LABELS),
        (other, LABELS),
        (PIXELS, LABELS[::-1]),
        (PIXELS, [f"class {label}" for label in LABELS]),
        {"test": (PIXELS, LABELS)},
        (PIXELS.reshape(12, 7, 6, 3), LABELS),
        rows(),
        rows().rename_column("label", "labels").cast_column("labels", datasets.ClassLabel(names=["bee", "ant", "cow"])),
    ]
    assert len({open_source(form).fingerprint for form in forms}) == len(forms)


def test_images_of_several_sizes_and_modes_come_to_one() -> None:
    images = [Image.fromarray(noise(5 + k, 9)) for k in range(3)] + [Image.fromarray(noise(8, 8, 3))]
    with pytest.raises(
        SourceError, match=r"4 sizes, such as 5x9 \(item 0\) and 6x9 \(item 1\); give one, as in size=28"
    ):
        open_source((images, [0, 1, 0, 1]))
    source = open_source((images, [0, 1, 0, 1]), size=8)
    assert source.shape == (3, 8, 8)
    assert torch.equal(source.read("train", np.array([3]))[0], torch.from_numpy(np.array(images[3])).permute(2, 0, 1))
    gray = source.read("train", np.array([0]))[0]
    assert torch.equal(gray[0], gray[2])
    assert torch.equal(
        open_source((PIXELS, LABELS), size=9).read("train", [2]), open_source(FORMS["lists"], size=9).read("train", [2])
    )


class Endless(Pictures):
    """Its images are others each time, as under random transforms."""

    def __getitem__(self, item: int) -> tuple[Any, Any]:
        return np.random.default_rng().integers(0, 256, (6, 6), dtype=np.uint8), 0


class Broken(Pictures):
    def __getitem__(self, item: int) -> tuple[Any, Any]:
        raise KeyError("no such file")


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (3, r"3 \(int\) holds no images by number; expected a reference, \(images, labels\)"),
        (None, r"None \(NoneType\) holds no images by number"),
        ({}, r"\{\} \(dict\) holds no images by number"),
        ({"train": 3}, r"3 \(int\) holds no images by number"),
        (iter(()), r"tuple_iterator\) holds no images by number"),
        ([], r"source 'memory:arrays' holds no images"),
        (
            (PIXELS / 255, LABELS),
            r"float64 values .*; expected .* as from \(255 \* images\).round\(\).astype\('uint8'\)",
        ),
        (
            (PLANES / 255, LABELS),
            r"float32 values .*; expected .* as from \(255 \* images\).round\(\).to\(torch.uint8\)",
        ),
        (TensorDataset(PLANES / 255, PLANES), r"item 0 of split 'train' holds float32 .*or leave ToTensor out"),
        ((PLANES.bfloat16(), LABELS), r"holds float32 values .*images.clip\(0, 255\).round\(\).to\(torch.uint8\)"),
        ((PIXELS, LABELS[:5]), r"the array of images holds 12 images but that of labels holds 5 labels \(in split"),
        ((list(PIXELS), [0]), r"the sequence of images holds 12 images but that of labels holds 1 labels"),
        ((PIXELS, LABELS / 2), r"the array of labels of split 'train' holds labels of type float64"),
        ((PIXELS, np.eye(12)), r"holds 12 labels an image .*labels.argmax\(1\) of one-hot rows"),
        ((PIXELS, [0.5] * 12), r"row 0 of split 'train' has the label 0.5; a label is one integer, boolean or text"),
        ((PIXELS, [0, "a"] * 6), r"labels are of several types, such as 0 \(int\) and 'a' \(str\)"),
        ((PIXELS, 3), r"the labels of split 'train' are of type int, expected an array or a list"),
        ((PIXELS, LABELS * 0), r"holds one class only \('0'\)"),
        ([(PIXELS[0], 0, 0)], r"item 0 of split 'train' is of type tuple, expected a pair \(image, label\)"),
        ([("a.png", 0)], r"its image is of type str, expected a PIL image, array or tensor"),
        (
            [(Image.new("RGBA", (4, 4)), 0)],
            r"parts of item 0 of split 'train' are transparent; drop that with image.conv",
        ),
        ([(Image.new("I;16", (4, 4)), 0)], r"item 0 of split 'train' cannot be used: its mode is 'I;16'"),
        (Pictures(labels=[5] * 12), r"label 5 in split 'train' is none of its 3 classes"),
        (Endless(), r"item 0 of split 'train' is another image each time; leave its random transforms out"),
        (Broken(), r"item 0 of split 'train' cannot be read \(KeyError: 'no such file'\)"),
        (rows().to_iterable_dataset(), r"a stream has no rows to read by number"),
        (rows().remove_columns("label"), r"the label column is missing"),
        (
            "memory:arrays",
            r"its images were given from Python and are not stored under that name; give the same object",
        ),
    ],
)
def test_other_objects_are_refused(form: Any, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        open_source(form)


def test_a_spec_of_images_is_stored_as_text_and_verified_with_the_images(tmp_path: Path) -> None:
    spec = Spec(source=(PIXELS[:, :, :6], LABELS), symmetry="c4")
    made = make(spec, tmp_path / "out")
    assert made.manifest["spec"] == spec.to_dict()
    assert made.manifest["spec"]["source"] == made.manifest["source"]["pinned"] == "memory:arrays"
    assert verify(made.folder, source=spec.source).passed
    assert verify(made.folder, source=(PIXELS[:, :, :6], LABELS)).passed
    other = verify(made.folder, source=(PIXELS[:, :, 1:], LABELS))
    assert [check.name for check in other.failed] == ["source"]
    (gone,) = verify(made.folder).failed
    assert "its images were given from Python" in gone.detail
    folder = make(Spec(source=(PIXELS[:, :, :6], LABELS), symmetry="c4"), tmp_path / "again")
    assert torch.equal(load(folder.folder).images(), load(made.folder).images())


def test_make_takes_images_and_options(tmp_path: Path) -> None:
    made = make((PIXELS, LABELS), tmp_path / "out", symmetry="c4", size=8)
    assert (made.manifest["shape"], made.manifest["splits"]["train"]["group"]) == ([3, 8, 8], "c4")
    assert make(Pictures(), tmp_path / "b", size=8).manifest["classes"] == ["ant", "bee", "cow"]
    for nothing in (3, None):
        with pytest.raises(SourceError, match=r"(3|None) \(.*\) holds no images by number"):
            make(nothing, tmp_path / "c")


def test_a_plan_makes_the_same_in_another_process() -> None:
    plan = resolve(Spec(source=(PIXELS[:, :, :6], LABELS), symmetry="d4"))
    sent = pickle.dumps(plan)
    again = pickle.loads(sent)
    assert torch.equal(again.batch("train", range(12)).images, plan.batch("train", range(12)).images)
    assert len(sent) < 2 * PIXELS.nbytes + 5000
    with pytest.raises(SourceError, match="its images were given from Python"):
        open_source(again.spec.source)


def test_a_spec_takes_paths_and_compares(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    assert Spec(source=root) == Spec(source=str(root))
    assert open_source(root).name == "pets"
    held = MemoryData((PIXELS, LABELS))
    assert Spec(source=held) == Spec(source=held) != Spec(source=(PIXELS, LABELS))
    assert "PIXELS" not in repr(Spec(source=held)) and "memory:arrays" in repr(Spec(source=held))


class Mine:
    """A source that somebody wrote."""

    ref, name, license, fingerprint, revision = "mine", "mine", "mit", "sha256:0", None
    classes, splits, shape = ("a", "b"), {"train": 4}, (1, 6, 6)

    def labels(self, split: str) -> np.ndarray:
        return np.array([0, 1, 0, 1])

    def read(self, split: str, indices: Any) -> torch.Tensor:
        return torch.from_numpy(noise(4, 1, 6, 6)[np.asarray(indices)])


def test_any_object_with_the_members_of_a_source_is_one(tmp_path: Path) -> None:
    mine = Mine()
    assert open_source(mine) is mine
    assert open_source(mine, size=9).shape == (1, 9, 9)
    assert open_source(mine, size=9).read("train", np.arange(4)).shape == (4, 1, 9, 9)
    made = make(Spec(source=mine, symmetry="c4"), tmp_path / "out")
    assert (made.manifest["source"]["ref"], made.manifest["spec"]["source"]) == ("mine", "mine")
    assert verify(made.folder, source=mine).passed
    glyphs = open_source("glyphs:OX", size=20)
    assert open_source(glyphs, size=20) is glyphs


def test_a_source_that_cannot_be_sent_to_workers_is_one_sentence(tmp_path: Path) -> None:
    class Local(Mine):
        """Of a class that no other process finds."""

    with pytest.raises(StoreError, match=r"cannot be sent to worker processes \(.*Local.*\); leave --workers out"):
        make(Spec(source=Local()), tmp_path / "out", workers=2)
    assert list(tmp_path.iterdir()) == []
    assert make(Spec(source=Local()), tmp_path / "out").written


@pytest.mark.parametrize(
    ("member", "value", "sentence"),
    [
        (
            "shape",
            (1, 5, 5),
            r"reading one image of split 'train' gives \(1, 1, 6, 6\) torch.uint8, expected \(1, 1, 5, 5\)",
        ),
        ("splits", {"train": 5}, r"the labels of split 'train' are \(4,\) int64, expected \(5,\) int64"),
        ("classes", ("a",), r"2 of 4 images in split 'train' are unlabelled"),
        ("splits", {}, r"holds no images"),
    ],
)
def test_a_source_that_breaks_its_contract_is_refused(member: str, value: Any, sentence: str) -> None:
    mine = Mine()
    setattr(mine, member, value)
    with pytest.raises(SourceError, match=sentence):
        open_source(mine)
