"""The experiment on self-supervision: its jobs, one of them run small, and what is reported of made-up records."""

import pytest

from symdata.recipes.spec import Spec
from symdata.store import make
from zoo.experiments import self_supervision as experiment
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.setting import Setting


def setting(out, **changes):
    return Setting(out=out, experiment="self-supervision", **changes)


def test_every_arm_and_seed_has_a_job(tmp_path):
    jobs = experiment.EXPERIMENT.jobs("digits", setting(tmp_path, seeds=2))
    assert len({job.key for job in jobs}) == len(jobs) == 2 * len(experiment.ARMS)


@pytest.mark.parametrize("arm", ["contrastive-max", "random", "quadrants-invariant"])
def test_a_job_runs_from_data_to_probes(tmp_path, monkeypatch, arm):
    data = Spec(source="glyphs:digits", symmetry="c4", size=experiment.SIZE, count=400, validation=0.0)
    make(data, tmp_path / "data" / experiment.DATA)
    monkeypatch.setattr(experiment, "TESTED", 30)
    monkeypatch.setattr(experiment, "COMPARED", 8)
    whole = next(job for job in experiment.EXPERIMENT.jobs("digits", setting(tmp_path)) if job.key == f"{arm}-seed0")
    request = whole.request | {"pretrain": whole.request["pretrain"] | {"epochs": 1, "limit": 64, "width": 2}}
    result = experiment.run(Job(whole.part, whole.key, request, whole.run), setting(tmp_path))
    assert all(0 <= result[name] <= 100 for name in ("pretext", "linear", "knn"))
    assert result["gap"] is None if arm.startswith("quadrants") else result["gap"] <= 1e-5


def records(accuracies):
    return [
        RunRecord(
            "digits", f"{arm.replace(' ', '-')}-seed{seed}", {},
            {"pretext": 99.0, "linear": value + seed, "knn": 50.0, "gap": 1e-7 if "contrastive" in arm else None},
            1.0, 1.0, "2026-01-01",
        )
        for seed in range(2)
        for arm, value in accuracies.items()
    ]  # fmt: skip


@pytest.mark.parametrize(("best", "word"), [(70.0, "inside"), (63.0, "OUTSIDE")])
def test_the_bands_compare_the_probes(tmp_path, best, word):
    accuracies = dict.fromkeys(experiment.ARMS, 60.0) | {"contrastive max": best}
    section = experiment.EXPERIMENT.section("digits", records(accuracies), setting(tmp_path, seeds=2))
    verdicts = {verdict.condition.text: verdict.word for verdict in section.verdicts}
    assert verdicts["probe: max - random >= 6 points"] == verdicts["probe: max - plain >= 8 points"] == word
    assert verdicts["invariant head: at most 32 %"] == "OUTSIDE"
    assert "contrastive max" in section.markdown and "Chance is 25 %" in section.markdown
