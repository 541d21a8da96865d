"""Inspecting real, freshly built datasets, in Python and on the command line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cli.main import main
from symdata.errors import SourceError, StoreError
from symdata.inspection.any_images import inspect
from symdata.inspection.drawing import pictures
from symdata.inspection.goodness import ChiSquare
from symdata.inspection.leakage import Trace
from symdata.inspection.report import InspectionReport, inspect_folder
from symdata.pictures.figure import as_picture
from symdata.recipes.spec import Spec
from symdata.store import load, make


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A function that builds a small dataset of glyphs once, and gives its folder."""
    root, done = tmp_path_factory.mktemp("built"), {}

    def build(**spec):
        name = "-".join(map(str, spec.values())).translate(str.maketrans(":,.~@", "_____"))
        if name not in done:
            make(Spec(**{"count": 1600, "size": 20, **spec}), root / name)
            done[name] = root / name
        return done[name]

    return build


def test_a_partial_symmetry_agrees_with_its_spec_and_leaks_nothing(built):
    report = inspect(built(symmetry="d4-partial"))
    assert report.agrees
    assert not report.leaks
    train = report.splits[0]
    assert (train.split, train.symmetry, train.group, train.degree, train.count) == (
        "train",
        "d4-partial@0.5",
        "d4",
        0.5,
        1600,
    )
    assert train.histogram.names[4] == "m"
    assert train.histogram.counts.sum(1).tolist() == list(train.class_counts) == [100] * 16
    assert {t.dof for t in train.tests} == {7}
    assert train.overall.dof == 112
    assert {t.question for t in train.traces} == {"moved"}


@pytest.mark.parametrize(
    "symmetry", ["none", "o2-partial@0.3", "so2@-45..45", "0-4:d4,rest:none", "0-4:so2@0~20,5:c8,rest:c2", "c24"]
)
def test_every_kind_of_symmetry_agrees_with_its_spec(built, symmetry):
    report = inspect(built(symmetry=symmetry), ["train"])
    assert report.agrees
    assert len(report.splits) == 1
    assert report.splits[0].histogram.counts.sum() == 1600


def test_splits_are_held_to_their_own_symmetry(built):
    report = inspect(built(symmetry="none", test_symmetry="d4"))
    assert [split.symmetry for split in report.splits] == ["none", "none", "d4"]
    assert report.agrees


def test_poses_are_not_taken_for_the_symmetry(built):
    """The label of `updown45` says whether an image stands on its head; only the 45 degrees are random."""
    report = inspect(built(recipe="updown45", count=400, size=20))
    assert report.agrees
    assert report.splits[0].group == "so2"


def test_plain_bilinear_is_reported_as_a_leak(built):
    report = inspect(built(symmetry="c8", resample="bilinear"), ["train"])
    assert report.leaks
    assert report.splits[0].agrees
    text = str(report)
    assert "Strongest trace: " in text and "Looked for: sharpness, detail, corner-mean, corner-zeros" in text


def test_no_report_says_that_there_is_no_trace(built):
    text = str(inspect(built(symmetry="d4-partial"), ["train"]))
    assert "no trace" not in text
    assert "for the question moved: AUC 0.5" in text and text.endswith("spectrum. Others may exist.")


def test_another_spec_than_the_true_one_disagrees(built, monkeypatch):
    folder = built(symmetry="d4-partial")
    manifest = json.loads((folder / "symdata.json").read_text())
    manifest["splits"]["train"]["symmetry"] = "d4"
    for module in ("symdata.inspection.report", "symdata.store.dataset"):
        monkeypatch.setattr(f"{module}.read_manifest", lambda _: manifest)
    report = inspect(folder)
    assert not report.splits[0].agrees
    assert not report.agrees


def test_a_folder_agrees_if_all_its_splits_do_and_leaks_if_one_does(built):
    report = inspect(built(symmetry="d4-partial"), ["train", "test"])
    good, other = report.splits
    bad = replace(other, tests=(ChiSquare(float("inf"), 7, 0.0),))
    assert good.agrees and not bad.agrees
    assert [replace(report, splits=some).agrees for some in ((good, good), (good, bad), (bad, good))] == [1, 0, 0]
    leak = replace(other, traces=(Trace("moved", "sharpness", 0.9, 0.01, 99, 99),))
    assert [replace(report, splits=some).leaks for some in ((good, good), (good, leak), (leak, good))] == [0, 1, 1]


def test_the_columns_of_a_large_group_add_up(built):
    """d24 has 48 elements: the identity, those that turn only, and those with a mirror."""
    folder = built(symmetry="d24")
    drawn = load(folder, "train").elements
    still = int(((drawn.angle == 0) & ~drawn.flip).sum())
    numbers = (len(drawn), still, int((~drawn.flip).sum()) - still, int(drawn.flip.sum()))
    (row,) = [line.split() for line in str(inspect(folder, ["train"])).splitlines() if line.startswith("all ")]
    assert tuple(map(int, row[1:5])) == numbers


