"""Model folders of networks that learned their symmetry: published, loaded, evaluated, and what their cards say."""

import math

import pytest
import torch

import zoo
from tests.support.checkpoints import SIZE, golden, network, save
from tests.support.hub_server import LoopbackHub
from zoo.checkpoint.card import render_card
from zoo.evaluation.structure import RELAXED, structure
from zoo.layers.relaxed import RELAXATIONS
from zoo.measure.learned import learned_degree
from zoo.models.registry import create

pytest_plugins = ["tests.support.hub_fixture"]

CHOICES = {
    **{word: {"relax": word} for word in RELAXATIONS if word != "none"},
    "equivariant": {"downsample": "equivariant"},
    "aps": {"downsample": "aps"},
    "averaged": {"name": "z2cnn_20", "average": "rotation,scale"},
    "paths": {"name": "z2pathcnn_20", "path": "residual-factored"},
    "steerable": {"name": "c8cnn_20", "relax": "likelihood"},
}


def made(word: str) -> torch.nn.Module:
    """A network whose learned numbers are not those of the start."""
    choices = dict(CHOICES[word])
    if "name" not in choices:
        model = network(**choices)
    else:
        model = create(choices.pop("name"), in_chans=1, width=3, num_classes=4, seed=0, **choices).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        if word == "partial":
            model.trunk.conv5.keep[0] = -1.0
    return model


@pytest.mark.parametrize("word", CHOICES)
def test_it_is_published_and_comes_back(word, hub: LoopbackHub, tmp_path):
    folder = save(tmp_path / "m", model := made(word))
    zoo.push(folder, f"user/{word}")
    back = zoo.load(f"user/{word}")
    images = golden()
    torch.testing.assert_close(back(images), model(images), rtol=0, atol=0 if word != "steerable" else 1e-4)
    if word != "steerable":  # which is published as plain filters: lambda is in them
        assert learned_degree(back).to_dict() == learned_degree(model).to_dict()
        assert back.config["architecture"] == model.architecture


@pytest.mark.parametrize("word", [word for word in RELAXATIONS if word != "none"])
def test_the_card_of_a_relaxed_network_says_how_far_it_went(word, tmp_path):
    model = zoo.load(save(tmp_path / "m", made(word)))
    said = model.config["exactness"]
    assert (
        not said["exact"]
        and not said["tied"]
        and said["learned"]["degree"] == pytest.approx(learned_degree(model).degree)
    )
    card = render_card(model.config, None)
    assert "**As far as it learned.** Its convolutions began equivariant under c4" in card
    assert f"to degree {said['learned']['degree']:.2f}" in card and "Exactly" not in card


def test_a_relaxed_network_that_stayed_is_exact(tmp_path):
    model = zoo.load(save(tmp_path / "m", network(relax="residual")))
    assert model.config["exactness"]["exact"] and "learned" not in model.config["exactness"]
    assert "**Exactly**" in render_card(model.config, None)


def test_the_card_of_learned_augmentations_names_their_ranges(tmp_path):
    model = made("averaged")
    with torch.no_grad():
        model.range.half_width.copy_(torch.tensor([math.pi / 4, math.log(2.0)]))
    card = render_card(zoo.load(save(tmp_path / "m", model)).config, None)
    assert "rotation up to 45.0 degrees, scale up to a factor of 2.00, either way" in card


@pytest.mark.parametrize("record", ["x", [], {"degree": "much", "layers": 1}, {"half_widths": ["a"]}, {"degree": 0.5}])
def test_a_card_is_rendered_from_a_record_that_is_none(record, tmp_path):
    config = zoo.load(save(tmp_path / "m", network())).config
    assert "As far as it learned" not in render_card(
        config | {"exactness": config["exactness"] | {"learned": record}}, None
    )


@pytest.mark.parametrize("word", ["residual", "averaged"])
def test_what_cannot_be_predicted_is_not_held_against_the_measurement(word):
    found = structure(made(word), torch.rand(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    assert found.agrees is None
    text = str(found)
    assert "DISAGREE" not in text and ("unknown" in text if word == "averaged" else RELAXED in text)
    strict = structure(network(), torch.rand(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    assert strict.agrees is True, "and what can is"
