"""Which outputs of layers are maps, and where their channels are."""

import numpy as np
import pytest
import torch
from torch import nn

from zoo.measure import layerwise_equivariance_error
from zoo.measure.maps import Layouts, default_grid

NOISE = torch.randn(3, 1, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((2, 16, 5), (2, 5, 4, 4)),
        ((2, 17, 5), (2, 5, 4, 4)),
        ((2, 5, 7, 6), (2, 5, 7, 6)),
        ((2, 18, 5), None),
        ((2, 15, 5), None),
        ((2, 16, 1), None),
        ((2, 5), None),
    ],
)
def test_the_default_grid(shape, grid):
    features = torch.arange(float(np.prod(shape))).view(shape)
    found = default_grid(features)
    assert (None if found is None else tuple(found.shape)) == grid
    if len(shape) == 3 and grid:
        assert torch.equal(found[1, :, 2, 3], features[1, shape[1] - 16 + 2 * 4 + 3])


class LayerNorm2d(nn.LayerNorm):
    """Permutes on its way, as several libraries have it."""


@pytest.mark.parametrize(
    ("module", "shape", "plain", "mixed"),
    [
        (nn.GELU(), (2, 5, 4, 4), "first", "first"),
        (nn.GELU(), (2, 4, 4, 5), "last", "last"),
        (nn.GELU(), (2, 4, 4, 4), "first", None),
        (nn.GELU(), (2, 5, 4, 3), "first", None),
        (nn.Conv2d(1, 4, 1), (2, 4, 4, 4), "first", "first"),
        (nn.Conv2d(1, 4, 1), (2, 4, 4, 5), "first", "first"),
        (nn.Linear(4, 4), (2, 4, 4, 4), "last", "last"),
        (nn.LayerNorm(4), (2, 4, 4, 4), "last", "last"),
        (nn.LayerNorm((4, 4)), (2, 4, 4, 4), "first", None),
        (LayerNorm2d(4), (2, 4, 4, 4), "first", None),
        (LayerNorm2d(5), (2, 5, 4, 4), "first", "first"),
    ],
)
def test_where_the_channels_are(module, shape, plain, mixed):
    features = torch.randn(shape)
    maps = {"first": features, "last": features.permute(0, 3, 1, 2), None: None}
    for is_plain, expected in ((True, maps[plain]), (False, maps[mixed])):
        found = Layouts(square=True, plain=is_plain, tokens=True)(features, module)
        assert (found is None) == (expected is None) and (found is None or torch.equal(found, expected))
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU())
    assert Layouts.of(net, NOISE).plain and not Layouts.of(nn.Sequential(net, LayerNorm2d(4)), NOISE).plain


def test_shapes_of_images_that_are_not_square_say_nothing():
    oblong = Layouts(square=False, plain=True, tokens=True)
    features = torch.randn(2, 8, 8, 4)  # 8 channels of 8x4 pixels
    assert oblong(features, nn.ReLU()) is features
    assert torch.equal(oblong(features, nn.Linear(4, 4)), features.permute(0, 3, 1, 2))


def test_channels_last_move_as_channels_first():
    """The same layers in both layouts: every term is the same."""

    class Mixed(nn.Module):
        def __init__(self, last):
            super().__init__()
            self.last, self.conv, self.act = last, nn.Conv2d(1, 3, 3, padding=1), nn.GELU()
            self.head = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            x = self.conv(x)
            x = self.act(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if self.last else self.act(x)
            return self.head(x).mean((2, 3))

    first, last = Mixed(False), Mixed(True)
    last.load_state_dict(first.state_dict())
    terms = [[term.value.value for term in layerwise_equivariance_error(net, NOISE).layers] for net in (first, last)]
    assert terms[0] == pytest.approx(terms[1], rel=1e-9) and terms[0][0] > 0
