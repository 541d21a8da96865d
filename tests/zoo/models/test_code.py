"""Code of one's own: named, imported only then, and called with the facts that it takes."""

import pytest
from torch import nn

from tests.support.own_networks import own_networks
from zoo.errors import ModelError
from zoo.models.code import code_name, find_code, is_code, make_network

FACTS = {"num_classes": 3, "in_chans": 2}


@pytest.fixture
def here(tmp_path, monkeypatch):
    with own_networks(tmp_path, monkeypatch) as place:
        yield place


@pytest.mark.parametrize(
    ("text", "expected"),
    [("mynet:build", True), ("a.b.c:D.e", True), ("p4cnn_28", False), ("timm:", False), ("a b:c", False), ("", False)],
)
def test_the_form_of_code(text, expected):
    assert is_code(text) is expected


@pytest.mark.parametrize(
    ("code", "channels", "classes"),
    [("build", 2, 3), ("of_kwargs", 2, 3), ("classes_alone", 1, 3), ("Net", 1, 4), ("ready", 1, 4)],
)
def test_a_callable_gets_the_facts_that_it_takes(here, code, channels, classes):
    made = make_network(f"mynet:{code}", **FACTS)
    layers = [module for module in made.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert (layers[0].in_channels, layers[-1].out_features) == (channels, classes)


def test_a_type_error_inside_is_no_reason_to_call_again(here):
    calls = []

    def fails(**kwargs):
        calls.append(kwargs)
        raise TypeError("got an unexpected keyword argument 'depth'")

    with pytest.raises(ModelError, match=r"'fails' failed when it was called: TypeError: .*; mend that function"):
        make_network(fails, **FACTS)
    assert calls == [FACTS]


def test_what_takes_something_else_is_refused(here):
    with pytest.raises(ModelError, match=r"cannot be called with num_classes and in_chans alone .*'depth'"):
        make_network(lambda depth, num_classes: None, **FACTS)


def test_the_name_of_code(here):
    build = find_code("mynet:build")
    assert code_name(build) == "mynet:build" == code_name("mynet:build")
    assert code_name(lambda: build) is None and code_name(nn.Flatten()) is None, "nobody else could find them"
    assert (here / "imported").exists()
