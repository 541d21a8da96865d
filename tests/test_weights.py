"""The networks that come with the package: small, whole, and what their cards say."""

import json
from pathlib import Path

import pytest
import torch

from symdata.groups import Element
from symdata.sources import open_source
from zoo import accuracy, load
from zoo.card import render_card
from zoo.loading import bundled, bundled_folder, info

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
    assert {"recipe.yaml", "metrics.jsonl", "evaluation.json", "README.md"} <= {file.name for file in files}
    assert info(name)["training"]["command"].startswith("symdata train mnist-none --model ")


@pytest.mark.parametrize("name", NAMES)
def test_its_card_is_what_its_numbers_give(name):
    card = Path(bundled_folder(name), "README.md").read_text(encoding="utf-8")
    assert render_card(info(name), evaluation(name)) == card


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
