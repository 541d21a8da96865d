"""Names of networks: what is read, what is written, and what a slip of the finger is answered."""

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdata.groups import Group
from tests.conftest import ROOT
from zoo.errors import ModelError
from zoo.models.names import FORM, LATTICE_WORDS, STEERABLE_WORDS, ModelName, known_prefixes
from zoo.preprocessing import MAX_SIZE

CANONICAL = sorted({f"{v}{w}{a}" for v, w, a in known_prefixes().values()})


@pytest.mark.parametrize(
    ("text", "parts", "group"),
    [
        ("p4cnn_28", ("", "p4", "cnn", 28, None), "c4"),
        ("p4mcnn_28.mnist-none", ("", "p4m", "cnn", 28, "mnist-none"), "d4"),
        ("gcp4resnet44_33.cifar10", ("gc", "p4", "resnet44", 33, "cifar10"), "c4"),
        ("gp2mresnet18_225", ("g", "p2m", "resnet18", 225, None), "d2"),
        ("z2pcamresnet44_97", ("", "z2", "pcamresnet44", 97, None), "c1"),
        ("pmknight_33", ("", "pm", "knight", 33, None), "d1"),
        ("p2cwcnn_28", ("", "p2", "cwcnn", 28, None), "c2"),
        ("z2cnn2_28", ("", "z2", "cnn2", 28, None), "c1"),
        ("c8cnn_29", ("", "c8", "cnn", 29, None), "c8"),
        ("so2wrn16_29.mnist-so2", ("", "so2", "wrn16", 29, "mnist-so2"), "so2"),
    ],
)
def test_names_are_read(text, parts, group):
    name = ModelName.parse(text)
    assert dataclasses.astuple(name) == parts and str(name) == text
    assert name.group == Group.parse(group)
    assert (name.group_word in STEERABLE_WORDS) is (not name.group.is_lattice)
    assert str(name.bare) == text.split(".")[0]


@pytest.mark.parametrize(("word", "other"), LATTICE_WORDS.items())
def test_the_other_spelling_of_a_lattice_group_is_read_and_not_written(word, other):
    assert str(ModelName.parse(f"{other}resnet44_33")) == f"{word}resnet44_33"


@given(
    st.sampled_from(CANONICAL),
    st.integers(1, MAX_SIZE),
    st.none() | st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,20}\Z"),
)
def test_writing_and_reading_are_inverse(head, size, data):
    name = ModelName(*known_prefixes()[head], size, data)
    assert ModelName.parse(str(name)) == name and hash(ModelName.parse(str(name))) == hash(name)


@given(st.text(max_size=200) | st.from_regex(FORM, fullmatch=True))
def test_any_text_is_a_name_or_a_sentence(text):
    try:
        assert ModelName.parse(str(ModelName.parse(text))) == ModelName.parse(text)
    except ModelError as error:
        said = str(error)
    else:
        return
    assert len(said) < 700
    assert any(mend in said for mend in ("p4cnn_28", "did you mean", "write for example", "expected 1 to"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("p4ccn_28", "p4cnn_28"),
        ("p4cn_27", "p4cnn_27"),
        ("p4restnet44_33", "p4resnet44_33"),
        ("gcp4resnet43_33.cifar10", "gcp4resnet44_33.cifar10"),
        ("p4mrresnet18_225", "p4mresnet18_225"),
        ("p4knigth_33", "p4knight_33"),
        ("c8ccn_29", "c8cnn_29"),
        ("gz2resnet44_33", "z2resnet44_33"),
        ("p4wrn16_29", "wrn16_29"),
    ],
)
def test_the_nearest_name_is_offered(text, meant):
    with pytest.raises(ModelError, match="did you mean") as caught:
        ModelName.parse(text)
    assert repr(text) in str(caught.value) and meant in str(caught.value)
    assert text.startswith(("p4wrn", "gz2")) or f"did you mean {meant}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("p4cnn", "says no size, which decides exactness; write for example p4cnn_28"),
        ("p4cnn_0", "asks for 0 pixels, expected 1 to 4096"),
        ("p4cnn_4097", "asks for 4097 pixels"),
        ("p4cnn_28.", "is not the name of a network"),
        ("p4cnn_28./etc/passwd", "is not the name of a network"),
        ("../p4cnn_28", "is not the name of a network"),
        ("P4CNN_28", "is not the name of a network; write for example p4cnn_28"),
        ("", "is not the name of a network"),
        ("p4cnn_28." + "x" * 10**6, "is not the name of a network"),
        ("vgg_28", "write a group"),
        (None, "'None' is not the name of a network"),
        (28, "'28' is not the name of a network"),
    ],
)
def test_what_is_no_name_is_refused_with_the_mend(text, sentence):
    with pytest.raises(ModelError, match=sentence):
        ModelName.parse(text)


@pytest.mark.parametrize(
    "parts",
    [
        ("x", "p4", "cnn", 28), ("", "c4", "cnn", 28), ("g", "p4", "cnn", 28), ("", "p4", "cnn", 28.0),
        ("", "p4", "cnn", True), ("", "p4", "cnn", 28, "../x"), ("", "p4", "wrn16", 29), ("g", "c8", "cnn", 29),
    ],
)  # fmt: skip
def test_a_name_cannot_be_made_wrong(parts):
    with pytest.raises(ModelError):
        ModelName(*parts)


def test_names_load_nothing_heavy():
    code = "import sys; import zoo.models.names; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "False"
