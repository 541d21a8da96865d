"""Runs that are recorded once, resumed, and done again when something else is asked; settings."""

import json
from pathlib import Path

import pytest

from zoo.errors import ModelError
from zoo.experiments.harness.catalog import CATALOG
from zoo.experiments.harness.runs import Job, do, find, run_all
from zoo.experiments.harness.setting import PAPER, SMALL, Setting

CALLS = []


def answer(job, setting):
    CALLS.append(job.key)
    return {"value": job.request["value"] ** 2, "pair": (1, 2)}


def fail_on_two(job, setting):
    if job.request["value"] == 2:
        raise KeyboardInterrupt
    return answer(job, setting)


def jobs(run=answer, values=(1, 2, 3)):
    return [Job("part", f"small/job-{v}", {"value": v, "sizes": (1, 2)}, run) for v in values]


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


def test_finished_runs_are_not_repeated(tmp_path):
    setting, lines = Setting(tmp_path), []
    first = run_all(jobs(), setting, lines.append)
    assert [record.result["value"] for record in first] == [1, 4, 9] and len(CALLS) == 3 and len(lines) == 3
    assert run_all(jobs(), setting, lines.append) == first
    assert len(CALLS) == 3 and len(lines) == 3
    assert first[0].result["pair"] == [1, 2]  # as it is read back


def test_an_interrupted_part_goes_on_where_it_was(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_all(jobs(fail_on_two), Setting(tmp_path), lambda line: None)
    assert CALLS == ["small/job-1"]
    run_all(jobs(), Setting(tmp_path), lambda line: None)
    assert CALLS == ["small/job-1", "small/job-2", "small/job-3"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe"])
def test_a_damaged_record_is_made_again(tmp_path, content):
    (job,) = jobs(values=(3,))
    record = do(job, Setting(tmp_path))
    assert find(job, Setting(tmp_path)) == record
    job.place(tmp_path).write_bytes(content)
    assert find(job, Setting(tmp_path)) is None
    assert run_all([job], Setting(tmp_path), lambda line: None)[0].result == record.result


def test_a_record_counts_for_its_request_only(tmp_path):
    (job,) = jobs(values=(3,))
    do(job, Setting(tmp_path))
    other = Job(job.part, job.key, job.request | {"value": 4}, answer)
    assert find(job, Setting(tmp_path)) is not None and find(other, Setting(tmp_path)) is None
    assert run_all([other], Setting(tmp_path), lambda line: None)[0].result["value"] == 16


def test_a_record_is_whole_json_with_nothing_beside_it(tmp_path):
    (job,) = jobs(values=(2,))
    record = do(job, Setting(tmp_path))
    place = job.place(tmp_path)
    assert place == tmp_path / "runs" / "part" / "small" / "job-2.json"
    assert json.loads(place.read_text()) == record.to_dict()
    assert [path.name for path in place.parent.iterdir()] == ["job-2.json"]


@pytest.mark.slow
def test_processes_give_the_records_of_one(tmp_path):
    alone = run_all(jobs(), Setting(tmp_path / "one"), lambda line: None)
    together = run_all(jobs(), Setting(tmp_path / "two", workers=2), lambda line: None)
    assert [record.result for record in together] == [record.result for record in alone]


def test_settings_are_checked():
    assert Setting(Path("x"), parts=("cifar", "knight", "knight")).parts == ("knight", "cifar")
    with pytest.raises(ModelError, match="did you mean upright"):
        Setting(Path("x"), parts=("uprigth",))
    with pytest.raises(ModelError, match=f"there are {', '.join(CATALOG['using-and-abusing'].parts)}"):
        Setting(Path("x"), parts=("",))
    with pytest.raises(ModelError, match="seeds is 0"):
        Setting(Path("x"), seeds=0)


def test_the_command_names_no_place_of_this_machine(tmp_path):
    setting = Setting(tmp_path / "out", parts=("upright",), data=tmp_path / "mnist", budget=PAPER, full_test=True)
    assert str(tmp_path) not in setting.command
    assert setting.command == (
        "symdata reproduce using-and-abusing --part upright --seeds 3 --budget paper --data mnist --full-test --out out"
    )
    assert (setting.lattice, Setting(tmp_path).lattice, SMALL.curve) == (60_000, 10_000, 2_000)
