"""The experiment on optimisation dynamics: its jobs, each part run small, and what is reported of made-up records."""

import json

import pytest
import torch

from zoo.experiments.dynamics import arms, cost, descent, ensembles, penalty
from zoo.experiments.dynamics.parts import EXPERIMENT
from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.setting import Setting


def setting(out, **changes):
    return Setting(out=out, experiment="dynamics", data=out, **changes)


@pytest.fixture
def small(monkeypatch):
    """Random images for the digits, a few of them."""

    def digits(folder, split, count, seed, size):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(40, 1, size, size, generator=generator), torch.arange(40) % 10

    for module in (descent, ensembles):
        monkeypatch.setattr(module, "digits", digits)
    monkeypatch.setattr(descent, "BATCH", 20)


@pytest.mark.parametrize(
    ("part", "count"),
    [
        ("arms", len(arms.ARMS)),
        ("penalty", len(penalty.GAMMAS)),
        ("ensembles", len(ensembles.KINDS)),
        ("cost", len(cost.NAMES)),
    ],
)
def test_every_arm_and_seed_has_a_job(tmp_path, part, count):
    jobs = EXPERIMENT.jobs(part, setting(tmp_path, seeds=2))
    assert len({job.key for job in jobs}) == len(jobs) == 2 * count
    assert all(json.loads(json.dumps(job.request)) == job.request for job in jobs)


def result(part, key, tmp_path, **changes):
    """What the job measures after some of its request was changed."""
    job = next(job for job in EXPERIMENT.jobs(part, setting(tmp_path)) if job.key == f"{key}-seed0")
    return job.run(Job(job.part, job.key, job.request | changes, job.run), setting(tmp_path))


@pytest.mark.parametrize("arm", ["smooth-full", "smooth-skew", "skewed"])
def test_an_arm_stays_or_leaves(small, tmp_path, arm):
    found = result("arms", arm, tmp_path, steps=3)
    assert len(found["orbit curve"]) == 4 and found["orbit64"] == found["orbit64 curve"][-1]
    assert found["orbit64 start"] < 1e-13 and found["random"] > 1e-4
    assert (found["orbit64"] < 1e-12) == (arm in arms.COMPATIBLE)
    assert arm not in arms.COMPATIBLE or found["orbit"] < 1e-5


def test_the_penalty_multiplies_the_distance(small, tmp_path):
    free, drawn = (result("penalty", f"gamma-{gamma}", tmp_path, steps=4) for gamma in ("0", "20"))
    assert drawn["share"] == pytest.approx((1 - 0.004 * 20) ** 4, rel=0.1) and free["share"] > 0.9
    assert len(drawn["curve"]) == 5


def test_ensembles_of_two(small, tmp_path):
    found = result("ensembles", "orbit", tmp_path, count=2, epochs=1)
    assert {"K=1", "K=2", "slope", "single", "ensemble"} == set(found) and found["K=1"] > 0


def test_the_cost_is_a_share_of_a_step(tmp_path):
    found = result("cost", "p4cnn_28", tmp_path, repeats=3, batch=4)
    assert found["percent"] == pytest.approx(100 * found["distance_seconds"] / (50 * found["step_seconds"]))


def records(distance):
    kinds = dict.fromkeys(("orbit", "orbit64", "random"), 0.01)
    return [
        RunRecord(
            "arms", f"{arm}-seed{seed}", {},
            {**kinds, "orbit": distance, **{f"{kind} start": 0.0 for kind in kinds},
             **{f"{kind} curve": [0.0] * 41 for kind in kinds}},
            1.0, 1.0, "2026-01-01",
        )
        for seed in range(2)
        for arm in arms.ARMS
    ]  # fmt: skip


@pytest.mark.parametrize(("distance", "stays", "leaves"), [(1e-7, "inside", "OUTSIDE"), (0.1, "OUTSIDE", "inside")])
def test_the_bands_tell_what_stayed(tmp_path, distance, stays, leaves):
    section = EXPERIMENT.section("arms", records(distance), setting(tmp_path, seeds=2))
    verdicts = {verdict.condition.text: verdict.word for verdict in section.verdicts}
    assert verdicts["smooth-full, orbit: < 1e-5 in float32"] == stays
    assert verdicts["smooth-skew, orbit: > 3e-3"] == leaves
    assert verdicts["full, orbit: < 1e-12 in float64"] == "OUTSIDE", "what is missed is said"
    assert "smooth-skewed" in section.markdown and section.plot() is not None
