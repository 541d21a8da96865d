"""The networks that come with the package: small, whole, and what their cards say."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from cli.card import command
from symdata.groups import Element
from symdata.sources import open_source
from tests.support.folders import contents
from tests.support.reports import strange_numbers
from zoo import accuracy, load
from zoo.card import render_card
from zoo.loading import bundled, bundled_folder, info
from zoo.sizes import phi_by_size

NAMES = tuple(f"{name}.mnist-none" for name in ("p4cnn_27", "p4cnn_28", "p4cnn_29", "p4mcnn_28", "z2cnn_28"))
KIBIBYTES = 300


def evaluation(name: str) -> dict:
    return json.loads((bundled_folder(name) / "evaluation.json").read_text(encoding="utf-8"))


def test_these_are_bundled():
    assert bundled() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_says_how_it_was_made(name):
    files = list(bundled_folder(name).iterdir())
    assert sum(file.stat().st_size for file in files) < KIBIBYTES * 1024
    told = {"recipe.yaml", "metrics.jsonl", "evaluation.json", "README.md", "polar.png"}
    assert told <= {file.name for file in files}
    assert info(name)["training"]["command"].startswith("symdata train mnist-none --model ")


@pytest.mark.parametrize("name", NAMES)
def test_its_card_is_what_its_numbers_give(name):
    card = Path(bundled_folder(name), "README.md").read_text(encoding="utf-8")
    assert render_card(info(name), evaluation(name)) == card
    assert not strange_numbers(card, info(name), evaluation(name))


def pixels(folder: Path) -> np.ndarray:
    with Image.open(folder / "polar.png") as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_anyone_can_render_the_cards_again(tmp_path):
    """Text to the byte; pictures as nearly as another version of matplotlib or of its fonts draws them."""
    drawn = {}
    for name in NAMES:
        folder = Path(shutil.copytree(bundled_folder(name), tmp_path / name))
        (folder / "README.md").unlink()
        (folder / "polar.png").unlink()
        result = CliRunner().invoke(command, [str(folder)])
        assert result.exit_code == 0, result.output
        again, here = contents(folder), contents(bundled_folder(name))
        assert again.keys() == here.keys() and {k for k in here if here[k] != again[k]} <= {"polar.png"}
        drawn[name] = pixels(folder)
    shown = {name: pixels(bundled_folder(name)) for name in NAMES}
    assert {picture.shape for picture in (*drawn.values(), *shown.values())} == {shown[NAMES[0]].shape}
    apart = {(a, b): np.abs(drawn[a] - shown[b]).mean() for a in NAMES for b in NAMES}
    assert max(apart[a, a] for a in NAMES) < 0.8 * min(apart[a, b] for a in NAMES for b in NAMES if a != b)


@pytest.mark.parametrize("name", NAMES)
def test_its_sizes_are_what_arithmetic_gives(name):
    config = info(name)
    found = phi_by_size(load(name), config["preprocessing"]["size"])
    assert config["exactness"]["sizes"] == {str(size): phi for size, phi in found.items()}
    assert len(found) == 9 and found[config["preprocessing"]["size"]] == max(config["exactness"]["phi"])


@pytest.mark.parametrize("name", NAMES)
def test_it_does_on_digits_what_its_evaluation_says(name, data):
    model, digits = load(name), open_source(str(data / "mnist"))
    rows = torch.arange(0, 10_000, 25).numpy()
    images, labels = digits.read("test", rows), digits.labels("test")[rows]
    said = {score["element"]: score["accuracy"] for score in evaluation(name)["elements"]}
    for element in (Element(0), Element(90), Element(180)):
        found = accuracy(model, images, labels, model.preprocessing, element)
        expected = said[str(element)]
        assert abs(found - expected) <= 4 * (expected * (1 - expected) / len(rows)) ** 0.5
    exact = info(name)["exactness"]["exact"] and not name.startswith("z2")
    assert (said["e"] == said["r90"] == said["r180"] == said["r270"]) is exact
