"""`symdata train` as a user types it."""

import dataclasses
import json
from pathlib import Path

import pytest

from cli.train import command
from tests.support.commands import refused, run
from tests.support.folders import contents
from tests.support.training import dataset, lines, weights
from zoo.training import TrainConfig, train


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=96)


@pytest.fixture
def here(tmp_path, monkeypatch, made):
    """A folder with the dataset beside it, as `data`."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("data").symlink_to(made)
    return tmp_path / "here"


QUICK = ["--epochs", 2, "--width", 2]


def test_what_it_says(here):
    result = run("train", "data", "--model", "p4cnn_12", *QUICK)
    assert result.exit_code == 0, result.output
    said = result.stdout.splitlines()
    assert said[:2] == [
        "p4cnn_12.glyphs-none: 1,048 parameters, 96 images 12x12x1, 16 held out",
        "exact: at 12x12 its feature maps move with the image under c4",
    ]
    assert said[2].startswith("p4cnn_12 costs 1,048 parameters, ") and "times those of z2cnn_12" in said[2]
    assert [line.split()[0] for line in said[3:]] == ["model", "parameters", "validation", "audit", "next"]
    assert said[-1].endswith("symdata evaluate p4cnn_12.glyphs-none --data data")
    first, second = result.stderr.splitlines()
    assert first.startswith("epoch 1/2  loss ") and second.startswith("epoch 2/2  loss ") and "validation" in second
    assert len(lines(Path("p4cnn_12.glyphs-none"))) == 2


def test_an_approximate_network_is_told_before_training(here):
    result = run("train", "data", "--model", "p4cnn_13", "--dry-run")
    assert "approximate: at 13x13" in result.stdout and "would be written to p4cnn_13.glyphs-none" in result.stdout
    assert [path.name for path in here.iterdir()] == ["data"]
    fields = json.loads(run("train", "data", "--model", "p4cnn_13", "--dry-run", "--json").stdout)
    assert fields["exactness"].startswith("approximate") and fields["steps"] == 20 and fields["images"] == 96


def test_json_is_json_and_nothing_else(here):
    result = run("train", "data", "--model", "p4cnn_12", *QUICK, "--out", "m", "--json")
    fields = json.loads(result.stdout)
    assert fields["folder"] == "m" and fields["config"] == json.loads(Path("m/config.json").read_text())


def test_options_override_the_recipe(here):
    Path("r.yaml").write_text("data: data\nmodel: p4cnn_12\nepochs: 2\nwidth: 2\nlr: 1e-3\nprecision: no\n")
    assert run("train", "--config", "r.yaml", "--out", "a").exit_code == 0
    assert run("train", "--config", "r.yaml", "--out", "b", "--lr", 0.02, "--seed", 1).exit_code == 0
    training = [json.loads(Path(name, "config.json").read_text())["training"] for name in "ab"]
    assert [(t["lr"], t["seed"], t["epochs"]) for t in training] == [(1e-3, 0, 2), (0.02, 1, 2)]


def test_every_field_is_an_option_with_the_same_choices():
    options = {option.name: option for option in command.params}
    for field in dataclasses.fields(TrainConfig):
        option, rule = options.pop(field.name), field.metadata["rule"]
        if rule.kind == "word":
            assert tuple(option.type.choices) == tuple(rule.words())
        if field.name != "data":
            assert option.help.startswith(field.metadata["help"])
        if field.default not in (None, dataclasses.MISSING) and not isinstance(field.default, bool):
            shown = (
                "[1e-5]"
                if field.name == "weight_decay"
                else f"[{field.default:g}"
                if isinstance(field.default, float)
                else f"[{field.default}"
            )
            assert shown in option.help.replace("  ", " "), f"the help of {field.name} says another default"
    assert set(options) == {"recipe", "seeds", "overwrite", "resume", "dry_run", "as_json"}


def test_every_option_arrives(here, monkeypatch):
    given = {
        "--epochs": 3, "--batch-size": 8, "--optimizer": "sgd", "--lr": 0.02, "--weight-decay": 0.001,
        "--momentum": 0.8, "--schedule": "step", "--step-epochs": 2, "--gamma": 0.1, "--symmetry": "d4-partial",
        "--augment-per": "batch", "--fill": "zero", "--resample": "bilinear", "--channels": 3, "--width": "3",
        "--dropout": 0.1, "--mean": "0.1,0.2,0.3", "--std": "1", "--resize": "area", "--seed": 4, "--limit": 40,
        "--validation": 0.2, "--keep": "best", "--label-smoothing": 0.05, "--precision": "bf16", "--device": "cpu",
        "--checkpoint-every": 2, "--log-every": 7, "--out": "o", "--model": "p4cnn_12", "--size": 12,
        "--downsample": "avg", "--relax": "residual", "--objective": "residual:free_decay=0.5",
        "--shift": 2, "--patience": 4, "--class-weights": "1,1,2.5,1", "--augment": "random",
        "--monitor": "distance", "--monitor-every": 7,
    }  # fmt: skip
    words = [word for pair in given.items() for word in pair]
    result = run("train", "data", *words, "--no-coset-pool", "--channels-last", "--dry-run", "--json")
    config = json.loads(result.stdout)["config"]
    default = TrainConfig(data="data", model="p4cnn_12").to_dict()
    same = {name for name, value in config.items() if value == default[name]}
    assert same == {
        "data",
        "model",
        "init",
        "start_from",
        "freeze",
        "augment",
        "tracker",
        "average",
        "copies",
        "path",
    }, "everything else is as given"
    assert config["class_weights"] == [1.0, 1.0, 2.5, 1.0]
    assert (
        config["mean"] == [0.1, 0.2, 0.3] and config["symmetry"] == "d4-partial@0.5" and config["coset_pool"] is False
    )


def test_the_library_is_what_the_command_calls(here):
    run("train", "data", "--model", "p4cnn_12", *QUICK, "--out", "a")
    folder = train(TrainConfig(data="data", model="p4cnn_12", epochs=2, width=2, out="b"))
    assert weights(folder) == weights(Path("a"))


def test_stopped_and_resumed(here, monkeypatch):
    options = ["train", "data", "--model", "p4cnn_12", *QUICK, "--out", "m"]

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("zoo.training.loop._publish", interrupted)
        result = run(*options)
    assert result.exit_code == 130
    assert "stopped; the same command with --resume goes on from here" in result.stderr
    assert "go on with --resume or begin again with --overwrite" in refused_after_saying(*options)
    assert "has lr = 0.01, and now it is 0.1" in refused_after_saying(*options, "--resume", "--lr", 0.1)
    assert run(*options, "--resume").exit_code == 0
    assert run(*options, "--resume").exit_code == 0, "and again"
    assert "replace it with --overwrite" in refused_after_saying(*options)
    assert run(*options, "--overwrite").exit_code == 0


@pytest.fixture
def stopped(here, monkeypatch):
    """Options that began a run, which was stopped, and the folder of the run."""
    with monkeypatch.context() as patch:
        patch.setattr("zoo.training.loop._publish", _interrupted)
        data = Path("data").resolve()
        assert run("train", data, "--model", "p4cnn_12", *QUICK, "--seed", 3, "--out", "m").exit_code == 130
    return Path("m")


def _interrupted(*arguments):
    raise KeyboardInterrupt


def test_resume_needs_the_folder_only(stopped):
    assert "has seed = 3, and now it is 4" in refused_after_saying("train", "--resume", "--out", stopped, "--seed", 4)
    result = run("train", "--resume", "--out", stopped)
    assert result.exit_code == 0, result.output
    training = json.loads((stopped / "config.json").read_text())["training"]
    assert (training["seed"], training["epochs"], training["width"]) == (3, 2, 2)
    whole = train(TrainConfig(data="data", model="p4cnn_12", epochs=2, width=2, seed=3, out="whole"))
    assert weights(stopped) == weights(whole)
    assert run("train", "--resume", "--out", stopped).exit_code == 0, "and again, from the recipe"


def test_resume_where_the_dataset_has_moved(stopped):
    Path("data").rename("moved")
    (stopped / ".state" / "state.pt").unlink()  # stopped before there was one: recipe.yaml names the folder alone
    last = refused("train", "--resume", "--out", stopped)
    assert "the run in 'm' was on the dataset 'data', which is not there; say where it is: " in last
    assert last.endswith(": symdata train DATA --resume --out m")
    assert run("train", "moved", "--resume", "--out", stopped).exit_code == 0


def test_resume_without_a_run(here):
    last = refused("train", "--resume", "--out", "nowhere")
    assert "there is no folder 'nowhere' of a run to go on with; begin one: symdata train DATA --model p4cnn_28" in last
    Path("empty").mkdir()
    assert "'empty' holds no recipe.yaml of a run to go on with" in refused(
        "train", "data", "--resume", "--out", "empty"
    )
    assert "or --out FOLDER of the run to go on with" in refused("train", "--resume", code=2)


def refused_after_saying(*arguments: object) -> str:
    """As `refused`, for what is found after the verdict is out."""
    before = contents(Path.cwd())
    result = run(*arguments)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert contents(Path.cwd()) == before
    (line,) = result.stderr.splitlines()
    return line


def test_divergence_is_a_sentence(here):
    options = ["--optimizer", "sgd", "--lr", 1e4, "--weight-decay", 1e3, "--schedule", "constant", "--batch-size", 16]
    result = run("train", "data", "--model", "p4cnn_12", *QUICK, *options)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "symdata: the loss or a weight is not finite in epoch 1, step" in result.stderr
    assert run("train", "data", "--model", "p4cnn_12", *QUICK, *options, "--lr", 1e-5, "--resume").exit_code == 0


def test_several_seeds(here):
    options = ["train", "data", "--model", "p4cnn_12", *QUICK, "--seeds", 2, "--seed", 3]
    dry = run(*options, "--dry-run")
    assert "would be written to p4cnn_12.glyphs-none-s3, p4cnn_12.glyphs-none-s4" in dry.stdout
    assert [path.name for path in here.iterdir()] == ["data"]
    result = run(*options, "--out", "m/")
    assert result.exit_code == 0, result.output
    assert [line.split("  ")[0] for line in result.stderr.splitlines()] == ["seed 3", "seed 3", "seed 4", "seed 4"]
    assert result.stdout.splitlines()[-1] == "next        symdata report m-s3 m-s4 --data data"
    assert "over 2 seeds" in result.stdout
    alone = train(TrainConfig(data="data", model="p4cnn_12", epochs=2, width=2, seed=4, out="alone"))
    assert weights(alone) == weights(Path("m-s4"))
    assert "'m-s3' holds a trained model" in refused_after_saying(*options, "--out", "m")
    again = run("train", "--resume", "--out", "m", "--seeds", 2, "--seed", 3, "--json")
    assert json.loads(again.stdout)["folders"] == ["m-s3", "m-s4"] and not again.stderr.count("epoch")
    assert "seeds" in refused("train", "data", "--model", "p4cnn_12", "--seeds", 0, code=2)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["data"], 2, "--model p4cnn_28"),
        ([], 2, "symdata train DATA"),
        (["data", "--model", "p4cnn_12", "--epochs", 0], 1, "epochs is 0, expected a whole number from 1"),
        (["data", "--model", "p4cnn_12", "--symmetry", "q4"], 2, "symmetry 'q4', character 1"),
        (
            ["data", "--model", "p4cnn_12", "--mean", "a"],
            2,
            "'a' is no list of numbers; write 0.5, or 0.49,0.48,0.45",
        ),
        (
            ["data", "--model", "p4cnn_12", "--width", "a"],
            2,
            "'a' is no list of numbers; write 10, or 16,32,64",
        ),
        (["data", "--model", "p4cnn"], 1, "says no size, which decides exactness"),
        (["data", "--model", "p5cnn_28"], 1, "did you mean"),
        (["nowhere", "--model", "p4cnn_12"], 1, "'nowhere' does not exist"),
        ([".", "--model", "p4cnn_12"], 1, "`symdata make . --symmetry none --out here-none` and train on here-none"),
        (["data", "--model", "p4cnn_12", "--batch-size", 1000], 1, "use --batch-size 96"),
        (
            ["data", "--model", "p4cnn_12", "--device", "cudaa"],
            1,
            "device is 'cudaa', expected auto, cpu, cuda, cuda:1",
        ),
        (["data", "--model", "p4cnn_12", "--device", "meta", "--dry-run"], 1, "device is 'meta', expected auto, cpu"),
        (
            ["data", "--model", "p4cnn_12", "--device", "cuda:99"],
            1,
            "there is no device 'cuda:99' here; use --device c",
        ),
        (["data", "--model", "p4cnn_12", "--config", "nosuch"], 2, "'nosuch' does not exist"),
        (["data", "--model", "p4cnn_12", "--config", "bad.yaml"], 1, "no field 'epoch'; did you mean epochs?"),
    ],
)
def test_refusals(here, words, code, sentence):
    Path("bad.yaml").write_text("epoch: 3\n")
    assert sentence in refused("train", *words, code=code)
