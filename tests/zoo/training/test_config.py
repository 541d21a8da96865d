"""The config of a training run: every field checked, and the same through YAML and JSON, whatever YAML makes of it."""

import dataclasses
import json
import subprocess
import sys
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from symdata.errors import SymdataError
from zoo.errors import ModelError
from zoo.training import TrainConfig, read_recipe
from zoo.training.recipe import public_fields, recipe_text

BASE = {"data": "mnist-none", "model": "p4cnn_28"}
FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}


def made(**fields) -> TrainConfig:
    return TrainConfig.from_dict(BASE | fields)


def test_every_field_is_checked_and_says_what_it_is():
    free = {"data", "model", "init", "start_from", "out", "device", "average", "path"}  # checked when a run is prepared
    for name, field in FIELDS.items():
        rule, sentence = field.metadata["rule"], field.metadata["help"]
        assert sentence[0].isupper() and sentence.endswith((".", "...")), name
        assert len(str(rule)) > 5 and rule.kind.rstrip("s") in ("flag", "text", "word", "whole", "real")
        if name not in free:
            with pytest.raises(SymdataError):
                made(**{name: "nonsense"})


def test_a_default_is_a_value_that_the_field_may_hold():
    config = made()
    for name, field in FIELDS.items():
        if name not in BASE:
            assert getattr(config, name) == field.default and isinstance(getattr(config, name), type(field.default))


def test_the_words_are_those_of_the_layers():
    from zoo.layers.relaxed import RELAXATIONS
    from zoo.layers.subsampling.downsampling import KINDS

    assert tuple(FIELDS["downsample"].metadata["rule"].words()) == tuple(KINDS)
    assert tuple(FIELDS["relax"].metadata["rule"].words()) == ("none", *RELAXATIONS)


def test_the_fields_are_read_without_torch():
    code = "import sys, zoo.training.config, cli.train; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_defaults_are_the_recipe_of_the_readme():
    config = made()
    assert (config.epochs, config.batch_size, config.optimizer, config.lr) == (10, 64, "adam", 0.01)
    assert (config.schedule, config.weight_decay, config.seed) == ("onecycle", 1e-5, 0)


def test_it_comes_back_from_json_and_yaml(tmp_path):
    config = made(mean=[0.1, 0.2, 0.3], std=[1, 2, 3], symmetry="0-4:d4-partial,rest:none", limit=500, width=[4, 7, 14])
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(config.to_dict()))
    assert TrainConfig.from_dict(read_recipe(tmp_path / "r.yaml")) == config
    assert config.symmetry == "0-4:d4-partial@0.5,rest:none", "only canonical text is stored"


