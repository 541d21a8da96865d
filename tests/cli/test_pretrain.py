"""`symdata pretrain`, and `symdata measure --probe` of what it made."""

import json

import pytest

from tests.support.commands import run
from tests.support.steerable import require_escnn
from tests.support.training import dataset

SMALL = ("--model", "p4cnn_12", "--width", "2", "--epochs", "1", "--batch-size", "16")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("cli") / "data", count=64)


@pytest.fixture(scope="module")
def body(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("body") / "body"
    result = run("pretrain", data, *SMALL, "--objective", "erased-quadrant", "--out", out)
    assert result.exit_code == 0, result.output
    assert "erased-quadrant: 4 labels in 1 orbit of c4, equivariant head" in result.output
    assert "epoch 1/1" in result.output and f"--init {out}" in result.output
    return out


def test_the_next_command_begins_with_the_body(data, body, tmp_path):
    result = run("train", data, *SMALL, "--init", body, "--out", tmp_path / "tuned")
    assert result.exit_code == 0, result.output
    again = run("pretrain", data, "--config", body / "recipe.yaml", "--out", tmp_path / "again")
    assert again.exit_code == 0, again.output
    assert (body / "model.safetensors").read_bytes() == (tmp_path / "again" / "model.safetensors").read_bytes()


def test_a_finished_run_is_left_as_it_is_and_not_replaced(data, body):
    assert run("pretrain", "--resume", "--out", body).exit_code == 1  # its recipe has no path of this machine
    result = run("pretrain", data, *SMALL, "--objective", "erased-quadrant", "--out", body, "--resume")
    assert result.exit_code == 0, result.output
    refused = run("pretrain", data, *SMALL, "--out", body)
    assert refused.exit_code == 1 and "replace it with --overwrite" in refused.output


def test_dry_run_writes_nothing(data, tmp_path):
    result = run("pretrain", data, *SMALL, "--out", tmp_path / "never", "--dry-run", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["config"]["objective"] == "contrastive"
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("kind", ["linear", "knn"])
def test_a_probe_is_measured(data, body, kind):
    result = run("measure", body, "--data", data, "--probe", kind, "--labels", "40")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{kind} probe of 2 features, 40 labels: ") and "(95 %)" in result.stdout
    told = json.loads(run("measure", body, "--data", data, "--probe", kind, "--labels", "40", "--json").stdout)
    assert told["labels"] == 40 and told["interval"][0] <= told["accuracy"] <= told["interval"][1]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("measure", "BODY", "--data", "DATA", "--probe", "linear"), "labels is 300 and there are 64 training images"),
        (("measure", "BODY", "--data", "DATA", "--labels", "9"), "--labels is for a probe"),
        (("pretrain", "DATA"), "--model p4cnn_28"),
        (("pretrain", "DATA", *SMALL, "--objective", "jigzaw"), "no objective of a pretraining 'jigzaw'"),
        (("train", "DATA", *SMALL, "--objective", "jigsaw"), "no objective 'jigsaw'"),
        (("train", "DATA", "--resume", "--out", "BODY"), "no objective 'erased-quadrant'"),
        (("pretrain", "DATA", "--model", "c8cnn_28"), "regular fields"),
    ],
)
def test_bad_input_gets_a_sentence(data, body, words, match):
    if "c8cnn_28" in words:
        require_escnn()
    result = run(*({"DATA": data, "BODY": body}.get(word, word) for word in words))
    assert result.exit_code in (1, 2) and match in result.output and "Traceback" not in result.output
