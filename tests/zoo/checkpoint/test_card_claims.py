"""What a card claims in words is what the numbers and the conventions say."""

import re

import pytest
import torch

from symdata import Element, act
from tests.support import checkpoints
from tests.support.checkpoints import network, save
from tests.support.reports import evaluation
from zoo.checkpoint.card import render_card
from zoo.checkpoint.manifest import read_config
from zoo.preprocessing import Preprocessing

whole = checkpoints.whole
BAR = torch.tensor([[0, 0, 7], [0, 0, 0], [0, 0, 0]], dtype=torch.uint8).view(1, 1, 3, 3)
"""A mark in the top right corner."""


def claims(config):
    """The words in bold that say how equivariant a model is."""
    return re.findall(r"^\*\*([A-Z][^*|]*?)[.*]", render_card(config, None), re.M)


@pytest.mark.parametrize(("size", "claim"), [(20, "Exactly"), (21, "Approximately"), (22, "Exactly")])
def test_exact_and_approximate_are_told_apart(size, claim, tmp_path):
    save(
        tmp_path / "m",
        network(f"p4cnn_{size}"),
        preprocessing=Preprocessing(size, (0.13,), (0.31,)),
        golden_images=checkpoints.golden(size=size),
    )
    config = read_config(tmp_path / "m")
    assert claims(config) == [claim]
    assert config["exactness"]["exact"] == (claim == "Exactly") == (size % 2 == 0)


def test_a_degree_of_one_is_all_of_the_group_and_zero_none(whole):
    """As `zoo.layers` counts it: a strict layer has degree 1."""
    config = read_config(whole)
    config["exactness"] = config["exactness"] | {"learned": {"layers": 3, "degree": 0.25}}
    card = " ".join(render_card(config, None).split())
    assert "3 did, and keep it to degree 0.25 or more, 1 being all of it and 0 none." in card
    assert network("p4cnn_20", relax="residual").trunk.conv2.degree == 1.0
    assert claims(config) == ["As far as it learned"]


def test_angles_turn_as_the_card_says(whole):
    card = " ".join(render_card(read_config(whole), evaluation()).split())
    assert "rN turns by N degrees counter-clockwise, a trailing m mirrors left-right first" in card
    assert act(BAR, Element(90))[0, 0].nonzero().tolist() == [[0, 0]]  # top right goes to top left
    assert act(BAR, Element(90, flip=True))[0, 0].nonzero().tolist() == [[2, 0]]  # top left, then bottom left
    assert str(Element(90)) == "r90" and str(Element(90, flip=True)) == "r90m"


@pytest.mark.parametrize(("fill", "words"), [("background", "its border pixels"), ("zero", "0 after normalisation")])
def test_the_fill_is_named(whole, fill, words):
    card = " ".join(render_card(read_config(whole), evaluation(fill=fill)).split())
    assert f"what a turned image leaves open is filled with {words}." in card