def test_a_report_is_json(built):
    report = inspect(built(symmetry="d4-partial"), ["test"])
    fields = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert fields["splits"][0]["agrees"] is True
    assert fields["splits"][0]["overall"]["p_value"] == report.splits[0].overall.p_value
    assert fields["splits"][0]["traces"][0]["verdict"] in ("chance", "too few images")
    assert fields["splits"][0]["strongest"] in fields["splits"][0]["traces"]
    broken = replace(report.splits[0], tests=(ChiSquare(float("inf"), 7, 0.0),))
    assert json.loads(json.dumps(broken.to_dict(), allow_nan=False))["tests"][0]["statistic"] is None


def test_what_is_not_a_dataset_is_refused(built, tmp_path):
    with pytest.raises(SourceError, match="is an empty folder"):
        inspect(tmp_path)
    with pytest.raises(StoreError, match="not a symdata dataset"):
        inspect_folder(tmp_path)
    with pytest.raises(StoreError, match="no split 'holdout'"):
        inspect(built(symmetry="d4-partial"), ["holdout"])


def test_pictures_are_of_the_dataset(built):
    folder = built(symmetry="d4-partial")
    drawn = pictures(folder, ["test"])
    assert list(drawn) == ["contact-sheet.png", "polar.png"]
    image = np.asarray(load(folder, "test").images([0])[0, 0]).repeat(4, 0).repeat(4, 1)
    sheet = np.asarray(drawn["contact-sheet.png"])[..., 0]
    corners = [(y, x) for y in range(10, 24) for x in range(20, 80) if (sheet[y : y + 80, x : x + 80] == image).all()]
    assert len(corners) == 1


def test_a_dial_for_each_measure_of_a_per_class_symmetry(built):
    narrow = pictures(built(symmetry="none"), ["train"])["polar.png"]
    wide = pictures(built(symmetry="0-4:so2@0~20,5:c8,rest:c2"), ["train"])["polar.png"]
    assert wide.width == pytest.approx(3 * narrow.width, abs=4)


def run(*arguments):
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_the_command_prints_a_table_and_draws(built, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = built(symmetry="d4-partial")
    result = run(folder)
    assert result.exit_code == 0, result.output
    assert "The elements agree with the symmetry: chi-square" in result.stdout
    assert "r270m" in result.stdout
    where = Path(f"{folder.name}-inspect")
    assert f"wrote {where / 'polar.png'}" in result.stderr
    with Image.open(where / "contact-sheet.png") as picture:
        assert picture.mode == "RGB"
    assert {path.name for path in folder.iterdir() if path.suffix == ".png"} == {"preview.png"}


def test_the_command_gives_json(built, tmp_path):
    result = run(built(symmetry="0-4:d4,rest:none"), "--json", "--split", "train", "--out", tmp_path / "seen")
    assert result.exit_code == 0, result.output
    assert [split["split"] for split in json.loads(result.stdout)["splits"]] == ["train"]
    assert (tmp_path / "seen" / "polar.png").is_file()


def test_the_report_prints_what_the_command_prints(built, tmp_path):
    folder = built(symmetry="d4-partial")
    report = inspect(folder)
    assert run(folder, "--out", tmp_path / "seen").stdout == f"{report}\n"
    assert str(report.splits[0]) in str(report)
    html = report._repr_html_()
    assert html.count("<table>") == 2 * len(report.splits) and "<th>r270m</th>" in html


def test_the_plot_of_a_report_is_the_polar_picture(built):
    folder = built(symmetry="d4-partial")
    plotted = as_picture(inspect(folder, ["train", "test"]).plot())
    assert plotted.tobytes() == pictures(folder, ["train", "test"])["polar.png"].tobytes()


def test_large_groups_are_summed_up(built, tmp_path):
    result = run(built(symmetry="c24"), "--split", "train", "--out", tmp_path)
    assert "turned  mirrored" in result.stdout


def test_pictures_do_not_go_into_the_dataset(built):
    folder = built(symmetry="d4-partial")
    for out in (folder, folder / "pictures"):
        result = run(folder, "--out", out)
        assert result.exit_code == 2
        assert "name a folder beside it" in result.stderr
    assert not (folder / "pictures").exists()


def test_the_command_refuses_in_one_sentence(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("symdata: ")
    assert result.stderr.count("\n") == 1
    assert "is an empty folder" in result.stderr


def test_the_report_is_a_report(built):
    assert isinstance(inspect(built(symmetry="none"), ["test"]), InspectionReport)
