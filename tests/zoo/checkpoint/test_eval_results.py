"""`.eval_results/symdata.yaml`: what a model's repository says to the page of the dataset it was evaluated on."""

import json
from hashlib import sha256

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from tests.support import checkpoints
from tests.support.checkpoints import edit, golden, network, save
from tests.support.commands import run
from tests.support.reports import DIGEST, evaluation
from tests.support.training import dataset
from zoo.checkpoint.card import render_card
from zoo.checkpoint.eval_results import eval_results
from zoo.checkpoint.manifest import read_config
from zoo.errors import ModelError
from zoo.evaluation.report import Report
from zoo.preprocessing import Preprocessing

DATASET = {"id": "user/squares-none", "revision": "c0ffee" + 34 * "0"}

whole = checkpoints.whole


@pytest.fixture(scope="module")
def config(whole):
    config = read_config(whole)
    return config | {"dataset": config["dataset"] | {"manifest_sha256": DIGEST}}


def entries(*arguments):
    return parse_eval_result_entries(yaml.safe_load(eval_results(*arguments)))


def test_the_client_reads_what_was_measured(config):
    upright, angles = entries(config, evaluation(), DATASET)
    assert upright.value == 1205 / 1234 and angles.value == 182.5 / 200
    assert (upright.task_id, angles.task_id) == ("default", "mean-over-angles")
    for entry in (upright, angles):
        assert entry.dataset_id == DATASET["id"] and entry.dataset_revision == DATASET["revision"]
        assert "accuracy in [0, 1]" in entry.notes and "at 20 x 20 pixels" in entry.notes
    assert "element e" in upright.notes and "1,234 images of the split test" in upright.notes
    assert "mean over 4 angles from 0 to 270 degrees, fill background" in angles.notes and "200 images" in angles.notes


def test_without_angles_there_is_the_upright_accuracy_alone(config):
    (only,) = entries(config, evaluation(angles=0, split="holdout"), DATASET)
    assert only.task_id == "default" and "of the split holdout" in only.notes


@pytest.mark.parametrize(
    ("said", "where"),
    [
        (None, DATASET),
        (evaluation(), None),
        (evaluation(manifest_sha256="00" * 32), DATASET),
        (evaluation(manifest_sha256=None), DATASET),
    ],
)
def test_nothing_is_said_of_a_dataset_that_it_was_not_measured_on(config, said, where):
    assert eval_results(config, evaluation(), DATASET) is not None
    assert eval_results(config, said, where) is None


def test_a_model_that_does_not_know_its_dataset_proves_nothing(whole):
    said = evaluation(manifest_sha256=None)
    assert "manifest_sha256" not in read_config(whole)["dataset"]
    assert eval_results(read_config(whole), said, DATASET) is None


def test_what_is_no_report_is_refused(config):
    with pytest.raises(ModelError, match="evaluate again"):
        eval_results(config, {"upright": 1.0}, DATASET)


def test_a_report_of_old_is_read(config):
    said = evaluation()
    said["data"] = {"name": "squares-none, test"}
    assert Report.from_dict(said).split is None and Report.from_dict(said).manifest_sha256 is None
    assert eval_results(config, said, DATASET) is None
    assert "type: squares-none\n" in render_card(config, said, dataset=DATASET)


def test_from_a_dataset_to_its_page(tmp_path, monkeypatch):
    """A folder is evaluated on the dataset it names, saved, and both the card and the results point to it."""
    monkeypatch.chdir(tmp_path)
    digest = sha256((dataset(tmp_path / "squares") / "symdata.json").read_bytes()).hexdigest()
    folder = save(
        tmp_path / "m",
        network("p4cnn_12"),
        preprocessing=Preprocessing(12, (0.13,), (0.31,)),
        classes=tuple(json.loads((tmp_path / "squares" / "symdata.json").read_text())["classes"]),
        golden_images=golden(size=12),
        dataset={"name": "squares", "manifest_sha256": digest},
    )
    result = run("evaluate", "m", "--data", "squares", "--angles", 8, "--save", "--out", "beside")
    assert result.exit_code == 0, result.output
    said = json.loads((folder / "evaluation.json").read_text())
    assert said["data"] == {"name": "glyphs-none, test", "split": "test", "manifest_sha256": digest}
    assert (folder / "polar.png").read_bytes() == (tmp_path / "beside" / "polar.png").read_bytes()
    upright, angles = entries(read_config(folder), said, DATASET)
    assert upright.value == said["upright"]["accuracy"] and angles.value == said["mean"]
    assert f"revision: {DATASET['revision']}" in render_card(read_config(folder), said, dataset=DATASET)
    edit(folder, lambda config: config["dataset"].update(manifest_sha256="00" * 32))
    assert eval_results(read_config(folder), said, DATASET) is None
    other = run("evaluate", "m", "--data", "glyphs:OXAF", "--angles", 0, "--limit", 8, "--json", "--out", "beside")
    assert json.loads(other.stdout)["data"] == {"name": "glyphs, test", "split": "test"}
    assert not (tmp_path / "beside" / "polar.png").exists()
