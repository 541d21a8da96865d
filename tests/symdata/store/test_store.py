"""The dataset folder as `datasets` opens it and as `symdata.load` does."""

from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

import symdata
from symdata.errors import RecipeError, StoreError
from symdata.groups import Element, Group
from symdata.recipes.spec import Spec
from symdata.sources import open_source
from symdata.store import load, make, splits
from tests.support.folders import D4_PARTIAL, build, by_numpy, contents, derived, p_value
from tests.support.images import noise, write_folder, write_idx

datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def default(tmp_path_factory) -> Path:
    """What `symdata make --symmetry d4-partial` builds."""
    return build(tmp_path_factory.mktemp("default") / "d", symmetry="d4-partial").folder


@pytest.fixture(scope="module")
def turned(tmp_path_factory) -> Path:
    """A resampled dataset with a symmetry per class and another one for the test split."""
    folder = tmp_path_factory.mktemp("turned") / "d"
    return build(folder, symmetry="0-7:so2@-45..45,rest:c8", test_symmetry="o2", count=600, size=21).folder


def opened(folder: Path, cache: Path) -> datasets.DatasetDict:
    return datasets.load_dataset(str(folder), cache_dir=str(cache))


# As `datasets` sees it


def test_datasets_opens_the_default_dataset_and_every_image_is_what_is_recorded(default, tmp_path):
    loaded, source = opened(default, tmp_path), open_source("glyphs")
    assert {split: len(part) for split, part in loaded.items()} == {"train": 6000, "validation": 1000, "test": 1000}
    d4 = Group.parse("d4")
    for split, part in loaded.items():
        assert part.features["label"].names == list(source.classes)
        images = np.stack([np.asarray(image) for image in part["image"]])[:, None]
        index, element = np.array(part["index"]), np.array(part["element"])
        assert np.array_equal(index, np.arange(len(part)))
        assert np.array_equal(part["label"], source.labels(split)[index])
        elements = d4.take(element)
        assert np.array_equal(elements.angle.astype(np.float32), part["angle"])
        assert np.array_equal(elements.flip, part["flip"])
        assert np.array_equal(images, by_numpy(source.read(split, index), elements))
        counts = np.bincount(element, minlength=8)
        assert p_value(counts, D4_PARTIAL) > 0.001
        for label in range(16):
            assert p_value(np.bincount(element[np.array(part["label"]) == label], minlength=8), D4_PARTIAL) > 0.0001


def test_a_wrong_spec_would_fail_the_same_test(default):
    """Negative control: the counts tell d4-partial@0.5 from d4 and from d4-partial@0.4."""
    counts = np.bincount(load(default).element_index, minlength=8)
    for weight in (1.0, 0.4):
        assert p_value(counts, np.array([1 - weight] + [0.0] * 7) + weight / 8) < 0.001


def test_a_loader_gives_transformed_tensors_and_hf_has_every_column(default):
    dataset = load(default, "test", transform=lambda image: image.float() / 255)
    images, labels = next(iter(DataLoader(dataset, batch_size=5)))
    assert torch.equal(images, dataset.images(range(5)) / 255) and torch.equal(labels, dataset.labels[:5])
    assert isinstance(dataset[0][1], torch.Tensor) and isinstance(dataset.elements.angle, torch.Tensor)
    rows = dataset.hf()
    assert rows["label"][:] == dataset.labels.tolist() and rows["angle"][:] == dataset.elements.angle.tolist()
    assert torch.equal(rows.with_format("torch")[3]["image"], dataset.images([3])[0])


def test_datasets_streams_and_formats_it(default):
    stream = datasets.load_dataset(str(default), split="test", streaming=True)
    first = next(iter(stream.with_format("torch")))
    assert first["image"].shape == (1, 28, 28) and first["image"].dtype == torch.uint8
    assert torch.equal(first["image"], load(default, "test").images([0])[0])


