"""A config.json that was edited, or made to harm by somebody who mends its hash: refused in a sentence, at once."""

import json
import random
import shutil
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symdata.errors import SymdataError
from tests.support import checkpoints
from tests.support.checkpoints import edit, network, refused
from zoo.checkpoint.folder import read_checkpoint

whole, folder = checkpoints.whole, checkpoints.folder


EDITS = {
    "an outside path": lambda c: c["weights"].update(file="../model.safetensors"),
    "an absolute path": lambda c: c["weights"].update(file="/etc/passwd"),
    "another file": lambda c: c["golden"].update(file="README.md"),
    "no hash": lambda c: c["weights"].pop("sha256"),
    "a short hash": lambda c: c["weights"].update(sha256="abc"),
    "no weights": lambda c: c.pop("weights"),
    "a list": lambda c: c.update(architecture=[1, 2]),
    "a huge width": lambda c: c["architecture"].update(width=10**9),
    "a large width": lambda c: c["architecture"].update(width=4000),
    "many classes": lambda c: c["architecture"].update(classes=10**12),
    "many channels": lambda c: c["architecture"].update(channels=10**8),
    "a negative width": lambda c: c["architecture"].update(width=-1),
    "no width": lambda c: c["architecture"].pop("width"),
    "a float": lambda c: c["architecture"].update(width=3.0),
    "a truth": lambda c: c["architecture"].update(classes=True),
    "an unknown key": lambda c: c["architecture"].update(code="import os"),
    "an unknown name": lambda c: c["architecture"].update(name="evil_28"),
    "a name that is none": lambda c: c["architecture"].update(name=None),
    "another group": lambda c: c["architecture"].update(name="p4mcnn_20"),
    "a larger network": lambda c: c["architecture"].update(name="p4resnet44_20"),
    "no mean": lambda c: c["preprocessing"].update(mean=[]),
    "a mean of text": lambda c: c["preprocessing"].update(mean=["a"]),
    "three channels": lambda c: c["preprocessing"].update(mean=[0, 0, 0], std=[1, 1, 1]),
    "a zero": lambda c: c["preprocessing"].update(std=[0]),
    "another size": lambda c: c["preprocessing"].update(size=10**9),
    "an unknown step": lambda c: c["preprocessing"].update(crop=3),
    "fewer classes": lambda c: c["classes"].pop(),
    "no classes": lambda c: c.update(classes=[]),
    "numbers for classes": lambda c: c.update(classes=[1, 2, 3, 4]),
    "an exported form": lambda c: c.update(architecture={"form": "exported", "name": "c8cnn_29"}),
    "a large exported form": lambda c: c.update(architecture={"form": "exported", "width": 10**9, "name": "c8cnn_29"}),
    "no size": lambda c: c.update(input_size=[]),
    "a name with a line": lambda c: c.update(name="a\nb"),
    "no name": lambda c: c.update(name=""),
    "the format": lambda c: c.update(format=2),
    "no format": lambda c: c.pop("format"),
    "another library": lambda c: c.update(library_name="timm"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_configuration_made_to_harm(folder, name):
    """By somebody who mends its hash."""
    edit(folder, EDITS[name])
    start = time.monotonic()
    refused(folder)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("name", [name for name in EDITS if name not in ("the format", "no format", "another library")])
def test_the_same_edits_without_the_hash(folder, name):
    edit(folder, EDITS[name], seal=False)
    refused(folder)


@pytest.mark.parametrize("key", ["name", "classes", "training", "dataset", "exactness", "versions", "group"])
def test_any_edit_is_noticed(folder, key):
    def change(config):
        config[key] = {"epochs": 3} if isinstance(config[key], dict) else config[key][::-1]

    edit(folder, change, seal=False)
    refused(folder, r"config.json' was changed after it was written: its content has sha256 \w{64}, expected \w{64}")


def test_white_space_is_no_edit(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(dict(reversed(config.items()))))
    read_checkpoint(folder)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "is not of a symdata model"),
        ("null", "has no config.json|is not of a symdata model"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": NaN}', "is not JSON: NaN is not a number"),
        ('{"a": ' + "9" * 10_000 + "}", "is not JSON"),
        ("\udcff", "is not JSON"),
        (" " * (1 << 20) + "{}", "has 1,048,578 bytes, at most 1,048,576 are read"),
    ],
)
def test_a_configuration_that_is_none(folder, text, sentence):
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(folder, sentence)


@pytest.mark.parametrize("seed", range(60))
def test_a_configuration_with_bytes_changed(folder, seed):
    dice, path = random.Random(seed), folder / "config.json"
    data = bytearray(path.read_bytes())
    before = json.loads(data)
    while True:
        data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            if json.loads(data) != before:
                break
        except ValueError:
            break
    path.write_bytes(data)
    refused(folder)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    *[
        (key,)
        for key in ("name", "architecture", "group", "input_size", "preprocessing", "classes", "weights", "golden")
    ],
    *[("architecture", key) for key in ("name", "classes", "channels", "width", "coset_pool", "dropout", "form")],
    *[("preprocessing", key) for key in ("size", "mean", "std", "resize")],
    *[(part, key) for part in ("weights", "golden") for key in ("file", "sha256", "parameters")],
]


@given(st.sampled_from(PLACES), json_values)
@settings(max_examples=150)
def test_no_value_ends_in_a_traceback(whole, tmp_path_factory, place, value):
    """Where a value does no harm (another mean, another name) the folder loads, with the very same weights."""
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    shutil.copytree(whole, folder, dirs_exist_ok=True)

    def change(config):
        for key in place[:-1]:
            config = config[key]
        config[place[-1]] = value

    try:
        edit(folder, change)
        read = read_checkpoint(folder)
    except SymdataError:
        return
    assert torch.equal(next(read.model.parameters()), next(network().parameters()))
