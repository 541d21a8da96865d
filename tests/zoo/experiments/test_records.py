"""What was recorded is what the code asks for and writes today: requests, tables, bands, numbers, drawings."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symdata.pictures.figure import as_picture
from tests.conftest import ROOT
from zoo.errors import ModelError
from zoo.experiments.harness.catalog import CATALOG
from zoo.experiments.harness.experiment import find_experiment
from zoo.experiments.harness.runs import RunRecord
from zoo.experiments.harness.setting import Setting

pytestmark = pytest.mark.checkout

RESULTS = ROOT / "docs" / "results"
if not RESULTS.is_dir():
    pytest.skip("the records are in the checkout alone", allow_module_level=True)


def recorded(experiment: str) -> list[RunRecord]:
    """The runs of a record; none outside the checkout, where these tests are left out."""
    path = RESULTS / experiment / "runs.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    fields = [json.loads(line) for line in lines]
    return [RunRecord(**{name: f[name] for name in f if name != "format"}) for f in fields]


RECORDS = {name: recorded(name) for name in CATALOG}
PARTS = [(name, part) for name, records in RECORDS.items() for part in dict.fromkeys(r.part for r in records)]


@pytest.fixture(scope="module", params=PARTS, ids=lambda pair: "-".join(pair))
def reported(request):
    """The name of an experiment, its setting, and the section of a part that was recorded."""
    name, part = request.param
    setting = Setting(Path(name), experiment=name, parts=(part,), data=Path("mnist"))
    records = [record for record in RECORDS[name] if record.part == part]
    return name, setting, find_experiment(name).section(part, records, setting)


def test_every_experiment_has_a_record():
    assert {name for name, _ in PARTS} == set(CATALOG)


def test_the_runs_that_were_recorded_are_those_that_are_asked_for(reported):
    name, setting, section = reported
    jobs = find_experiment(name).jobs(section.part, setting)
    asked = [(job.key, json.loads(json.dumps(job.request))) for job in jobs]
    assert asked == [(record.key, record.request) for record in section.records]


def test_a_record_is_rendered_again_from_its_runs(reported):
    name, _, section = reported
    assert section.markdown in (RESULTS / name / "README.md").read_text(encoding="utf-8")
    content = json.loads((RESULTS / name / "results.json").read_text(encoding="utf-8"))
    assert json.dumps(section.to_dict()) == json.dumps(content["parts"][section.part])


def test_a_section_shows_itself(reported):
    _, _, section = reported
    text, html = str(section), section._repr_html_()
    assert text.startswith(f"{section.title}\n\n{section.tables[0]}\n\n")
    assert text.endswith(f"\n\nCost: {section.cost}.\n\nRuns: {section.origin}.")
    assert html.count("<table>") == len(section.tables) + bool(section.verdicts)


def test_no_row_of_a_record_was_run_with_changes_and_new_ones_name_their_code(reported):
    _, _, section = reported
    for row in section.records:
        assert not row.dirty and row.is_clean == (row.commit is not None)
        assert row.commit is None or (len(row.commit) == 12 and "torch" in row.software and "cores" in row.machine)


def test_what_is_drawn_is_the_recorded_picture(reported):
    name, _, section = reported
    path = RESULTS / name / f"{section.part}.png"
    assert (section.drawing is not None) == path.exists()
    if section.drawing is None:
        with pytest.raises(ModelError, match="has no drawing"):
            section.plot()
        return
    drawn = np.asarray(as_picture(section.plot()), float)
    with Image.open(path) as picture:
        kept = np.asarray(picture.convert("RGB"), float)
    assert drawn.shape == kept.shape and np.abs(drawn - kept).mean() < 3, "of 255: the file has fewer colours"
