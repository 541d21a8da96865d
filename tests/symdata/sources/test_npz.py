"""numpy files: MedMNIST's names, Keras's, pairs as KMNIST ships them, and what is refused."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symdata import Spec, load, make
from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.npz import key_role
from tests.support.images import encoded, noise, write_folder

IMAGES, LABELS = noise(6, 5, 5), np.array([3, 7, 3, 7, 9, 9])


def save(path: Path, **arrays: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return str(path)


def test_medmnist_is_read(tmp_path: Path) -> None:
    colour = noise(6, 5, 7, 3)
    parts = {"train": colour, "val": colour[:4], "test": colour[2:]}
    arrays = {f"{split}_images": own for split, own in parts.items()}
    arrays |= {f"{split}_labels": (np.arange(len(own)) % 2)[:, None].astype(np.uint8) for split, own in parts.items()}
    source = open_source(save(tmp_path / "bloodmnist.npz", **arrays))
    assert (source.splits, list(source.splits)) == (
        {"train": 6, "validation": 4, "test": 4},
        ["train", "validation", "test"],
    )
    assert (source.name, source.shape, source.classes) == ("bloodmnist", (3, 5, 7), ("0", "1"))
    assert source.labels("validation").tolist() == [0, 1, 0, 1]
    assert np.array_equal(source.read("test", np.array([3, 0])).numpy(), colour[[5, 2]].transpose(0, 3, 1, 2))
    assert open_source(f"{tmp_path / 'bloodmnist.npz'},splits=train+test").splits == {"train": 6, "test": 4}
    assert open_source(str(tmp_path)).fingerprint == source.fingerprint
    assert torch.equal(
        pickle.loads(pickle.dumps(source)).read("train", np.arange(6)), source.read("train", np.arange(6))
    )


@pytest.mark.parametrize(
    "names", [("x_train", "y_train"), ("images", "labels"), ("X", "y"), ("train_imgs", "train-labels")]
)
def test_other_names_of_arrays(names: tuple[str, str], tmp_path: Path) -> None:
    place = save(tmp_path / "data.npz", **{names[0]: IMAGES, names[1]: LABELS, "mean": np.zeros(3)})
    source = open_source(place)
    assert (source.splits, source.classes) == ({"train": 6}, ("3", "7", "9"))
    assert np.array_equal(source.read("train", np.arange(6)).numpy()[:, 0], IMAGES)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("val_images", ("", "validation", "images")),
        ("x_test", ("", "test", "images")),
        ("extra_labels", ("", "extra", "labels")),
        ("mean", None),
        ("images_labels", None),
        ("train_test_images", None),
    ],
)
def test_names_of_arrays(name: str, role: tuple[str, str, str] | None) -> None:
    assert key_role(name) == role


def test_pairs_as_kmnist_ships_them(tmp_path: Path) -> None:
    for name in ("kmnist", "k49"):
        for split in ("train", "test"):
            np.savez_compressed(tmp_path / f"{name}-{split}-imgs.npz", IMAGES)
            np.savez_compressed(tmp_path / f"{name}-{split}-labels.npz", LABELS)
    (tmp_path / "kmnist_classmap.csv").write_text("index,codepoint,char\n0,U+304A,o\n")
    with pytest.raises(SourceError, match=r"holds 2 sets of numpy files; name one of them: .*k49, .*kmnist"):
        open_source(str(tmp_path))
    source = open_source(str(tmp_path / "kmnist"))
    assert (source.splits, source.name, source.classes) == ({"train": 6, "test": 6}, "kmnist", ("3", "7", "9"))
    (tmp_path / "kmnist-test-labels.npz").unlink()
    with pytest.raises(SourceError, match=r"labels of split 'test' are missing: .* wants 'kmnist-test-labels.npz'"):
        open_source(str(tmp_path / "kmnist"))


def test_pairs_of_npy_files_are_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "x_train.npy", IMAGES)
    with pytest.raises(SourceError, match=r"labels of split 'train' are missing: 'x_train.npy' wants 'y_train.npy'"):
        open_source(str(tmp_path))
    np.save(tmp_path / "y_train.npy", LABELS)
    source = open_source(str(tmp_path))
    assert np.array_equal(source.read("train", np.array([5, 1])).numpy()[:, 0], IMAGES[[5, 1]])
    assert isinstance(source._images["train"].values, np.memmap)
    with pytest.raises(SourceError, match=r"holds one array, .*; name their folder, with 'y_train.npy' in it"):
        open_source(str(tmp_path / "x_train.npy"))
    np.save(tmp_path / "y_train.npy", LABELS[:5])
    with pytest.raises(SourceError, match=r"'x_train.npy' holds 6 images but 'y_train.npy' holds 5 labels \(in "):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"a": IMAGES}, r"holds the arrays a; expected train_images and train_labels, as from np.savez_compressed"),
        ({"x_train": IMAGES}, r"has 'x_train' and no 'y_train'; save both in it"),
        ({"labels": LABELS}, r"has 'labels' and no 'images'; save both in it"),
        ({"images": IMAGES, "x": IMAGES, "labels": LABELS}, r"has 'images' and 'x' for one split; save one of them"),
        ({"images": IMAGES, "labels": LABELS[:3]}, r"'images' holds 6 images but 'labels' holds 3 labels"),
        (
            {"images": IMAGES / 255, "labels": LABELS},
            r"'images' in .* holds float64 values .* \(255 \* images\)\.round",
        ),
        ({"images": IMAGES, "labels": np.zeros((6, 14), int)}, r"'labels' in .* holds 14 labels an image"),
        ({"images": IMAGES, "labels": LABELS.astype(object)}, r"array 'labels' is pickled, and reading that would run"),
        ({"images": IMAGES, "labels": LABELS * 0}, r"holds one class only \('0'\)"),
    ],
)
def test_bad_arrays_are_refused(arrays: dict[str, np.ndarray], sentence: str, tmp_path: Path) -> None:
    place = save(tmp_path / "data.npz", **arrays)
    with pytest.raises(SourceError, match=sentence):
        open_source(place)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (tmp_path / "sprung").mkdir, ()

    place = save(tmp_path / "a.npz", images=IMAGES, labels=np.array([Trap()] * 6, object))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Trap()))
    for path in (place, str(tmp_path / "b.npz")):
        with pytest.raises(SourceError, match="is not a readable numpy file"):
            open_source(path)
    assert not (tmp_path / "sprung").exists()


def test_numpy_files_beside_class_folders_change_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path)
    before = open_source(str(tmp_path)).fingerprint
    save(tmp_path / "cache.npz", images=IMAGES, labels=LABELS)
    assert open_source(str(tmp_path)).fingerprint == before


def test_several_whole_files_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.npz", images=IMAGES, labels=LABELS)
    with pytest.raises(SourceError, match=r"holds 2 numpy files; name one of them: .*a\.npz, .*b\.npz"):
        open_source(str(tmp_path))


def test_the_dataset_is_that_of_the_same_images_as_files(tmp_path: Path) -> None:
    """Both spell the same images in the same order, so that the seed moves each alike."""
    for k, image in enumerate(IMAGES):
        path = tmp_path / "files" / str(LABELS[k]) / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(image))
    order = np.argsort(LABELS, kind="stable")
    places = (str(tmp_path / "files"), save(tmp_path / "a.npz", images=IMAGES[order], labels=LABELS[order]))
    made = [make(Spec(source=place, symmetry="d4"), tmp_path / f"out{k}") for k, place in enumerate(places)]
    one, other = (load(each.folder, "train") for each in made)
    assert torch.equal(one.images(), other.images())
    assert one.rows(np.arange(6)) == other.rows(np.arange(6))
    assert not torch.equal(one.images(), open_source(places[1]).read("train", np.arange(6)))
