"""`zoo.report` in one call: the numbers of the command, pages and tables, and what it refuses."""

import inspect
import json
import subprocess
import sys

import pytest
import torch

import zoo
from tests.support.commands import run
from zoo import ImageSet, ModelError, OpenedModel, Preprocessing
from zoo.report import collect, report
from zoo.report.run import forwards

FEW = {"limit": 12, "angles": 4, "measured": 1, "films": 1, "elements": "c4"}


def network(seed=0):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    return OpenedModel(net, Preprocessing(8, 0.5, 0.5), name=f"net {seed}")


def images(count=12):
    pixels = torch.randint(0, 256, (count, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(pixels, [k % 2 for k in range(count)], name="noise")


def test_it_is_what_the_command_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("p4cnn_28.mnist-none", "z2cnn_28.mnist-none")
    found = zoo.report(names, "glyphs:digits", out="page.html", **FEW)
    options = [word for key, value in FEW.items() for word in (f"--{key}", value)]
    result = run("report", *names, "--data", "glyphs:digits", *options, "-o", "other.html")
    assert result.exit_code == 0, result.output
    ours, theirs = (json.loads((tmp_path / name).read_text())["models"] for name in ("page.json", "other.json"))
    assert ours == theirs and (tmp_path / "page.html").read_text() == found.html
    again = zoo.report("page.json")
    assert again.entries == found.entries
    frame = found.to_pandas()
    assert frame["model"].tolist() == list(names) and frame["upright"][0] == found.entries[0].report.upright.value
    (axes,) = found.plot().axes
    assert len(axes.lines) == 1 + len(names)


def test_the_package_is_called_and_still_a_package():
    """In a fresh process, whichever comes first."""
    code = "import zoo; zoo.report; zoo.report.page; from zoo.report import report, page; print(callable(zoo.report))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    assert inspect.signature(zoo.report) == inspect.signature(report)
    assert callable(zoo.report) and zoo.report.collect is collect and zoo.report.report is report


def test_models_of_every_kind_and_earlier_reports_stand_side_by_side():
    first = zoo.report(network(), images(), **FEW)
    module = network(1).model
    module.preprocessing = Preprocessing(8, 0.5, 0.5)
    both = zoo.report([first, module], images(), **FEW)
    assert both.entries[0] == first.entries[0] and len(both.entries) == 2


def test_predictions_that_the_evaluation_kept_are_those_that_are_asked_for_again():
    model, noise = network(), images()
    (entry,) = zoo.report(model, noise, **FEW).entries
    assert collect(model, noise, entry.report, strips=1, measured=1) == entry


def test_progress_adds_up():
    seen = []
    zoo.report(network(), images(), progress=seen.append, **FEW)
    from symdata import Group

    assert sum(seen) == forwards(12, Group("c4"), 4, None, 1)


@pytest.mark.parametrize(
    ("options", "kind", "reason"),
    [
        (
            {"angels": 4},
            TypeError,
            "'angels' is no option of zoo.report; it has split, limit, skip_bad, elements, angles",
        ),
        ({"out": "page.pdf"}, ModelError, r"out is 'page.pdf', expected a page such as 'page.html'"),
        ({"data": None}, ModelError, "there are no images for 'net 0'; give data"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_measured(options, kind, reason):
    words = {"data": images(), **options}
    with pytest.raises(kind, match=reason):
        zoo.report(network(), **words)
    with pytest.raises(ModelError, match="0 models for one report"):
        zoo.report([], images())


def test_layers_beside_the_same_layers_moved_are_a_section_of_the_page(tmp_path):
    few = FEW | {"measured": 0, "elements": "c2", "angles": 0, "films": 0}
    found = zoo.report("p4cnn_28.mnist-none", "glyphs:digits", aligned=8, out=tmp_path / "page.html", **few)
    assert "Each layer beside the same layer moved" in found.html and "Residual of the weights" in found.html
    assert zoo.report(tmp_path / "page.json").entries == found.entries
    without = zoo.report("p4cnn_28.mnist-none", "glyphs:digits", **few)
    assert "Each layer beside" not in without.html and "alignment" not in without.to_dict()["models"][0]
