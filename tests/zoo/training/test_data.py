"""What a network is shown: rows, order, elements and normalisation are functions of the seed and the row alone."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from symdata import make
from symdata.errors import SymdataError
from symdata.keys import split_keys
from symdata.store import load
from symdata.symmetry import Symmetry
from symdata.transforms.action import act
from tests.support.annotated import write_masks
from tests.support.folders import change
from tests.support.training import config, dataset
from zoo.errors import ModelError
from zoo.training import prepare
from zoo.training.batches import Batches, make_batches
from zoo.training.data import make_preprocessing, open_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=100)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A dataset without a split for validation."""
    path = tmp_path_factory.mktemp("whole") / "data"
    dataset(path, count=100)
    for shard in path.glob("validation-*"):
        shard.unlink()
    manifest = load(path, "train").manifest
    del manifest["splits"]["validation"]
    change(path, "splits", to=manifest["splits"])
    return path


def batches(folder, part=(0, 1), **changes) -> Batches:
    c = config(folder, **changes)
    share = open_data(c).train
    return Batches(c, share, make_preprocessing(c, 12, share), torch.device("cpu"), part)


def epoch(*arguments, number=0, **keywords):
    return list(batches(*arguments, **keywords).epoch(number))


def test_an_epoch_is_every_image_once_in_batches_alike(folder):
    served = epoch(folder, batch_size=16)
    sizes = [batch.size for batch in served]
    assert sizes == [len(batch.images) for batch in served] == [14, 14, 14, 15, 14, 14, 15]
    shown = torch.cat([batch.images for batch in served])
    plain = torch.cat([images for images, _ in batches(folder).plain()])
    assert shown.shape == plain.shape and not torch.equal(shown, plain)
    assert torch.equal(shown.flatten(1).sum(1).sort()[0], plain.flatten(1).sum(1).sort()[0])


def test_order_follows_from_seed_and_epoch(folder):
    def labels(**keywords):
        return torch.cat([batch.labels for batch in epoch(folder, **keywords)]).tolist()

    assert labels() == labels()
    assert len({tuple(labels(number=n)) for n in range(3)} | {tuple(labels(seed=1))}) == 4


@pytest.mark.parametrize("symmetry", ["none", "d4", "so2"])
@pytest.mark.parametrize("processes", [2, 3, 7])
def test_processes_share_every_batch(folder, symmetry, processes):
    alone = epoch(folder, symmetry=symmetry)
    parts = [epoch(folder, part=(k, processes), symmetry=symmetry) for k in range(processes)]
    for k, (images, labels, size, _) in enumerate(alone):
        assert torch.equal(torch.cat([part[k][0] for part in parts]), images)
        assert torch.equal(torch.cat([part[k][1] for part in parts]), labels)
        assert {part[k][2] for part in parts} == {size} and size == len(images)
    held = [torch.cat([i for i, _ in batches(folder, part=(k, processes)).plain()]) for k in range(processes)]
    assert torch.equal(torch.cat(held), torch.cat([i for i, _ in batches(folder).plain()]))


@pytest.mark.parametrize("fill", ["background", "zero"])
@pytest.mark.parametrize("symmetry", ["d4-partial", "so2@-30..30", "0-1:d4,rest:so2"])
def test_elements_follow_from_the_row(folder, symmetry, fill):
    """Derived by hand, from keys and `act`."""
    c = config(folder, symmetry=symmetry, fill=fill, resample="bilinear" if "so2" in symmetry else "auto")
    served = Batches(c, open_data(c).train, make_preprocessing(c, 12, open_data(c).train), torch.device("cpu"), (0, 1))
    rows = torch.arange(100)
    split = load(folder)
    images, labels = split.images(), split.labels
    elements = Symmetry.parse(symmetry).sample(labels, split_keys(c.seed, "train", "augment-3", rows))
    how = {"resample": c.resample, "mask": "none", "padding": "border" if fill == "background" else "zeros"}
    unit = images.float() / 255
    if fill == "background":
        expected = (act(unit, elements, **how) - served.mean) / served.std
    else:
        expected = act((unit - served.mean) / served.std, elements, **how)
    for number, same in ((3, True), (4, False)):  # in epoch 4 the elements are others
        order = np.argsort(split_keys(c.seed, "train", f"epoch-{number}", np.arange(100)), kind="stable")
        shown = torch.cat([batch.images for batch in served.epoch(number)])
        assert torch.allclose(shown, expected[order], atol=1e-6) == same