def test_datasets_opens_a_resampled_one_in_shards(tmp_path):
    made = build(tmp_path / "d", symmetry="c8", count=300, run={"num_shards": 3})
    loaded = opened(made.folder, tmp_path / "cache")
    for split in splits(made.folder):
        images = np.stack([np.asarray(image) for image in loaded[split]["image"]])[:, None]
        assert np.array_equal(images, load(made.folder, split).images())
        assert set(loaded[split]["element"]) <= set(range(8))


def test_datasets_opens_pairs_and_quadrants(tmp_path):
    pair = build(tmp_path / "p", recipe="ddmnist-so2", source="glyphs:digits", count=100)
    loaded = opened(pair.folder, tmp_path / "cache")["train"]
    assert {"element_right", "angle_right", "flip_right", "index_right"} < set(loaded.column_names)
    assert set(loaded["element"]) == {-1}, "so2 has no indices"
    quadrant = build(tmp_path / "q", recipe="quadrant", source="glyphs:digits", count=100)
    loaded = opened(quadrant.folder, tmp_path / "cache")["train"]
    assert np.array_equal(np.array(loaded["label"]) // 10, loaded["quadrant"])


# As symdata loads it


def test_load_gives_tensors_and_a_torch_dataset(default):
    dataset = load(default, "test")
    images, labels = dataset.images(), dataset.labels
    assert images.shape == (1000, 1, 28, 28) and images.dtype == torch.uint8 and images.is_contiguous()
    assert labels.shape == (1000,) and labels.dtype == torch.int64
    assert dataset.element_index.dtype == dataset.index.dtype == torch.int64
    assert str(dataset.symmetry) == "d4-partial@0.5" and dataset.group.name == "d4"
    image, label = dataset[7]
    assert torch.equal(image, images[7]) and label == labels[7]
    assert torch.equal(dataset[-1][0], images[-1])
    batches = list(DataLoader(dataset, batch_size=300))
    assert torch.equal(torch.cat([batch[0] for batch in batches]), images)
    assert torch.equal(torch.cat([batch[1] for batch in batches]), labels)


def test_images_at_indices_or_under_a_mask(default):
    dataset = load(default, "test")
    images = dataset.images()
    order = np.array([5, -1, 5, 999, 0])
    assert torch.equal(dataset.images(order), images[order])
    assert torch.equal(dataset.images(dataset.labels == 3), images[dataset.labels == 3])
    assert dataset.images([]).shape == (0, 1, 28, 28)
    for bad in ([1000], [0, -1001]):
        with pytest.raises(IndexError, match=rf"index {bad[-1]} is outside a split of 1000 images"):
            dataset.images(bad)
    with pytest.raises(IndexError, match=r"a mask of shape \(3,\) for a split of 1000 images"):
        dataset.images(np.array([True, False, True]))


def test_images_across_many_pieces(tmp_path):
    folder = build(tmp_path / "d", symmetry="d4", count=500, run={"num_shards": 7}).folder
    dataset = load(folder)
    order = np.random.default_rng(0).permutation(500)
    assert torch.equal(dataset.images(order), dataset.images()[order])
    assert torch.equal(dataset.images(), derived(dataset, open_source("glyphs")))


def test_load_refuses_what_is_not_there(default, tmp_path):
    with pytest.raises(StoreError, match=r"has no split 'holdout'; it has train, validation, test"):
        load(default, "holdout")
    with pytest.raises(StoreError, match=r"is not a symdata dataset: symdata.json is missing or is not JSON"):
        load(tmp_path)
    with pytest.raises(StoreError, match=r"has no column 'colour'; it has image, label, element"):
        load(default).column("colour")


def test_elements_take_images_back(turned):
    dataset, source = load(turned, "train"), open_source("glyphs", size=21)
    assert torch.equal(dataset.images(), derived(dataset, source))
    assert dataset.group.name == "so2" and set(dataset.element_index.tolist()) == {-1}


def test_drawn_elements_are_those_of_the_symmetry(tmp_path):
    folder = build(tmp_path / "d", recipe="updown45", count=400).folder
    dataset = load(folder)
    angle = (dataset.drawn.angle.numpy() + 180) % 360 - 180
    assert np.abs(angle).max() <= 45.001
    assert np.abs((dataset.elements.angle.numpy() + 180) % 360 - 180).max() > 100


# The folder


def test_the_folder_holds_what_the_design_says_and_nothing_else(default):
    assert sorted(contents(default)) == [
        "README.md",
        "preview.png",
        "symdata.json",
        *(f"{split}-00000-of-00001.parquet" for split in ("test", "train", "validation")),
    ]
    assert sorted(path.name for path in default.parent.iterdir()) == ["d"], "and nothing stays beside it"
    assert pq.read_schema(default / "train-00000-of-00001.parquet").names == [
        *("image", "label", "element", "angle", "flip", "index"),
    ]


def test_python_and_command_line_make_the_same(default, tmp_path):
    made = symdata.make(symdata.Spec(symmetry="d4-partial@0.5"), tmp_path / "d")
    assert contents(made.folder) == contents(default)
    assert made.preview.is_file() and made.manifest["name"] == "glyphs-d4-partial_at_0p5"


def test_a_source_or_recipe_by_name_is_the_spec_of_that_name(tmp_path):
    fields = {"symmetry": "c4", "count": 20, "size": 8}
    for what, spec in (("glyphs", {}), ("glyphs:bd", {"source": "glyphs:bd"}), ("updown45", {"recipe": "updown45"})):
        named = make(what, tmp_path / f"{what}-named", **fields).manifest
        assert named == make(Spec(**spec, **fields), tmp_path / f"{what}-spec").manifest
    with pytest.raises(RecipeError, match="size would change a finished Spec; put it in there instead"):
        make(Spec(), tmp_path / "d", size=8)


def test_what_was_made_prints_itself(tmp_path):
    made = make("glyphs", tmp_path / "d", symmetry="c4", count=20, size=8)
    assert str(made).splitlines()[2] == "train       20      8x8x1  c4        1.000"
    assert str(made).endswith(f"dataset  {made.folder}\npicture  {made.preview}")
    assert "<td>c4</td>" in made._repr_html_()
    assert made.to_dict() == {"folder": str(made.folder), "preview": str(made.preview), "manifest": made.manifest}


def test_the_folder_is_named_after_what_is_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make(Spec(symmetry="c4", count=20)).folder == Path("glyphs-c4")
    assert (tmp_path / "glyphs-c4" / "symdata.json").is_file()


def test_a_dataset_folder_is_a_source_again(default, tmp_path):
    made = build(tmp_path / "d", source=str(default), symmetry="none", count=100)
    dataset, first = load(made.folder), load(default)
    assert dataset.classes == first.classes
    assert torch.equal(dataset.images(), first.images(dataset.index))


def test_colour_stays_colour(tmp_path):
    pets = write_folder(tmp_path / "pets", per_class=5)
    made = build(tmp_path / "d", source=str(pets), symmetry="d4")
    dataset = load(made.folder)
    assert dataset.shape == (3, 8, 8)
    assert torch.equal(dataset.images(), derived(dataset, open_source(str(pets))))


def test_an_image_of_two_by_two_pixels(tmp_path):
    write_idx(tmp_path / "s", noise(10, 2, 2), np.arange(10) % 2)
    dataset = load(build(tmp_path / "d", source=str(tmp_path / "s"), symmetry="d4").folder)
    assert dataset.images().shape == (10, 1, 2, 2)
    assert Element() in set(dataset.elements)


def test_a_finished_dataset_draws_its_contact_sheet(tmp_path):
    from PIL import Image

    made = make("glyphs", tmp_path / "d", count=16, size=8)
    (axes,) = made.plot().axes
    with Image.open(made.preview) as picture:
        assert np.array_equal(axes.images[0].get_array(), np.asarray(picture.convert("RGB")))
    assert made.to_pandas()["split"].tolist() == ["train", "validation", "test"]
    assert "<table>" in made._repr_html_() and len(repr(made)) < 300
    planned = make("glyphs", tmp_path / "e", count=16, size=8, dry_run=True)
    with pytest.raises(StoreError, match=r"there is no picture .*; make it first, without dry_run"):
        planned.plot()
