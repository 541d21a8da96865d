"""The experiments that compare all methods: their jobs, small runs, and reports of made-up records."""

import json
from dataclasses import replace

import pytest

from symdata.recipes.spec import Spec
from symdata.store import make
from zoo.errors import ModelError
from zoo.experiments import degree, relaxed
from zoo.experiments.harness.experiment import find_experiment
from zoo.experiments.harness.methods import LEARNED, METHODS, SIZE, recipe
from zoo.experiments.harness.runs import RunRecord
from zoo.experiments.harness.setting import Setting
from zoo.models.registry import create
from zoo.objectives import objective_of
from zoo.training import TrainConfig

TINY = {"epochs": 1, "batch_size": 32, "limit": 64}


def setting(out, **changes):
    return Setting(**{"out": out, "experiment": "degree", "seeds": 2, **changes})


def record(job, result):
    return RunRecord(job.part, job.key, job.request, result, 2.0, 1.5, "2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_trained_by_its_own_objective(method):
    config = TrainConfig(**recipe(method, 0, epochs=1), data="x")
    model = create(config.model, width=config.width, in_chans=1, **config.choices())
    assert objective_of(model, config.objective).name == (method if method in OWN else "cross-entropy")
    assert model.range.generators == ("rotation",) if method == "augerino" else not hasattr(model, "range")


OWN = ("likelihood", "residual", "banks", "partial", "augerino")


@pytest.mark.parametrize("part", [*find_experiment("degree").parts, "mnist6-180"])
def test_every_dataset_method_and_seed_has_one_job(part, tmp_path):
    experiment = degree.EXPERIMENT if part in degree.EXPERIMENT.parts else relaxed.EXPERIMENT
    jobs = experiment.jobs(part, setting(tmp_path))
    assert len({job.key for job in jobs}) == len(jobs) and {job.part for job in jobs} == {part}
    datasets = {"graded": degree.LEVELS, "classes": degree.CLASSES}.get(part, (relaxed.PART,))
    asked = {(job.request["data"]["recipe"], job.request["train"]["seed"], _method(job)) for job in jobs}
    assert {(data, seed, method) for data in datasets for seed in (0, 1) for method in LEARNED} <= asked
    assert {(data, 0, method) for data in datasets for method in METHODS} <= asked
    assert all(json.dumps(job.request) for job in jobs)


def _method(job):
    return job.key.rpartition("/")[2].rpartition("-seed")[0]


def test_the_truth_of_the_datasets():
    assert [degree.true_degree(data) for data in degree.LEVELS] == pytest.approx([k / 9 for k in range(10)])
    assert degree.true_degree("mnist-c2c4") == pytest.approx((5 / 3 + 5) / 10)
    assert degree.true_degree("rotmnist-60-90") == pytest.approx((1 / 3 + 1 / 2) / 2)


def graded(given, claims):
    """What the runs would give that claim `claims(method, true degree)`."""

    def result(job):
        claim = claims(_method(job), degree.true_degree(job.request["data"]["recipe"]))
        return {"accuracy": 90.0, "shown": 0.8, "claimed": claim, "product": claim}

    return [record(job, result(job)) for job in degree.EXPERIMENT.jobs("graded", given)]


def claimed(method, true):
    """Two that follow the truth, one that turns it round, one that says nothing; the others always say one thing."""
    return {"likelihood": true**2, "augerino": true, "banks": 1 - true, "plain": None}.get(method, 0.9)


def test_the_report_ranks_what_was_claimed_beside_the_truth(tmp_path):
    section = degree.EXPERIMENT.section("graded", graded(setting(tmp_path), claimed), setting(tmp_path))
    ranks = {method: section.summary[method]["rank_claimed"] for method in METHODS}
    assert ranks["likelihood"] == ranks["augerino"] == pytest.approx([1.0, 1.0])
    assert ranks["banks"] == pytest.approx([-1.0, -1.0])
    assert ranks["plain"] == ranks["bias"] == ranks["strict"] == []
    words = {v.condition.text.partition(":")[0]: v.word for v in section.verdicts if v.condition.band == "D1"}
    assert words["likelihood"] == words["augerino"] == "inside" and words["banks"] == "OUTSIDE"
    assert section.summary["augerino"]["error"] == pytest.approx(0.0)
    assert section.summary["plain"]["error"] is None
    rows = {row[:2]: row for row in section.tables[1].rows}
    assert rows["banks", "graded-c4-9"][6:8] == ("1.00", "-1.00") and rows["plain", "graded-c4-9"][3] == "-"
    assert {line.name for line in section.drawing.lines} == {*LEARNED, "the truth"} and json.dumps(section.to_dict())


def test_one_small_run_claims_and_shows_a_degree(tmp_path):
    make(
        Spec(source="glyphs:digits", size=SIZE, count=160, symmetry="c4-partial@0.5"), tmp_path / "data" / "graded-c4-4"
    )
    jobs = {job.key: job for job in degree.EXPERIMENT.jobs("graded", setting(tmp_path))}
    job = jobs["graded-c4-4/likelihood-seed0"]
    job = replace(job, request=job.request | {"train": job.request["train"] | TINY, "test": 20})
    result = job.run(job, setting(tmp_path))
    assert 0 <= result["accuracy"] <= 100 and 0 <= result["product"] <= result["claimed"] <= 1
    assert min(result["layers"].values()) == result["claimed"] and 0 <= result["shown"] <= 1
    assert json.dumps(result)
    strict = jobs["graded-c4-4/strict-seed0"]
    strict = replace(strict, request=strict.request | {"train": strict.request["train"] | TINY, "test": 20})
    assert strict.run(strict, setting(tmp_path))["claimed"] == pytest.approx(1.0, abs=1e-6)


def six(given, accuracy):
    jobs = relaxed.EXPERIMENT.jobs(relaxed.PART, given)
    return [
        record(
            job,
            {
                "accuracy": accuracy(_method(job)),
                "images": 100,
                "parameters": 10,
                "learned": {"degree": None if _method(job) == "plain" else 0.5, "product": None},
            },
        )
        for job in jobs
    ]


@pytest.mark.parametrize(("strict", "others", "outside"), [(50.0, 99.0, 0), (50.01, 99.0, 1), (50.0, 97.9, 5)])
def test_a_strict_network_is_right_half_of_the_time_and_a_relaxed_one_nearly_always(tmp_path, strict, others, outside):
    given = setting(tmp_path, experiment="relaxed")
    section = relaxed.EXPERIMENT.section(
        relaxed.PART, six(given, lambda method: strict if method == "strict" else others), given
    )
    assert [verdict.word for verdict in section.verdicts].count("OUTSIDE") == outside
    assert len(section.verdicts) == 6 and json.dumps(section.to_dict())
    rows = {row[0]: row for row in section.tables[0].rows}
    assert set(rows) == set(METHODS) and rows["plain"][2:4] == ("-", "-")


@pytest.mark.parametrize("name", ["degree", "relaxed"])
def test_they_need_mnist(name, tmp_path):
    for part in find_experiment(name).parts:
        with pytest.raises(ModelError, match=f"{part} train on MNIST.*--data"):
            find_experiment(name).check(setting(tmp_path, experiment=name, parts=(part,)))
