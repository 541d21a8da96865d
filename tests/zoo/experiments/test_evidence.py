"""The experiment on evidence: its jobs, one of them run small, and what is reported of made-up records."""

import pytest

from symdata.recipes.spec import Spec
from symdata.store import make
from zoo.experiments import evidence
from zoo.experiments.harness.experiment import find_experiment
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.setting import Setting
from zoo.layers.spatial_layers import PATHS


def setting(out, **changes):
    return Setting(out=out, experiment="evidence", **changes)


def test_every_task_path_and_seed_has_a_job(tmp_path):
    jobs = evidence.EXPERIMENT.jobs("quadrants", setting(tmp_path, seeds=2))
    assert len({job.key for job in jobs}) == len(jobs) == 2 * len(PATHS) * 2
    assert {job.part for job in jobs} == set(find_experiment("evidence").parts) == {"quadrants"}


def test_a_job_runs_from_data_to_evidence(tmp_path):
    data = make(Spec(source="glyphs:OXAF", recipe="quadrant", count=96, validation=0.0), tmp_path / "data" / "quadrant")
    assert data is not None
    whole = next(
        job
        for job in evidence.EXPERIMENT.jobs("quadrants", setting(tmp_path))
        if "quadrant/residual-factored" in job.key
    )
    small = {"epochs": 2, "limit": 64, "batch_size": 16, "path": "residual-factored"}
    request = whole.request | {"train": whole.request["train"] | small, "data": {"recipe": "quadrant"}}
    result = evidence.run(Job(whole.part, whole.key, request, whole.run), setting(tmp_path))
    assert 0 <= result["accuracy"] <= 100
    assert result["evidence"] < -result["loss"] < 0
    layers = {layer["name"]: layer for layer in result["layers"]}
    assert len(layers) == 13 and all(0 <= x["effective_dimension"] <= x["parameters"] for x in layers.values())


def record(task, path, seed, level):
    layers = [
        {"name": f"trunk.block1.{kind}", "parameters": 10, "effective_dimension": 4.0 + 2 * seed}
        for kind in PATHS[path]
    ]
    layers += [{"name": "head", "parameters": 5, "effective_dimension": 2.0}]
    free = path != "conv"
    result = {
        "accuracy": 90.0 if free or task != "quadrant" else 23.0,
        "loss": 0.1 if free else 0.3,
        "evidence": level[task, free],
        "layers": layers,
    }
    return RunRecord("quadrants", f"{task}/{path}-seed{seed}", {}, result, 2.0, 1.5, "2026-01-01T00:00:00+00:00")


RIGHT = {
    ("digit-quadrant", False): -0.6,
    ("digit-quadrant", True): -0.9,
    ("quadrant", False): -2.2,
    ("quadrant", True): -1.3,
}


def reported(tmp_path, level):
    records = [record(task, path, seed, level) for task in evidence.TASKS for path in PATHS for seed in (0, 1)]
    return evidence.EXPERIMENT.section("quadrants", records, setting(tmp_path, seeds=2))


def test_the_report_judges_and_adds_up(tmp_path):
    section = reported(tmp_path, RIGHT)
    assert [verdict.word for verdict in section.verdicts] == ["inside"] * 5
    numbers, used = section.tables
    assert len(numbers.rows) == len(used.rows) == 10
    (row,) = [row for row in used.rows if row[:2] == ("quadrant", "residual")]
    assert row[2:] == ("5±1", "5±1", "-", "2±0")
    assert section.summary["quadrant conv accuracy"]["mean"] == 23.0


@pytest.mark.parametrize("task", evidence.TASKS)
def test_a_small_or_a_wrong_gap_is_outside(task, tmp_path):
    for near in (RIGHT[task, True] + 0.05, RIGHT[task, True] - 0.05):
        words = [v.word for v in reported(tmp_path, RIGHT | {(task, False): near}).verdicts]
        assert words[evidence.TASKS.index(task)] == "OUTSIDE"