def test_the_element_of_an_image_does_not_depend_on_its_batch(folder):
    small, large = epoch(folder, symmetry="so2", batch_size=7), epoch(folder, symmetry="so2", batch_size=50)
    assert torch.equal(torch.cat([b[0] for b in small]), torch.cat([b[0] for b in large]))


def test_one_element_for_a_batch(folder):
    """The biased regime of the paper: undoing one turn brings back every image of the batch."""
    plain = epoch(folder)
    moved = epoch(folder, symmetry="c4", augment_per="batch")
    turns = []
    for before, after in zip(plain, moved, strict=True):
        found = [k for k in range(4) if torch.equal(torch.rot90(before.images, k, (-2, -1)), after.images)]
        turns += found[:1]
        assert found
    assert len(set(turns)) > 1
    parts = [epoch(folder, part=(k, 2), symmetry="c4", augment_per="batch") for k in range(2)]
    assert all(torch.equal(torch.cat([a[0], b[0]]), m[0]) for a, b, m in zip(*parts, moved, strict=True))


def test_images_are_what_preprocessing_makes_of_them(folder):
    c = config(folder, model="p4cnn_13")
    share = open_data(c).train
    preprocessing = make_preprocessing(c, 13, share)
    served = Batches(c, share, preprocessing, torch.device("cpu"), (0, 1))
    shown = torch.cat([images for images, _ in served.plain()])
    assert torch.equal(shown, preprocessing(share.images)), "to the bit: as the model will see them later"
    assert abs(float(shown.mean())) < 1e-4 and abs(float(shown.std()) - 1) < 1e-3, "measured on these images"
    last = epoch(folder, channels_last=True, channels=3)[0][0]
    assert last.is_contiguous(memory_format=torch.channels_last) and last.shape[1] == 3


def test_mean_and_std_as_given(folder):
    share = open_data(config(folder)).train
    assert make_preprocessing(config(folder, mean=0.5, std=2, channels=3), 12, share).mean == (0.5, 0.5, 0.5)
    given = make_preprocessing(config(folder, mean=[0.1, 0.2, 0.3], std=1), 12, share)
    assert given.channels == 3 and given.std == (1.0, 1.0, 1.0)
    with pytest.raises(ModelError, match="mean has 3 numbers for 1 channels"):
        make_preprocessing(config(folder, mean=[1, 2, 3], std=1, channels=1), 12, share)


# Which images


def test_a_validation_split_is_used_and_limit_is_of_the_train_split(folder):
    data = open_data(config(folder, limit=40))
    assert (len(data.train), len(data.validation), data.validation.dataset.split) == (40, 17, "validation")
    assert open_data(config(folder, validation=0)).validation is None
    assert set(open_data(config(folder, limit=40)).train.rows) < set(open_data(config(folder, limit=60)).train.rows)


def test_a_share_is_held_out_where_there_is_no_validation_split(whole):
    data = open_data(config(whole, validation=0.25))
    assert (len(data.train), len(data.validation)) == (75, 25)
    assert not set(data.train.rows) & set(data.validation.rows)
    assert set(data.train.rows) != set(open_data(config(whole, validation=0.25, seed=1)).train.rows)
    assert len(open_data(config(whole, validation=0.25, limit=40)).train) == 30
    with pytest.raises(ModelError, match=r"a share of 0\.001 of 100 images is none; use --validation 0"):
        open_data(config(whole, validation=0.001))


