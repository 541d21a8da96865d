"""Trainings that begin at an equivariant network and are free: orbit batches, the distance in the log, the penalty."""

import json

import pytest
import torch
from torch import nn

import symdata.transforms.orbits
import zoo
from tests.support.commands import here, refused, run  # noqa: F401
from tests.support.hub_server import LoopbackHub
from tests.support.training import config, dataset, lines, weights
from tests.support.training import run as trained
from zoo.errors import ModelError
from zoo.layers import GroupPool
from zoo.layers.relaxed import FreeGroupConv2d, FreeLiftingConv2d
from zoo.measure import equivariant_distance
from zoo.pretraining import PretrainConfig
from zoo.training import train

pytest_plugins = ["tests.support.hub_fixture"]

DYNAMICS = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "lr": 0.05, "schedule": "constant"}
"""Plain gradient descent, of which the theorem speaks."""
ORBIT = {"symmetry": "c4", "augment": "orbit", "monitor": "distance", "monitor_every": 2, "width": 4, **DYNAMICS}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("dynamics") / "data", count=96)


@pytest.fixture(scope="module")
def source(data, tmp_path_factory):
    """An equivariant network that was trained a little."""
    return trained(data, out=str(tmp_path_factory.mktemp("source") / "tied"), epochs=1, width=4, symmetry="c4")


@pytest.fixture(scope="module")
def orbit(data, source, tmp_path_factory):
    """Free from there, on whole orbits."""
    return trained(data, out=str(tmp_path_factory.mktemp("orbit") / "run"), start_from=str(source), **ORBIT)


def distances(folder):
    """Step -> distance, of the lines that the monitor wrote."""
    return {
        line["step"]: line["distance"] for line in lines(folder) if any(key.startswith("distance ") for key in line)
    }


def test_the_log_has_the_distance_of_every_layer_at_its_interval(orbit):
    found = distances(orbit)
    steps = zoo.info(orbit)["training"]["steps"]
    assert list(found) == list(range(0, steps + 1, 2)) and steps == 2 * 6
    layers = [key.removeprefix("distance ") for key in lines(orbit)[0] if key.startswith("distance ")]
    assert layers == list(equivariant_distance(zoo.load(orbit)).layers) and len(layers) == 7
    last = [line for line in lines(orbit) if "loss" in line][-1]
    assert last["distance"] == equivariant_distance(zoo.load(orbit)).total == found[steps]


