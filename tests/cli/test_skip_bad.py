"""Commands that read a source leave out as many bad images as `--skip-bad` says, and name them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import symdata
import zoo
from symdata.errors import SourceError, StoreError
from tests.support.commands import reader, refused, run
from tests.support.images import encoded, noise, write_folder
from zoo.preprocessing import Preprocessing

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2))
"""
MODEL = ("mynet:build", "--size", 16, "--mean", 0.5, "--std", 0.25, "--data", "pets", "--split", "train")
LEFT_OUT = ("left out: cat/3.png (it is damaged", "left out: dog/1.png (it is not an image")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a network and 120 images, of which one is cut and one is text."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    root = write_folder(place / "pets", per_class=60, side=16)
    (root / "cat" / "3.png").write_bytes(encoded(noise(16, 16, 3))[:400])
    (root / "dog" / "1.png").write_text("not an image")
    with reader(place, monkeypatch, NET):
        yield place


@pytest.mark.parametrize("command", ["evaluate", "measure", "report"])
def test_commands_on_a_model(command: str, here: Path) -> None:
    options = {
        "evaluate": ("--angles", 0, "--elements", "c4"),
        "measure": ("--generators", "rotation", "--elements", "c4", "--limit", 4),
        "report": ("--angles", 0, "--elements", "c4", "--measured", 0, "--films", 0),
    }[command]
    assert "cannot be used" in refused(command, *MODEL, *options)
    assert "2 of 120 images cannot be used, and 1 may be left out" in refused(
        command, *MODEL, *options, "--skip-bad", 1
    )
    result = run(command, *MODEL, *options, "--skip-bad", 2)
    assert result.exit_code == 0, result.output
    assert all(line in (result.stderr if command == "report" else result.stdout) for line in LEFT_OUT)
    if command == "report":
        assert "left out: dog/1.png" in Path("report.html").read_text()
    if command == "evaluate":
        saved = json.loads(Path("mynet-build-evaluation", "evaluation.json").read_text())
        assert saved["count"] == 118 and all(line in saved["note"] for line in LEFT_OUT)


def test_inspect_names_what_it_left_out(here: Path) -> None:
    assert "2 of 120 images cannot be used, and 1 may be left out" in refused("inspect", "pets", "--skip-bad", 1)
    result = run("inspect", "pets", "--skip-bad", 2)
    assert result.exit_code == 0 and all(line in result.stdout for line in LEFT_OUT)
    found = symdata.inspect("pets", skip_bad=2)
    assert list(found.skipped) == ["cat/3.png", "dog/1.png"] and found.audit.images == 118
    assert json.loads(run("inspect", "pets", "--skip-bad", 2, "--json").stdout)["skipped"] == found.skipped
    whole = write_folder(here / "whole", per_class=60, side=16)
    assert symdata.inspect(whole, skip_bad=2).skipped == {} and "left out" not in str(symdata.inspect(whole))
    beside = symdata.inspect(whole, upright="pets", skip_bad=2)
    assert list(beside.skipped) == ["cat/3.png", "dog/1.png"]


def test_from_python_the_images_are_opened_first(here: Path) -> None:
    how = Preprocessing(16, (0.5,) * 3, (0.25,) * 3)
    with pytest.raises(SourceError, match="cannot be used"):
        zoo.open_images("pets", "train", how)
    images = zoo.open_images("pets", "train", how, skip_bad=2)
    assert len(images) == 118 and [note.split(" (")[0] for note in images.notes] == [
        line.split(" (")[0] for line in LEFT_OUT
    ]
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 2))
    report = zoo.evaluate(zoo.OpenedModel(net, how, name="mine"), images, angles=0, probe=0)
    assert report.count == 118 and report.note == "; ".join(images.notes)


def test_a_dataset_folder_has_no_bad_images(here: Path) -> None:
    symdata.make("glyphs:OX", "letters", symmetry="c4", count=12, size=16)
    with pytest.raises(StoreError, match="'letters' is a dataset folder, which has no bad images"):
        zoo.open_images("letters", "train", Preprocessing(16, (0.5,), (0.25,)), skip_bad=1)
    with pytest.raises(StoreError, match="'letters' is a dataset folder, which has no bad images"):
        symdata.inspect("letters", audit=True, skip_bad=1)
    assert "--skip-bad is of the audit; add --audit" in refused("inspect", "letters", "--skip-bad", 1, code=2)