def test_the_test_split_is_never_opened(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "data")
    for shard in (tmp_path / "data").glob("test-*"):
        shard.unlink()
    opened = []
    monkeypatch.setattr("zoo.training.data.load", lambda folder, split: opened.append(split) or load(folder, split))
    prepare(config(tmp_path / "data"))
    assert opened == ["train", "validation"]


# What is refused


def test_too_few_images(folder):
    with pytest.raises(ModelError, match="has 20 images to train on, fewer than a batch of 64; use --batch-size 20"):
        open_data(config(folder, batch_size=64, limit=20))
    many = SimpleNamespace(process_index=0, num_processes=9, device=torch.device("cpu"))
    c = config(folder, batch_size=8)
    data = open_data(c)
    with pytest.raises(ModelError, match="9 processes share batches of 7 images; use fewer"):
        make_batches(c, data, make_preprocessing(c, 12, data.train), many)


def test_what_is_no_dataset(tmp_path, data):
    with pytest.raises(ModelError, match="does not exist; make a dataset with"):
        prepare(config(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"symdata make \S*mnist --symmetry none --out mnist-none` and train on mnist"):
        prepare(config(data / "mnist", out=str(tmp_path / "o")))
    (tmp_path / "file").write_text("")
    with pytest.raises(SymdataError, match="is not a symdata dataset"):
        prepare(config(tmp_path / "file"))


def test_a_dataset_without_a_train_split(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "data")
    splits = load(folder).manifest["splits"]
    change(tmp_path / "data", "splits", to={"test": splits["test"]})
    with pytest.raises(ModelError, match="has no split 'train', only test"):
        prepare(config(tmp_path / "data"))


def test_colour_images_and_one_channel(tmp_path, data):
    path = dataset(tmp_path / "data", source=str(data / "cifar10"), count=40, size=None)
    with pytest.raises(ModelError, match="have 3 channels and the model would take 1; use --channels 3, or a grey"):
        prepare(config(path, channels=1))
    assert prepare(config(path)).preprocessing.channels == 3


def test_a_symmetry_about_classes_that_do_not_exist(folder):
    with pytest.raises(SymdataError, match="names class 7, but the classes are 0 to 3"):
        prepare(config(folder, symmetry="7:d4,rest:none"))


def test_names_of_classes_become_numbers(folder):
    first = load(folder).classes[0]
    plan = prepare(config(folder, symmetry=f"{first}:0.5@none+0.5@r90,rest:none"))
    assert plan.config.symmetry == "0:0.5@none+0.5@r90,rest:none"
    with pytest.raises(SymdataError, match="names class 'absent'"):
        prepare(config(folder, symmetry="absent:d4,rest:none"))


def test_labels_that_were_changed(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "data")
    change(tmp_path / "data", "classes", to=["only"])
    with pytest.raises(ModelError, match="has labels 0 to 3 for 1 classes: it was changed"):
        prepare(config(tmp_path / "data"))


def test_a_size_that_does_not_fit(folder):
    with pytest.raises(SymdataError, match="adds an odd number of pixels"):
        prepare(config(folder, model="p4cnn_13", resize="pad"))
    with pytest.raises(ModelError, match="is too small"):
        prepare(config(folder, model="p4cnn_2"))
    with pytest.raises(ModelError, match="did you mean p4cnn_28"):
        prepare(config(folder, model="p4cnnn_28"))


def test_boxes_without_labels_train_no_classifier(tmp_path):
    write_masks(tmp_path / "cells")
    made = make(str(tmp_path / "cells"), tmp_path / "d", symmetry="d4")
    with pytest.raises(
        ModelError, match="has one class, 'image', and a classifier tells two or more apart, and has mask"
    ):
        open_data(config(made.folder))
