"""A network of one's own from the shell: trained, resumed, and given to every command that takes a model folder."""

import json
import shutil
import signal
from importlib import import_module
from pathlib import Path

import pytest

from tests.support import kills
from tests.support.commands import refused, run
from tests.support.hub_server import LoopbackHub
from tests.support.own_networks import own_networks
from tests.support.processes import start
from tests.support.training import dataset, weights

pytest_plugins = ["tests.support.hub_fixture"]
QUICK = ["--epochs", 2, "--batch-size", 16]
ARCH = ["--arch", "mynet:build"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("own") / "data", count=48)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, made):
    """A trained folder that no test changes."""
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch, own_networks(place, patch):
        assert run("train", made, "--model", "mynet:build", *QUICK, "--out", "run").exit_code == 0
    return place / "run"


@pytest.fixture
def here(tmp_path, monkeypatch, made, trained):
    """A folder with mynet.py, the data, and a trained folder `run`; nothing is imported yet."""
    (tmp_path / "here").mkdir()
    shutil.copytree(trained, tmp_path / "here" / "run")
    (tmp_path / "here" / "data").symlink_to(made)
    with own_networks(tmp_path / "here", monkeypatch) as place:
        yield place


def test_what_fails_on_the_way_is_a_sentence_and_may_be_resumed(here):
    words = ["train", "data", "--model", "mynet:Fails", *QUICK, "--out", "fails"]
    result = run(*words)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert result.stderr.splitlines()[-1] == (
        "symdata: 'mynet:Fails' failed on a batch (16, 1, 12, 12) after 1 epochs: KeyError: 'batch'; mend it, and go "
        "on with --resume"
    )
    mynet = import_module("mynet")
    mynet.Fails.forward = mynet.Net.forward
    assert run(*words, "--resume").exit_code == 0


def test_what_training_says(here):
    result = run("train", "data", "--model", "mynet:build", *QUICK, "--size", 9, "--out", "again")
    assert result.exit_code == 0, result.output
    first, verdict, *rows = result.stdout.splitlines()
    assert first == "mynet-build.glyphs-none: 68 parameters, 48 images 12x12x1, 8 held out"
    assert verdict.startswith("exact") and rows[-1].endswith("symdata evaluate again --data data --arch mynet:build")
    training = json.loads(Path("again/config.json").read_text())["training"]
    assert (
        training["command"] == ("symdata train data --model mynet:build --size 9 --epochs 2 --batch-size 16")
        and training["model"] == "mynet:build"
    )


def test_refusals_leave_nothing(here):
    import_module("mynet")  # which leaves files of its own
    for words, sentence in [
        (["--model", "mynet:Frozen"], "has no weights to train"),
        (["--model", "mynet:build", "--width", 4], "leave --width out"),
        (["--model", "mynet.py"], "'mynet.py' is code; name the function in it that makes the network, for example my"),
        (["--model", "nowhere:build"], "there is no module 'nowhere'"),
        (["--model", "p4cnn_12", "--size", 13], "take p4cnn_13, or leave --size out"),
    ]:
        assert sentence in refused("train", "data", *words, *QUICK)


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "run", "--data", "data", "--angles", 0, "--limit", 4],
        ["measure", "run", "--data", "data", "--limit", 2, "--elements", "c2", "--generators", "rotation"],
        ["audit", "run"],
        ["degree", "run"],
        ["export", "run", "--out", "run.pt2"],
        ["publish", "run", "user/run", "--dry-run"],
    ],
    ids=lambda words: words[0],
)
def test_every_command_needs_the_code_and_takes_it(here, words):
    said = refused(*words)
    assert said.endswith(
        "you have that code and trust it, name it: --arch mynet:build, or zoo.load(..., arch='mynet:build') in Python"
    )
    assert not Path("imported").exists(), "what the folder names is not imported"
    result = run(*words, *ARCH)
    assert result.exit_code == 0, result.output
    assert Path("imported").exists()