def test_what_yaml_does_to_words_and_numbers(tmp_path):
    text = """
        weight_decay: 1e-5      # PyYAML reads a text
        lr: .5
        precision: no           # and false here
        symmetry: none
        limit: none
        tracker: null
        channels_last: yes
        mean: 0.5
        std: 1
    """
    (tmp_path / "r.yaml").write_text("\n".join(line.strip() for line in text.splitlines()))
    fields = read_recipe(tmp_path / "r.yaml")
    assert fields["weight_decay"] == "1e-5" and fields["precision"] is False, "the traps are there"
    config = made(**fields)
    assert (config.weight_decay, config.lr, config.precision, config.symmetry) == (1e-5, 0.5, "no", "none")
    assert (config.limit, config.tracker, config.channels_last) == (None, None, True)
    assert (config.mean, config.std) == ((0.5,), (1.0,))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"epoch": 3}, "no field 'epoch'; did you mean epochs?"),
        ({"learning-rate": 3}, "no field 'learning-rate'; there are data, model"),
        ({"batch-size": 3}, "did you mean batch_size?"),
        ({3: 3}, "no field 3"),
        ({"epochs": 0}, "epochs is 0, expected a whole number from 1"),
        ({"epochs": True}, "epochs is True, expected a whole number"),
        ({"epochs": 2.5}, "epochs is 2.5"),
        ({"epochs": "ten"}, "epochs is 'ten'"),
        ({"epochs": None}, "epochs is empty; leave it out for 10"),
        ({"batch_size": 1}, "batch norm needs at least 2"),
        ({"lr": "fast"}, "lr is 'fast', expected a number from"),
        ({"lr": 0}, "lr is 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"lr": float("inf")}, "lr is inf"),
        ({"lr": True}, "lr is True"),
        ({"optimizer": "adamax"}, "optimizer is 'adamax', expected one of adam, adamw, sgd"),
        ({"precision": True}, "precision is True, expected one of no, bf16, fp16"),
        ({"symmetry": "d5x"}, "symmetry 'd5x', character"),
        ({"symmetry": 4}, "symmetry is 4, expected a text"),
        ({"coset_pool": "yes"}, "coset_pool is 'yes', expected true or false"),
        ({"channels": 2}, "channels is 2, expected 1 or 3"),
        (
            {"mean": [0.1, 0.2], "std": 1},
            "from -1000 to 1000, or one for each of 3 channels",
        ),
        ({"mean": 0.5}, "give both, or neither"),
        ({"mean": 0.5, "std": 0}, "std is 0"),
        ({"keep": "best", "validation": 0}, "keep is 'best' and validation is 0"),
        ({"width": [4, "a"]}, "width is [4, 'a'], expected a whole number from 1 to 4096, or up to 8 of them"),
        ({"limit": "all"}, "limit is 'all'"),
        ({"data": ["x"]}, "data is ['x'], expected a text"),
        ({"data": None}, "does not say its data; name it, for example mnist-none"),
        ({"model": None}, "does not say its model; name it, for example p4cnn_28"),
        ({"seed": -1}, "seed is -1"),
        ({"out": "a\0b"}, "out is 'a\\x00b'"),
        ({"lr": "9" * 10_000}, "lr is '99"),
    ],
)
def test_bad_fields(fields, sentence):
    with pytest.raises(SymdataError) as caught:
        TrainConfig.from_dict(BASE | fields)
    assert sentence in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("epochs: [", "is not YAML: line"),
        ("- epochs", "holds ['epochs'], expected lines such as `epochs: 10`"),
        ("10", "expected lines such as"),
        ("epochs: 3\nepochs: 4", "'epochs' twice"),
        ("? [a, b]\n: 1", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("epochs: \x07", "is not YAML"),
        ("a: &a [1]\nb: " + "[" * 3000, "is not YAML"),
    ],
)
def test_bad_recipes(tmp_path, text, sentence):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(ModelError) as caught:
        TrainConfig.from_dict(BASE | read_recipe(tmp_path / "r.yaml"))
    assert sentence in str(caught.value)


def test_a_recipe_that_is_no_text(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="is not YAML"):
        read_recipe(tmp_path / "r.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_recipe(tmp_path / "empty.yaml") == {}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=6), values, max_size=4))
def test_anything_is_a_config_or_is_refused(fields):
    with suppress(SymdataError):
        config = TrainConfig.from_dict(BASE | fields)
        assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(st.text(max_size=60))
def test_any_text_is_a_recipe_or_is_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("recipe") / "r.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(SymdataError):
        TrainConfig.from_dict(BASE | read_recipe(path))


def test_what_is_published_has_no_path_of_this_machine():
    fields = public_fields(made(data="/home/me/secret/mnist-none", out="/home/me/out"))
    assert fields["data"] == "mnist-none" and "out" not in fields
    assert public_fields(made(data="../x/mnist-none"))["data"] == "mnist-none"
    assert public_fields(made(data="data/mnist-none"))["data"] == "data/mnist-none"
    again = TrainConfig.from_dict(yaml.safe_load(recipe_text(made(lr=1e-5, precision="no"))))
    assert again == made(lr=1e-5)
