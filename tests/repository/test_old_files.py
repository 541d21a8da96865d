"""Files that an earlier version wrote, in tests/data, are opened, verified, measured and trained again by this one."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import symdata
import zoo
from tests.conftest import ROOT
from tests.support.commands import run
from zoo.training.recipe import read_recipe

OLD = ROOT / "tests" / "data" / "8257f99"

SPLITS = {
    "train": ([0, 1, 2, 3] * 3, [3, 1, 0, 1, 5, 0, 0, 0, 4, 1, 0, 0], "3f2dba6d7bc4737e"),
    "validation": ([0, 1], [6, 1], "994c742134bec7a1"),
    "test": ([0, 1], [3, 2], "60b06084b156a1e3"),
}
"""Split -> labels, indices of the elements in d4, and how the sha256 of the pixels begins, by the old code."""

MODELS = {"plain": "p4cnn_14", "averaged": "z2cnn_14"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a copy of the old files."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


def printed(*words):
    """What a command prints as JSON."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def assert_holds(new, old, place="") -> None:
    """Every value of `old` stands in `new`; numbers may differ by rounding, and there may be more keys."""
    if isinstance(old, dict):
        assert old.keys() <= new.keys(), place
        for key in old:
            assert_holds(new[key], old[key], f"{place}.{key}")
    elif isinstance(old, list):
        assert len(new) == len(old), place
        for k, (one, other) in enumerate(zip(new, old, strict=True)):
            assert_holds(one, other, f"{place}[{k}]")
    elif isinstance(old, float):
        assert new == pytest.approx(old, rel=1e-4, abs=1e-5), place
    elif place.endswith(".verdict"):  # one sentence, which may become clearer: exact, approximate or unknown
        assert new.split(":")[0] == old.split(":")[0], place
    else:
        assert new == old, place


@pytest.mark.parametrize("new", [{}, {"a": [1.001]}, {"a": [1.0, 2.0]}, {"a": 1.0}, {"a": ["1"]}])
def test_other_values_are_not_held(new):
    assert_holds({"a": [1.0000001], "b": 2}, {"a": [1.0]})
    with pytest.raises((AssertionError, TypeError)):
        assert_holds(new, {"a": [1.0]})


def test_the_dataset_is_read():
    for split, (labels, elements, digest) in SPLITS.items():
        dataset = symdata.load(OLD / "glyphs", split)
        assert dataset.labels.tolist() == labels and dataset.element_index.tolist() == elements
        assert hashlib.sha256(dataset.images().numpy().tobytes()).hexdigest().startswith(digest)


def test_the_dataset_is_verified():
    report = symdata.verify(OLD / "glyphs")
    assert report.checks and all(check.passed for check in report.checks)


def test_the_dataset_is_made_again(here):
    """Row for row; the bytes of the files also depend on the version of pyarrow."""
    spec = json.loads((OLD / "glyphs" / "symdata.json").read_text())["spec"]
    made = symdata.make(symdata.Spec(**spec), here / "again")
    assert made.manifest["spec"] == spec
    for split in SPLITS:
        new, old = symdata.load(here / "again", split), symdata.load(OLD / "glyphs", split)
        assert torch.equal(new.images(), old.images())
        for column in ("labels", "element_index", "index"):
            assert np.array_equal(getattr(new, column), getattr(old, column))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_gives_the_logits_of_its_golden_images(name):
    model, golden = zoo.load(OLD / name), load_file(OLD / name / "golden.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(model(golden["images"]), golden["logits"], rtol=1e-4, atol=1e-5)
    weights, now = load_file(OLD / name / "model.safetensors"), model.state_dict()
    assert weights.keys() == now.keys() and all(torch.equal(now[key], value) for key, value in weights.items())


def test_an_evaluation_gives_the_recorded_numbers(here):
    place = here / "plain" / "evaluation.json"
    old = json.loads(place.read_text())
    assert old["upright"]["correct"] == 8
    place.unlink()
    printed("evaluate", "plain", "--data", "glyphs", "--split", "train", "--angles", 4, "--save")
    assert_holds(json.loads(place.read_text()), old)


def test_an_average_is_evaluated(here):
    found = printed("evaluate", "averaged", "--data", "glyphs", "--split", "train", "--angles", 4)
    assert [score["correct"] for score in found["elements"]] == [3] * 8
    wanted = [0.0, 0.0495706, 0.0252882, 0.0619214, 0.0196921, 0.0569377, 0.0373632, 0.0572491]
    assert [score["invariance"] for score in found["elements"]] == pytest.approx(wanted, rel=1e-3)


def test_what_an_average_learned_is_read(here):
    said = json.loads((here / "averaged" / "config.json").read_text())["exactness"]["learned"]["half_widths"]
    now = zoo.load(here / "averaged").half_widths()
    assert list(now.values()) == pytest.approx(list(said.values()), rel=1e-5)
    assert printed("degree", "averaged")["degree"] == pytest.approx(said["rotation"] / 180, rel=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_card_is_rendered_again(name, here):
    result = run("card", name)
    assert result.exit_code == 0, result.output
    assert (here / name / "README.md").read_text().startswith("---\nlibrary_name: symdata\n")


@pytest.mark.parametrize("name", MODELS)
def test_a_recipe_is_trained_again(name, here):
    """To the same weights; only rounding differs between kinds of processor."""
    assert read_recipe(here / name / "recipe.yaml")["model"] == MODELS[name]
    result = run("train", "glyphs", "--config", here / name / "recipe.yaml", "--out", "again")
    assert result.exit_code == 0, result.output
    new, old = (load_file(folder / "model.safetensors") for folder in (here / "again", OLD / name))
    assert new.keys() == old.keys()
    for key in old:
        torch.testing.assert_close(
            new[key], old[key], rtol=1e-2, atol=1e-2
        )  # processors round differently, step after step


@pytest.mark.checkout
def test_a_report_is_read(here):
    """The page of the leaderboard from its numbers alone."""
    source = ROOT / "docs" / "results" / "leaderboard" / "leaderboard.json"
    result = run("report", source, "-o", "page.html", "--markdown", "page.md")
    assert result.exit_code == 0, result.output
    names = [entry["evaluation"]["name"] for entry in json.loads(source.read_text(encoding="utf-8"))["models"]]
    assert len(names) == 6
    for written in ("page.html", "page.md"):
        assert all(name in (here / written).read_text(encoding="utf-8") for name in names)