def test_another_network_is_refused_by_key_and_shape(here):
    import_module("mynet")
    said = refused("evaluate", "run", "--data", "data", "--arch", "mynet:wider")
    assert "0.weight is float32 (4, 1, 3, 3), expected float32 (5, 1, 3, 3)" in said
    assert "missing conv.bias, conv.weight" in refused("evaluate", "run", "--data", "data", "--arch", "mynet:Net")
    assert "asks for weights" in refused("evaluate", "mynet:build", "--data", "data", "--arch", "mynet:Net")


def test_the_card_and_the_list_need_no_code(here):
    assert run("evaluate", "run", "--data", "data", "--angles", 0, "--limit", 4, *ARCH, "--save").exit_code == 0
    Path("imported").unlink()
    assert run("card", "run").exit_code == 0
    card = Path("run/README.md").read_text()
    assert "symdata evaluate PATH --data glyphs-none --limit 4 --arch mynet:build --angles 0" in card
    assert not Path("imported").exists()


def test_a_report_of_several(here):
    shutil.copytree("run", "other")
    words = ["report", "run", "other", "--data", "data", "--angles", 4, "--limit", 4, "--measured", 1, "--films", 0]
    assert "for one model" in refused(*words, "--arch", "mynet:build", "--weights", "run/model.safetensors", code=2)
    result = run(*words, *ARCH)
    assert result.exit_code == 0, result.output
    assert len(json.loads(Path("report.json").read_text())["models"]) == 2


def test_killed_and_resumed(here):
    changes = {"model": "mynet:build", "width": None, "symmetry": "c4", "epochs": 3}
    whole, out = run_to_the_end(here, changes), str(here / "killed")
    process = start(kills.train_until, Path("data"), changes | {"out": out}, "step", 2 * 48 + 20, log=here / "log")
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL, (here / "log").read_text()
    result = run("train", "--resume", "--out", "killed")
    assert result.exit_code == 0, result.output
    assert weights(Path("killed")) == weights(whole)
    last = refused("train", "--resume", "--out", "killed")
    assert "'killed/recipe.yaml' names code, 'mynet:build', and code is run only if you name it" in last
    assert last.endswith("add --model mynet:build")
    assert run("train", "--resume", "--out", "killed", "--model", "mynet:build").exit_code == 0


def run_to_the_end(here, changes):
    process = start(kills.train_until, Path("data"), changes | {"out": str(here / "whole")}, "", 0, log=here / "log")
    process.join(timeout=120)
    assert process.exitcode == 0, (here / "log").read_text()
    return here / "whole"


def test_a_recipe_of_others_runs_no_code(here):
    words = ["train", "data", "--config", "run/recipe.yaml", "--out", "again"]
    assert "names code, 'mynet:build'" in refused(*words) and not Path("imported").exists()
    assert run(*words, "--model", "mynet:build").exit_code == 0
    assert weights(Path("again")) == weights(Path("run"))


def test_published_and_pulled(here, hub: LoopbackHub):
    assert run("publish", "run", "user/run", *ARCH).exit_code == 0
    hub_card = hub.read("user/run", "README.md").decode()
    assert 'zoo.load("user/run", arch="mynet:build")' in hub_card
    files = hub.repo("user/run").resolve("main").files
    assert not any(name.endswith(".py") for name in files)
    Path("imported").unlink()
    said = refused("evaluate", "user/run", "--data", "data")
    assert "is a network of somebody's own" in said and "fetch it anew" not in said
    assert "the folder has no code" in refused("pull", "user/run", "--out", "mine")
    assert not Path("imported").exists(), "nothing that the repository names is imported"
    assert run("evaluate", "user/run", "--data", "data", "--angles", 0, "--limit", 4, *ARCH).exit_code == 0
    assert run("pull", "user/run", "--out", "mine", *ARCH).exit_code == 0
    assert weights(Path("mine")) == weights(Path("run"))
    assert "user/run" in run("models", "--hub", "user").stdout
