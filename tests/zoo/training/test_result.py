"""What a person reads of a plan and of a finished model."""

import json
from pathlib import Path

from tests.support.training import config, dataset
from zoo.training import TrainedModel, prepare, train


def test_the_plan_and_the_model_show_themselves(tmp_path):
    data, out = dataset(tmp_path / "data", count=160), str(tmp_path / "run")
    plan = prepare(config(data, out=out))
    head, verdict, cost = str(plan).splitlines()
    assert cost == str(plan.cost) and plan.to_dict()["cost"]["multiply_adds"] > 0
    assert head == f"{plan.name}: 1,048 parameters, 160 images 12x12x1, 27 held out" and verdict.startswith("exact: at")
    assert plan.to_dict()["steps"] == plan.steps == 20 and plan.to_dict()["held_out"] == 27
    model = TrainedModel(train(plan), str(data))
    rows = [line.split()[0] for line in str(model).splitlines()]
    assert rows == ["model", "parameters", "validation", "audit", "next"]
    assert model.to_dict() == {"folder": out, "config": json.loads(Path(out, "config.json").read_text())}
    assert all(line in plan._repr_html_() for line in (head, verdict)) and "symdata evaluate" in model._repr_html_()
