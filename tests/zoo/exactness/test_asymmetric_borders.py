"""Padding and cropping on one side: the audit names what did it, not the layer that comes next."""

import pytest
import torch.nn.functional as F
from torch import nn

from zoo import audit


class Crop(nn.Module):
    """A crop or a padding, given as a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def net(function, stride=1):
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Crop(function), nn.ReLU(), nn.Conv2d(4, 4, 3, stride, 1))


@pytest.mark.parametrize(
    ("function", "kind", "note"),
    [
        (lambda x: x[:, :, :-1, :-1], "cropping", "asymmetric: top 0, bottom 1, left 0, right 1"),
        (lambda x: x[..., 2:, :], "cropping", "asymmetric: top 2, bottom 0, left 0, right 0"),
        (lambda x: x.narrow(3, 1, 31), "cropping", "asymmetric: top 0, bottom 0, left 1, right 0"),
        (lambda x: x[:, :, 1:-2, 1:-1], "cropping", "asymmetric: top 1, bottom 2, left 1, right 1"),
        (lambda x: F.pad(x, (0, 1, 0, 1)), "padding", "asymmetric: top 0, bottom 1, left 0, right 1"),
        (lambda x: F.pad(x, (2, 0, 1, 1), "reflect"), "padding", "asymmetric: top 1, bottom 1, left 2, right 0"),
        (nn.ZeroPad2d((1, 0, 1, 0)), "padding", "asymmetric: top 1, bottom 0, left 1, right 0"),
        (lambda x: F.pad(x, (0, 0, 1, 1)), "padding", "asymmetric: top 1, bottom 1, left 0, right 0"),
    ],
)
def test_the_module_is_named_with_the_pixels_of_each_side(function, kind, note):
    report = audit(net(function), 32)
    (layer,) = report.layers
    named = "1.function" if isinstance(function, nn.Module) else "1"
    assert (layer.name, layer.kind, layer.note, layer.size) == (named, kind, note, (32, 32))
    why = "its grid is r = " if any(layer.residue) else "it treats height and width differently"
    assert report.first_broken is layer and f"{named} ({kind}): its input is 32x32, and {why}" in report.verdict
    (mend,) = [mend for mend in report.mends if mend.layer is not None]
    assert mend.sentence == f"{named} ({kind}): pad or crop the same number of pixels on every side"


def test_phi_counts_the_strides_before_it():
    model = nn.Sequential(nn.Conv2d(1, 1, 2, 2), Crop(lambda x: x[..., :-1, :-1]), nn.Conv2d(1, 1, 3, 2, 1))
    report = audit(model, 36)
    found = [(layer.name, layer.residue, layer.phi) for layer in report.layers]
    assert found == [("0", (0, 0), (0, 0)), ("1", (1, 1), (2, 2)), ("2", (0, 0), (2, 2))]


def test_a_window_that_is_out_of_step_itself_says_what_came_before_it():
    report = audit(net(lambda x: x[:, :, :-1, :-1], stride=2), 33)
    (layer,) = report.layers
    assert layer.name == "3" and layer.residue == (2, 2)
    assert layer.note == "asymmetric cropping in 1 before it"


@pytest.mark.parametrize(
    "function",
    [lambda x: x[:, :, 1:-1, 1:-1], lambda x: F.pad(x, (2, 2, 2, 2)), lambda x: F.pad(x, (0, 1, 0, 1))[..., :-1, :-1]],
)
def test_control_what_is_even_on_all_sides_is_not_named(function):
    report = audit(net(function), 32)
    assert report.exact and not report.layers


def test_at_the_end_of_the_network():
    report = audit(nn.Sequential(nn.Conv2d(3, 4, 3), Crop(lambda x: x[..., 1:])), 32)
    assert report.verdict.startswith(
        "approximate: at 32x32 1 (cropping): its input is 30x30, and its grid is r = 1 out of centre"
    )