def smooth():
    """A free network that starts equivariant, without kinks, whose sides rounding would choose in float32."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            FreeLiftingConv2d("c4", 1, 4, 3, padding=1),
            nn.Tanh(),
            FreeGroupConv2d("c4", 4, 4, 3, padding=1),
            nn.Tanh(),
            nn.AdaptiveAvgPool2d(1),
            GroupPool("c4"),
            nn.Flatten(),
            nn.Linear(4, 4),
        )


def test_whole_orbits_keep_it_equivariant_and_random_elements_do_not(data, tmp_path):
    found = {}
    options = {"symmetry": "c4", "monitor": "distance", "monitor_every": 2, "batch_size": 16, "epochs": 2, **DYNAMICS}
    for augment in ("orbit", "random"):
        out = tmp_path / augment
        model = zoo.train(smooth(), data, out=out, augment=augment, **options | {"lr": 0.5})
        found[augment] = list(distances(out).values())
        assert equivariant_distance(model.model).total == found[augment][-1]
    assert max(found["orbit"]) < 1e-5 and found["random"][0] < 1e-7 and min(found["random"][1:]) > 1e-4


def test_random_elements_draw_a_network_of_the_zoo_away(data, source, tmp_path):
    random = trained(data, out=str(tmp_path / "run"), start_from=str(source), **ORBIT | {"augment": "random"})
    found = list(distances(random).values())
    assert found[0] < 1e-6 and min(found[1:]) > 1e-4


def test_the_penalty_draws_it_back(data, source, tmp_path):
    options = {"start_from": str(source), **ORBIT, "augment": "random"}
    found = []
    for gamma in (0, 10):
        out = str(tmp_path / f"gamma{gamma}")
        found.append(trained(data, out=out, objective=f"equivariance-penalty:{gamma}", **options))
    far, near = (list(distances(folder).values())[-1] for folder in found)
    assert 1e-5 < near < far / 1.5
    assert zoo.info(found[1])["training"]["objective"] == "equivariance-penalty:gamma=10"


def test_to_monitor_changes_no_bit_of_the_run(data, orbit, source, tmp_path):
    quiet = trained(data, out=str(tmp_path / "run"), start_from=str(source), **ORBIT | {"monitor": "none"})
    assert weights(quiet) == weights(orbit) and not distances(quiet)


def test_a_stopped_run_ends_with_the_same_bits_and_lines(data, source, orbit, tmp_path):
    class StopError(Exception):
        """Ends a run after its first epoch."""

    def stop(metrics):
        raise StopError

    options = {"out": str(tmp_path / "run"), "start_from": str(source), **ORBIT}
    with pytest.raises(StopError):
        train(config(data, **options), report=stop)
    resumed = trained(data, resume=True, **options)
    assert weights(resumed) == weights(orbit) and lines(resumed) == lines(orbit)


def test_the_folder_is_published_and_comes_back_the_same(orbit, hub: LoopbackHub):
    model, images = zoo.load(orbit), torch.rand(4, 1, 12, 12)
    zoo.push(orbit, "user/free")
    back = zoo.load("user/free")
    assert torch.equal(back(images), model(images))
    assert back.config["training"]["start_from"] == "tied", "no path of this machine"
    assert "--start-from tied" in back.config["training"]["command"]
    assert hub.read("user/free", "README.md")


def test_the_command(data, source, here):  # noqa: F811
    words = ["train", data, "--model", "p4cnn_12", "--width", 4, "--start-from", source, "--symmetry", "c4"]
    words += ["--augment", "orbit", "--monitor", "distance", "--objective", "equivariance-penalty:5", "--epochs", 1]
    words += ["--batch-size", 16, "--optimizer", "sgd", "--momentum", 0, "--lr", 0.01, "--out", "free"]
    plan = run(*words, "--dry-run")
    assert plan.exit_code == 0 and "may leave the group as they learn" in plan.output
    result = run(*words)
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in (here / "free" / "metrics.jsonl").read_text().splitlines()]
    assert found[0]["step"] == 0 and "distance" in found[-1]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--start-from", "SOURCE", "--init", "SOURCE"), "a run begins with one"),
        (("--start-from", "SOURCE", "--relax", "banks"), "leave --relax out, or use --init"),
        (("--start-from", "z2cnn_28.mnist-none"), "has no group to leave; take p4cnn"),
        (("--start-from", "nowhere"), "nowhere"),
        (("--augment", "orbit", "--symmetry", "so2"), "use --symmetry c2, c4, d1, d2 or d4"),
        (("--augment", "orbit"), "symmetry is 'none'"),
        (("--monitor", "distance"), "may leave its group, so there is no distance to measure"),
        (("--objective", "equivariance-penalty:5"), "acts on filters that may leave their group"),
        (("--relax", "free", "--objective", "equivariance-penalty:much"), "is 'much', expected a number"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(data, source, here, words, match):  # noqa: F811
    words = [source if word == "SOURCE" else word for word in words]
    assert match in refused("train", data, "--model", "p4cnn_12", "--width", 4, *words)


def test_an_unknown_word_is_refused(data, here):  # noqa: F811
    text = refused("train", data, "--model", "p4cnn_12", "--augment", "all", code=2)
    assert "'random', 'orbit'" in text


def test_a_network_of_ones_own_is_no_start(data, tmp_path, here):  # noqa: F811
    net = nn.Sequential(nn.Flatten(), nn.Linear(144, 4))
    own = zoo.train(net, data, out=tmp_path / "own", epochs=1)
    text = refused("train", data, "--model", "p4cnn_12", "--start-from", own.folder)
    assert text.startswith("symdata: ") and "own" in text


def test_orbits_that_do_not_fit_are_refused_before_anything_is_written(data, here, monkeypatch):  # noqa: F811
    monkeypatch.setattr(symdata.transforms.orbits, "memory", lambda device: 10_000)
    words = ("train", data, "--model", "p4cnn_12", "--symmetry", "d4", "--augment", "orbit", "--batch-size", 64)
    result = run(*words, "--out", "run")
    assert result.exit_code == 1 and not (here / "run").exists()
    assert result.stderr.startswith("symdata: the orbits of 64 images under d4") and result.stderr.count("\n") == 1
    assert result.stderr.endswith("use smaller batches, for example of 8 images\n")


def test_a_pretraining_has_none_of_it(data):
    options = {"data": str(data), "model": "p4cnn_12"}
    for field, value in {"start_from": "x", "monitor": "distance", "monitor_every": 3}.items():
        with pytest.raises(ModelError, match=f"{field} is .*, which a pretraining has not"):
            PretrainConfig(**options, **{field: value})
    with pytest.raises(ModelError, match="augment is 'orbit', which a pretraining has not"):
        PretrainConfig(**options, augment="orbit", symmetry="c4")
