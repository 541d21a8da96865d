"""CIFAR-10 with narrow networks: one step of training, the table, the bands."""

import pytest

from symdata.recipes.spec import Spec
from symdata.store import make
from zoo.errors import ModelError
from zoo.experiments.harness.runs import RunRecord, do
from zoo.experiments.harness.setting import BUDGETS, SMALL, Setting
from zoo.experiments.using_and_abusing import cifar
from zoo.experiments.using_and_abusing.parts import EXPERIMENT


def jobs(setting):
    return EXPERIMENT.jobs("cifar", setting)


def test_the_recipe_is_that_of_the_authors_but_for_the_crops():
    for job in jobs(Setting(out=None, seeds=1)):
        recipe = job.request["train"]
        assert (recipe["lr"], recipe["batch_size"], recipe["schedule"]) == (1e-3, 256, "onecycle")
        assert recipe["epochs"] == 30 and "width" not in recipe and "precision" not in recipe
    (first, *_) = jobs(Setting(out=None, seeds=1, width=4, device="cuda"))
    assert first.request["train"]["width"] == 4 and first.request["train"]["precision"] == "bf16"
    assert first.key == f"{SMALL.name}-width4/z2resnet44_32-seed0"


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=lambda budget: budget.name)
def test_every_budget_has_its_epochs(budget):
    epochs = {job.request["train"]["epochs"] for job in jobs(Setting(out=None, seeds=1, budget=budget))}
    assert epochs == {30 if budget.name == "small" else 200}


def test_it_is_refused_without_images_or_accelerator(tmp_path):
    with pytest.raises(ModelError, match="--cifar"):
        cifar.check(Setting(tmp_path))
    with pytest.raises(ModelError, match="days on a CPU"):
        cifar.check(Setting(tmp_path, cifar="x"))
    cifar.check(Setting(tmp_path, cifar="x", width=4))
    cifar.check(Setting(tmp_path, cifar="x", device="cuda"))


def test_one_step_from_end_to_end(tmp_path):
    setting = Setting(tmp_path, seeds=1, cifar="x", width=1)
    make(Spec(source="glyphs:0123456789", size=32, count=72), tmp_path / "data" / "cifar")
    job = next(job for job in jobs(setting) if job.request["train"]["model"] == "p4resnet44_33")
    job.request["train"] |= {"epochs": 1, "batch_size": 36, "mean": (0.5,), "std": (0.25,), "channels": 3}
    result = do(job, setting).result
    assert set(result["lattice"].values()) == {result["lattice"]["0"]}  # hardly trained, but exact
    assert result["changed"] == {"90": 0, "180": 0, "270": 0} and result["images"] == 24
    assert result["training"]["step"] == 2


def test_the_signs_are_judged():
    setting = Setting(out=None, seeds=1, cifar="x", device="cuda")
    records = []
    for job in jobs(setting):
        model = job.request["train"]["model"]
        turned = 40.0 if model.startswith("z2") else 60.0 if model.endswith("32") else 85.0
        lattice = {"0": 85.0, "90": turned, "180": turned, "270": turned}
        result = {"lattice": lattice, "changed": {}, "images": 10_000, "training": {"seconds": 60.0}}
        records.append(RunRecord("cifar", job.key, job.request, result, 70.0, 70.0, "now"))
    section = EXPERIMENT.section("cifar", records, setting)
    assert [verdict.word for verdict in section.verdicts] == ["inside"] * 4
    assert section.tables[0].rows[3][:4] == ("p4resnet44_33", "exact", "85.00", "85.00")
    records[2].result["lattice"]["0"] = 80.0
    assert EXPERIMENT.section("cifar", records, setting).verdicts[0].word == "OUTSIDE"
