"""What a row says of the code that ran: commit, whether files differed from it, software, processor."""

import json
import os
import platform
import subprocess
from pathlib import Path

import pytest

from zoo.errors import ModelError
from zoo.experiments.harness import experiment, runs
from zoo.experiments.harness.provenance import Provenance, checkout, provenance
from zoo.experiments.harness.runs import Job, do, find, lot, run_all
from zoo.experiments.harness.setting import Setting

CLEAN = Provenance("0123456789ab", False, "symdata 1", "a processor")


def git(root, *words):
    names = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *names, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    for name in ("symdata/core.py", "zoo/families/a.py", "docs/results.md", "pyproject.toml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("first\n")
    git(root.parent, "init", "-q", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def test_a_checkout_without_changes_is_clean(repository):
    commit, dirty = checkout(repository)
    assert len(commit) == 12 and int(commit, 16) >= 0 and dirty is False


@pytest.mark.parametrize(
    ("file", "dirty"),
    [("symdata/core.py", True), ("zoo/families/new.py", True), ("docs/results.md", False), ("notes.txt", False)],
)
def test_what_decides_results_makes_it_unclean_and_nothing_else(repository, file, dirty):
    before = checkout(repository)[0]
    (repository / file).write_text("second\n")
    assert checkout(repository) == (before, dirty)
    if dirty:
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "second")
        after = checkout(repository)
        assert after[0] != before and after[1] is False


def test_a_folder_inside_of_another_checkout_has_no_commit(repository):
    assert checkout(repository / "zoo") == (None, None)


def test_a_row_names_code_and_machine_but_no_place_of_this_machine(tmp_path):
    record = do(Job("part", "a", {}, lambda job, setting: {}), Setting(tmp_path))
    found = (record.commit, record.dirty, record.software, record.machine)
    assert (
        found == tuple(provenance()) and platform.python_version() in found[2] and f"{os.cpu_count()} cores" in found[3]
    )
    text = " ".join(map(str, found))
    assert platform.node() not in text and str(Path.home()) not in text and str(tmp_path) not in text


def test_a_change_during_the_run_is_a_change(tmp_path, monkeypatch):
    seen = iter([CLEAN, CLEAN._replace(dirty=True), CLEAN, CLEAN._replace(commit="ba9876543210"), CLEAN, CLEAN])
    monkeypatch.setattr(runs, "provenance", lambda: next(seen))
    rows = [do(Job("part", f"{k}", {}, lambda job, setting: {}), Setting(tmp_path)) for k in range(3)]
    assert [row.dirty for row in rows] == [True, True, False]
    assert [row.is_clean for row in rows] == [False, False, True]


@pytest.mark.parametrize(("origin", "counts"), [(CLEAN, True), (CLEAN._replace(dirty=True), False)])
def test_a_run_with_changes_is_run_again_for_a_record(tmp_path, monkeypatch, origin, counts):
    job = Job("part", "a", {"x": 1}, lambda job, setting: {"y": 2})
    monkeypatch.setattr(runs, "provenance", lambda: origin)
    do(job, Setting(tmp_path))
    assert find(job, Setting(tmp_path)) is not None
    assert (find(job, Setting(tmp_path, record=tmp_path / "record")) is not None) == counts


def test_rows_of_the_record_are_not_run_again_unless_something_else_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "provenance", lambda: CLEAN)
    out, record = Setting(tmp_path / "out"), tmp_path / "record"
    job = Job("part", "a", {"x": 1}, lambda job, setting: {"y": 2})
    row = do(job, out)
    record.mkdir()
    (record / runs.ROWS).write_text(json.dumps(row.to_dict() | {"result": {"y": 3}}) + "\n")
    elsewhere = Setting(tmp_path / "other", record=record)
    assert find(job, elsewhere).result == {"y": 3}
    other = Job("part", "a", {"x": 2}, job.run)
    assert find(other, elsewhere) is None
    assert [row.result for row in run_all([job, other], elsewhere, print)] == [{"y": 3}, {"y": 2}]
    (record / runs.ROWS).write_text("{")
    assert find(job, elsewhere) is None


def test_rows_without_a_commit_are_read_and_are_not_clean(tmp_path):
    job = Job("part", "a", {}, lambda job, setting: {})
    row = do(job, Setting(tmp_path)).to_dict()
    for name in Provenance._fields:
        del row[name]
    job.place(tmp_path).write_text(json.dumps(row))
    found = find(job, Setting(tmp_path))
    assert found is not None and found.commit is None and not found.is_clean
    assert run_all([job], Setting(tmp_path), lambda line: None) == [found]


def test_runs_are_drawn_by_lot_and_said_to_agree_or_not_with_the_rows_that_they_replace(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "provenance", lambda: CLEAN)
    jobs = [
        Job("part", f"{k}", {"k": k}, lambda job, _: {"y": job.request["k"], "seconds": tmp_path.name})
        for k in range(9)
    ]
    record = tmp_path / "record"
    record.mkdir()
    rows = [do(job, Setting(tmp_path / "old")).to_dict() | {"commit": None, "dirty": None} for job in jobs]
    drawn = [int(job.key) for job in lot(jobs, 4)]
    rows[drawn[0]]["result"] = {"y": -1, "seconds": 0.0}
    rows[drawn[1]]["result"]["seconds"] = 1.0  # a time may differ
    (record / runs.ROWS).write_text("\n".join(map(json.dumps, rows)))
    lines = []
    found = run_all(jobs, Setting(tmp_path / "out", record=record, again=4), lines.append)
    assert sorted(drawn) == [k for k, row in enumerate(found) if row.is_clean] and len(set(drawn)) == 4
    assert [row.result["y"] for row in found] == list(range(9))
    said = {line.split()[1].rstrip(":"): line for line in lines}
    assert "differs from the record in y" in said[str(drawn[0])]
    assert all("same numbers as in the record" in said[str(k)] for k in drawn[1:])
    assert run_all(jobs, Setting(tmp_path / "out", record=record, again=4), lines.append) == found and len(lines) == 4


def test_a_record_is_not_made_by_code_that_no_commit_has(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "provenance", lambda: CLEAN._replace(dirty=True))
    setting = Setting(tmp_path / "out", record=tmp_path / "record", parts=("knight",))
    with pytest.raises(ModelError, match=r"differ from commit 0123456789ab, .*commit the changes first, or leave out"):
        next(experiment.reproduce(setting))
    assert not (tmp_path / "out").exists()
