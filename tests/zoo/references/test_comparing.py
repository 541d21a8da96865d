"""`zoo.compare`: real runs over seeds, from training to the paired test, in Python and on the page."""

import pytest

import zoo
from tests.support.commands import run
from tests.support.training import config, dataset
from zoo.errors import ModelError
from zoo.report import read_record


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=96)


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    fields = {"epochs": 4, "lr": 0.03, "width": 4}
    return [
        zoo.train_seeds(config(data, out=str(folder / name[:2]), model=name, **fields), 2)
        for name in ("p4cnn_12", "z2cnn_12")
    ]


OPTIONS = {"elements": "c4", "angles": 4}


def test_the_numbers_are_those_of_evaluate(data, runs):
    found = zoo.compare(runs, data, **OPTIONS)
    assert [group.name for group in found.groups] == ["p4cnn_12.glyphs-none", "z2cnn_12.glyphs-none"]
    for group, trained in zip(found.groups, runs, strict=True):
        alone = [zoo.evaluate(folder, data, **OPTIONS, probe=0) for folder in trained.folders]
        assert group.scores["upright"] == tuple(report.upright.value for report in alone)
        assert group.scores["all angles"] == tuple(report.curve.mean for report in alone)
    assert {pair.seeds for pair in found.pairs} == {(0, 1)} and len(found.pairs) == 3
    assert any(pair.difference.mean for pair in found.pairs)
    assert zoo.compare([folder for trained in runs for folder in trained.folders], data, **OPTIONS) == found


def test_models_of_one_seed_are_no_comparison(data, runs):
    with pytest.raises(ModelError, match=r"no two of these 2 models differ by their seed alone, .*--seeds 5"):
        zoo.compare([trained.folders[0] for trained in runs], data, **OPTIONS)


def test_the_report_has_the_same_table(data, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [folder for trained in runs for folder in trained.folders]
    given = ["--data", data, "--elements", "c4", "--angles", 4, "--measured", 0, "--films", 0]
    result = run("report", *folders, *given, "--markdown", "m.md")
    assert result.exit_code == 0, result.output
    found = zoo.compare(runs, data, **OPTIONS)
    assert result.stdout.strip() == str(found)
    saved = read_record("report.json")
    assert saved.seeds == found and str(found) in str(saved)
    html, markdown = (tmp_path / "report.html").read_text(), (tmp_path / "m.md").read_text()
    for pair in found.pairs:
        assert pair.cells[3] in html and pair.cells[3] in markdown
    assert "Pairs over the same seeds" in html
    alone = run("report", *folders[::2], *given)
    assert alone.exit_code == 0 and not alone.stdout, "negative control: one seed of each"
    assert "Over seeds" not in (tmp_path / "report.html").read_text()
