"""A dataset of every form of symmetry: built, verified, tested against its law, and loaded by who lacks the law."""

import dataclasses
import json
import re

import numpy as np
import pytest

from symdata import inspect, load, make, register_law, verify
from symdata.errors import UnregisteredLawError
from symdata.inspection.goodness import combine, goodness_by_class
from symdata.measures import Density, registry
from symdata.symmetry import Symmetry
from tests.support import processes
from tests.support.folders import build, contents
from tests.support.images import write_folder

quick_workers = processes.quick_workers

FORMS = {  # the text, and another one that the elements refute
    "0.7@none+0.3@r90": "0.7@none+0.3@r270",
    "0.4@none+0.3@r90+0.2@r180m+0.1@t": "0.2@none+0.5@r90+0.2@r180m+0.1@t",
    "so2@45~k4": "so2@90~k4",
    "c8@45~k4": "c8@90~k4",
    "0.5@none+0.5@so2@-45..45": "0.5@none+0.5@so2@-30..30",
    "0.3@c4+0.4@o2@45~20+0.3@r33.3m": "0.3@c4+0.4@o2@45~20+0.3@r33.3",
    "O:d4,X:0.5@none+0.5@r90,rest:none": "O:d4,X:none,rest:none",
    "law@tilted@to=90": "law@tilted@to=0",
    "0-1:law@tilted,rest:so2@0~k2": "0-1:so2@0~k2,rest:law@tilted",
}


@pytest.fixture(autouse=True)
def laws(monkeypatch):
    monkeypatch.setattr(registry, "_LAWS", {})

    @register_law("tilted", version=2)
    def tilted(to=20.0):
        return Density(lambda angle: (1 + np.cos(np.deg2rad(angle - to))) ** 2, lambda angle: 0.2 + 0 * angle)


@pytest.mark.parametrize("text", FORMS)
def test_a_dataset_of_every_form_verifies_and_agrees_with_its_law_alone(text, tmp_path):
    made = build(tmp_path / "d", source="glyphs:OXAF", symmetry=text, count=400, size=8, mask="none")
    assert made.manifest["spec"]["symmetry"] == str(Symmetry(text))
    assert verify(made.folder, samples=8).passed
    dataset = load(made.folder, "train")
    assert dataset.symmetry == Symmetry(text).resolve(dataset.classes)
    tests = goodness_by_class(dataset.symmetry, dataset.drawn.cpu(), dataset.labels.numpy(), 4)
    assert combine(tests).p_value > 1e-3
    other = Symmetry(FORMS[text]).resolve(dataset.classes)
    assert combine(goodness_by_class(other, dataset.drawn.cpu(), dataset.labels.numpy(), 4)).p_value < 1e-6


def test_inspection_tells_a_law_of_ones_own(tmp_path):
    build(tmp_path / "d", source="glyphs:OX", symmetry="law@tilted", count=200, size=8)
    report = inspect(tmp_path / "d", ["train"])
    assert report.agrees and report.splits[0].symmetry == "law@tilted@version=2@to=20"
    assert report.splits[0].group == "o2" and 0.0 < report.splits[0].degree < 1.0
    assert report.plot() is not None


@pytest.mark.parametrize("text", ["law@tilted", "0.5@none+0.3@so2@45~k4+0.2@r33.3"])
def test_bytes_depend_on_no_batch_and_no_worker(text, tmp_path, quick_workers):
    fields = {"source": "glyphs:OX", "symmetry": text, "count": 40, "size": 8}
    whole = contents(build(tmp_path / "whole", **fields).folder)
    assert contents(build(tmp_path / "17", run={"batch_size": 17}, **fields).folder) == whole
    assert contents(build(tmp_path / "two", run={"workers": 2}, **fields).folder) == whole


def test_who_lacks_the_law_can_load_and_is_told_what_verify_needs(tmp_path, monkeypatch):
    made = make("glyphs:OX", tmp_path / "d", symmetry="law@tilted", count=20, size=8)
    monkeypatch.setattr(registry, "_LAWS", {})
    dataset = load(made.folder)
    assert len(dataset.images()) == 20 and "law@tilted@version=2@to=20" in repr(dataset)
    (failed,) = verify(made.folder, samples=4).failed
    assert failed.name == "source"
    assert re.fullmatch(
        r"law 'tilted' is not registered; import the module that has @symdata.register_law\('tilted', version=2\) "
        r"\(commands: symdata --laws MODULE\)",
        failed.detail,
    )
    with pytest.raises(UnregisteredLawError, match="law 'tilted' is not registered"):
        inspect(made.folder)


def test_another_version_of_a_law_and_a_changed_law_are_found(tmp_path, monkeypatch):
    made = make("glyphs:OX", tmp_path / "d", symmetry="law@tilted", count=20, size=8)
    entry = registry._LAWS["tilted"]
    changed = dataclasses.replace(entry, function=lambda to: Density(lambda angle: 1 + 0 * angle))
    monkeypatch.setattr(registry, "_LAWS", {"tilted": dataclasses.replace(entry, version=3)})
    (failed,) = verify(made.folder, samples=4).failed
    assert failed.detail.startswith("law 'tilted' has version 3 here, and version 2 is asked for")
    monkeypatch.setattr(registry, "_LAWS", {"tilted": changed})
    assert "degree is" in verify(made.folder, samples=4).failed[0].detail


def test_a_manifest_says_the_names_and_the_numbers_of_classes(tmp_path):
    made = build(tmp_path / "d", source="glyphs:OX", symmetry="X:d4,rest:none", count=20, size=8)
    manifest = json.loads((made.folder / "symdata.json").read_text())
    assert manifest["spec"]["symmetry"] == "X:d4,rest:none"
    assert manifest["splits"]["train"]["symmetry"] == "1:d4,rest:none"
    assert "--symmetry X:d4,rest:none" in (made.folder / "README.md").read_text()
    numbered = make("glyphs:OX", tmp_path / "e", symmetry="1:d4,rest:none", count=20, size=8).folder
    shards = [{k: v for k, v in contents(d).items() if k.endswith(".parquet")} for d in (made.folder, numbered)]
    assert shards[0] == shards[1]


def test_a_name_with_a_blank_is_quoted_in_the_command_of_the_card(tmp_path):
    pets = write_folder(tmp_path / "pets", ("big cat", "dog"))
    made = build(tmp_path / "d", source=str(pets), symmetry="big cat:so2@45~20,rest:none")
    assert "--symmetry 'big cat:so2@45~20,rest:none'" in (made.folder / "README.md").read_text()
    assert verify(made.folder).passed
