"""`symdata report`: any model that can be measured, earlier reports, and everything that it refuses."""

import importlib
import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.support import commands
from tests.support.commands import refused, run
from zoo.report import read_record

here = commands.here
NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
"""
OWN = ("--size", 28, "--mean", 0.15, "--std", 0.3)
FEW = ("--data", "glyphs:digits", "--limit", 10, "--angles", 4, "--films", 1, "--measured", 1)
EXACT, PLAIN = "p4cnn_28.mnist-none", "z2cnn_28.mnist-none"


@pytest.fixture
def mine(here, monkeypatch):
    """A network of the user and its weights, in the current folder."""
    with commands.reader(here, monkeypatch, NET):
        save_file(importlib.import_module("mynet").build().state_dict(), "mine.safetensors")
        yield here


def written(*arguments):
    """The record of a report that succeeds."""
    result = run("report", *arguments)
    assert result.exit_code == 0, result.output
    return read_record("report.json")


def test_side_by_side(here):
    result = run("report", EXACT, PLAIN, *FEW, "-o", "out/page.html", "--compare", "--markdown", "out/table.md")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("| model | parameters |")
    assert Path("out/table.md").read_text() == result.stdout
    assert Path("out/page.html").read_text().count("Watch it turn") == 2
    assert len(json.loads(Path("out/page.json").read_text())["models"]) == 2


def test_models_of_every_kind(mine):
    """A function says its preprocessing by options, which leave a model that knows its own alone."""
    record = written("mynet:build", EXACT, *FEW, *OWN)
    own, bundled = record.entries
    assert own.sizes is None and own.measures.images == 1 and len(own.strips) == 1
    alone = written(EXACT, *FEW).entries[0]
    assert alone.report.logits == bundled.report.logits
    weights = written("--weights", "mine.safetensors", "--arch", "mynet:build", *FEW, *OWN).entries[0]
    positional = written("mine.safetensors", "--arch", "mynet:build", *FEW, *OWN).entries[0]
    assert weights.name == positional.name == "mine" and weights.report.logits == own.report.logits


def test_earlier_reports_are_not_measured_again(mine):
    first = run("report", EXACT, *FEW, "-o", "a.html", "--title", "Mine")
    assert first.exit_code == 0, first.output
    again = run("report", "a.json", "-o", "b.html")
    assert again.exit_code == 0, again.output
    assert Path("b.json").read_bytes() == Path("a.json").read_bytes()
    assert Path("b.html").read_bytes() == Path("a.html").read_bytes()
    both = written("a.json", PLAIN, "a.json", *FEW)
    assert [entry.name for entry in both.entries] == [EXACT, PLAIN, EXACT]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--data", "glyphs"], 2, "name at least one MODEL, or --compare all bundled ones"),
        ([EXACT], 2, "Missing option '--data'"),
        ([EXACT, "--data", "glyphs", "-o", "page.pdf"], 2, "-o 'page.pdf' is no page; name it 'page.html'"),
        ([EXACT, PLAIN, "--weights", "w.safetensors", *FEW], 2, "--weights and --arch are for one model"),
        (["p4cnn_28", "--data", "glyphs"], 1, "has random weights"),
        ([EXACT, "--data", "glyphs:OX"], 1, "classes"),
        ([EXACT, "--data", "glyphs", "--device", "nowhere"], 1, "'nowhere'"),
        (["nothing.json"], 1, "'nothing.json' is no report"),
    ],
)
def test_what_is_refused(here, arguments, code, sentence):
    assert sentence in refused("report", *arguments, code=code)


def test_a_device_is_checked_before_models_are_opened(here):
    assert "'nowhere'" in refused("report", "no-such-model", "--data", "glyphs", "--device", "nowhere")


def test_reports_on_other_images_are_refused_before_anything_is_measured(here):
    for limit, name in ((10, "a"), (12, "b")):
        result = run("report", EXACT, *FEW, "--limit", limit, "--measured", 0, "-o", f"{name}.html")
        assert result.exit_code == 0, result.output
    assert "evaluated on different images" in refused("report", "a.json", "b.json", "no-such-model", "--data", "glyphs")
