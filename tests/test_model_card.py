"""The card of a model: every number from its configuration or its evaluation, and the Hub understands it."""

import json

import yaml

from tests.support import checkpoints
from tests.support.checkpoints import network, save
from tests.support.folders import contents
from zoo.checkpoint import read_checkpoint, refresh_card, write_evaluation
from zoo.manifest import read_config

EVALUATION = {
    "format": 1,
    "data": {"name": "squares-d4"},
    "count": 1234,
    "fill": "background",
    "upright": {"accuracy": 0.9769},
    "elements": [{"element": "e", "accuracy": 0.9769}, {"element": "r90", "accuracy": 0.875}],
    "mean": 0.8722,
    "curve": {"angles": [0, 90, 180, 270]},
    "seen": None,
    "unseen": None,
}


whole, folder = checkpoints.whole, checkpoints.folder


def front_of(folder):
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_card(whole):
    front, body = front_of(whole)
    assert front["library_name"] == "symdata" and front["license"] == "apache-2.0"
    assert {"symdata", "equivariance", "c4"} <= set(front["tags"])
    assert front["datasets"] == ["user/squares"]
    assert "model-index" not in front
    parameters = read_config(whole)["weights"]["parameters"]
    assert f"group `c4`, {parameters:,} parameters, 20 x 20 pixels with 1 channel, 4 classes" in body
    assert "symdata train squares-none --model p4cnn_20" in body
    assert "| its source | `hub:user/squares` |" in body
    assert "has not been evaluated" in body
    assert "[More" not in body and "None" not in body and "\n\n\n" not in body
    assert len(body.splitlines()) < 60


def test_the_card_of_an_evaluated_model(folder):
    write_evaluation(folder, EVALUATION)
    front, body = front_of(folder)
    assert "| upright | 97.69 % |" in body and "| under r90 | 87.50 % |" in body
    assert "| mean over 4 angles | 87.22 % |" in body
    assert "on `squares-d4`, 1,234 images" in body and "has not been evaluated" not in body
    (entry,) = front["model-index"]
    (result,) = entry["results"]
    assert {metric["name"]: metric["value"] for metric in result["metrics"]}["accuracy, under r90"] == 0.875
    read_checkpoint(folder)


def test_the_hub_understands_the_card(folder):
    from huggingface_hub import ModelCard

    write_evaluation(folder, EVALUATION)
    results = ModelCard.load(folder / "README.md").data.eval_results
    assert [r.metric_value for r in results] == [0.9769, 0.875, 0.8722]


def test_a_card_is_rendered_again_to_the_same_bytes(whole, folder):
    refresh_card(folder)
    assert contents(folder) == contents(whole)


def test_an_evaluation_of_other_weights_is_not_told(folder):
    (folder / "evaluation.json").write_text(json.dumps(EVALUATION | {"weights_sha256": "0" * 64}))
    refresh_card(folder)
    assert "has not been evaluated" in (folder / "README.md").read_text()


def test_an_evaluation_goes_with_its_weights(folder):
    write_evaluation(folder, EVALUATION)
    save(folder, network(seed=1))
    assert "evaluation.json" not in contents(folder)
    assert "has not been evaluated" in (folder / "README.md").read_text()
