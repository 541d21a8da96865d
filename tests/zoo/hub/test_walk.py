"""From nothing to a published model and back: the walk of the README against the loopback Hub."""

import json
import os
from pathlib import Path

import datasets
import pytest

from tests.support.commands import run
from tests.support.hub_server import LoopbackHub

pytest_plugins = ["tests.support.hub_fixture"]
datasets.disable_progress_bars()  # and imported early: the fixture `hub` points it at the loopback Hub only then

MODEL, DATA = "user/p4cnn_20.digits", "user/digits"
MAKE = "make glyphs:digits --symmetry c4 --count 300 --size 20 --out digits"
TRAIN = "train digits --model p4cnn_20 --epochs 1 --width 4 --out trained --device cpu"
EVALUATE = "--elements c4 --angles 12 --json"
PUBLISH = f"publish trained {MODEL} --dataset {DATA}@v1 --tag v1 --json"


def symdata(line: str) -> str:
    """What a command prints."""
    result = run(*line.split())
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_model_goes_up_and_comes_down_the_same(hub: LoopbackHub, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    symdata(MAKE)
    symdata(f"publish digits {DATA} --tag v1")
    symdata(TRAIN)
    said = json.loads(symdata(f"evaluate trained --data digits --save {EVALUATE}"))
    first = json.loads(symdata(PUBLISH))
    assert json.loads(symdata(PUBLISH)) == first, "nothing has changed, so there is no commit"

    empty = tmp_path / "empty"
    hub.use_here(monkeypatch, home=empty)
    symdata(f"pull datasets/{DATA}@v1 --out pulled")
    for data in ("digits", "pulled"):
        back = json.loads(symdata(f"evaluate {MODEL}@v1 --data {data} --out {data}-report {EVALUATE}"))
        assert numbers(back) == numbers(said), "to the last digit"
    code = f"import zoo; print(zoo.load('{MODEL}@v1').config['name'])"
    assert hub.run(code, home=tmp_path / "fresh").stdout == "p4cnn_20.glyphs-c4\n"
    assert hub.run(code, home=tmp_path / "fresh", HF_HUB_OFFLINE="1").stdout == "p4cnn_20.glyphs-c4\n"

    told = hub.api().model_info(MODEL)
    assert told.library_name == "symdata" and told.card_data["datasets"] == [DATA]
    results = told.card_data.eval_results
    assert results[0].dataset_type == DATA and results[0].metric_value == said["upright"]["accuracy"]
    assert results[0].dataset_revision == hub.repo(DATA, "dataset").resolve("v1").oid
    assert {entry.dataset_id for entry in hub.api().model_info(MODEL, expand=["evalResults"]).eval_results} == {DATA}


def numbers(report: dict) -> dict:
    """All that was measured, without what says where it comes from."""
    return {key: value for key, value in report.items() if key not in ("name", "data", "note", "weights_sha256")}


@pytest.mark.slow
def test_the_test_of_the_live_hub_can_run(shared_hub: LoopbackHub) -> None:
    """With the loopback Hub as the live one: token and endpoint reach it."""
    code = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', sys.argv[1]]))"
    done = shared_hub.run(code, f"{__file__}::test_the_live_hub", SYMDATA_LIVE_HUB="1")
    assert "1 passed" in done.stdout
    assert any(call.method == "DELETE" and call.status == 200 for call in shared_hub.requests)


@pytest.mark.skipif(
    os.environ.get("SYMDATA_LIVE_HUB") != "1", reason="set SYMDATA_LIVE_HUB=1 and HF_TOKEN to use the Hub"
)
def test_the_live_hub(tmp_path: Path) -> None:
    """What no loopback covers: the Hub as it is, Xet included. It makes a private repository, and removes it."""
    from uuid import uuid4

    from huggingface_hub import HfApi

    from tests.support.checkpoints import same, save
    from zoo import load, push

    api = HfApi()
    repo_id = f"{api.whoami()['name']}/symdata-test-{uuid4().hex[:8]}"
    folder = save(tmp_path / "m")
    try:
        first = push(folder, repo_id, private=True, tag="v1")
        assert push(folder, repo_id, tag="v1") == first
        assert same(load(f"{repo_id}@v1")) and same(load(f"{repo_id}@{first.commit}"))
        assert api.model_info(repo_id).library_name == "symdata"
    finally:
        api.delete_repo(repo_id, missing_ok=True)
