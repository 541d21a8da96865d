"""Orbit error of ensembles: what it is where the answer is known, and what it refuses."""

import math

import pytest
import torch
from torch import nn

import zoo
from symdata.errors import SymmetryError
from zoo.errors import ModelError
from zoo.measure import ensemble_error


class Noisy(nn.Module):
    """Logits of one pattern for all images, and independent noise for every image and orientation of it."""

    def __init__(self, seed, size=0.02):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("noise", size * torch.randn(4, 64, 3, generator=generator))
        self.register_buffer("pattern", torch.tensor([3.0, 1.0, 2.0]))

    def forward(self, x):
        # Each image carries its number in the centre and a mark in one corner, which tells its turn.
        corners = torch.stack([x[:, 0, 0, 0], x[:, 0, -1, 0], x[:, 0, -1, -1], x[:, 0, 0, -1]], 1)
        return self.pattern + self.noise[corners.argmax(1), x[:, 0, 1, 1].long()]


def marked(n=64):
    images = torch.zeros(n, 1, 3, 3)
    images[:, 0, 0, 0], images[:, 0, 1, 1] = 100.0, torch.arange(n).float()
    return images


def test_the_error_of_independent_networks_falls_as_one_over_root_k():
    found = ensemble_error([Noisy(seed) for seed in range(16)], marked(), "c4", output="logits")
    assert list(found.errors) == [1, 2, 4, 8, 16]
    assert [len(errors) for errors in found.errors.values()] == [16, 8, 4, 2, 1]
    assert found.slope == pytest.approx(-0.5, abs=0.05)
    expected = math.sqrt(2 * 3) * 0.02 / math.sqrt(14)  # two draws of noise in 3 numbers, over |(3, 1, 2)|
    assert sum(found.errors[1]) / 16 == pytest.approx(expected, rel=0.05)


def test_the_same_network_many_times_is_no_better_than_once():
    found = ensemble_error([Noisy(0)] * 4, marked(), "c4", output="logits")
    single = found.errors[1][0]
    assert found.errors[4][0] == pytest.approx(single) and abs(found.slope) < 1e-9


def test_equivariant_networks_have_no_error_and_no_slope_is_made_up():
    class Centre(nn.Module):
        def forward(self, x):
            return x[:, 0, 1, 1:2] * torch.tensor([1.0, 2.0]).to(x)

    found = ensemble_error([Centre(), Centre()], marked(), "d4")
    assert all(error == 0 for errors in found.errors.values() for error in errors)
    assert found.slope is None and "slope" in found.to_dict()


def test_networks_of_the_zoo_and_no_model_is_changed():
    models = [zoo.create("z2cnn_12", width=8, in_chans=1, seed=k).train() for k in range(3)]
    before = [p.clone() for model in models for p in model.state_dict().values()]
    images = torch.randn(6, 1, 12, 12)
    found = ensemble_error(models, images, "c4", sizes=(1, 3), batch_size=4)
    assert all(
        torch.equal(a, b) for a, b in zip(before, [p for m in models for p in m.state_dict().values()], strict=True)
    )
    assert all(model.training for model in models)
    assert [len(errors) for errors in found.errors.values()] == [3, 1] and found.errors[1][0] > 1e-7
    whole = ensemble_error(models, images, "c4", sizes=(1, 3))
    assert whole.errors[3][0] == pytest.approx(found.errors[3][0], rel=1e-9), "the size of a batch changes nothing"


def test_it_prints_draws_and_is_plain_data():
    found = ensemble_error([Noisy(seed) for seed in range(4)], marked(), "c4", output="logits")
    text = str(found)
    assert "change of the mean logits of K networks under r90, r180, r270" in text
    assert f"log error falls as {found.slope:+.2f} log K" in text
    assert found.to_dict()["errors"].keys() == {"1", "2", "4"} and found.to_dict()["images"] == 64
    assert len(found.plot().axes[0].lines) == 2 and len(found.to_pandas())


def test_bad_input_is_refused():
    pair = [Noisy(0), Noisy(1)]
    with pytest.raises(ModelError, match="at least 2 networks, and 1 came"):
        ensemble_error(pair[:1], marked())
    with pytest.raises(ModelError, match="K is 3, expected 1 to 2"):
        ensemble_error(pair, marked(), sizes=(1, 3))
    with pytest.raises(ModelError, match="sizes is empty, expected values of K from 1 to 2"):
        ensemble_error(pair, marked(), sizes=())
    with pytest.raises(ModelError, match="the identity alone"):
        ensemble_error(pair, marked(), "c1")
    with pytest.raises(SymmetryError, match="so2"):
        ensemble_error(pair, marked(), "so2")
    few = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    with pytest.raises(ModelError, match="network 1 has 2 outputs, and the first has 3"):
        ensemble_error([Noisy(0), few], marked())
