"""The chain rule: the terms of all layers add up to the Lie derivative, and each is what it is said to be."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from zoo import ModelError
from zoo.measure import layerwise_equivariance_error, lie_derivative
from zoo.measure.maps import ImageFrame

NOISE = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def three_layers():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, 2, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 5, 6),
        nn.Flatten(),
    )


class Residual(nn.Module):
    """A branch around two convolutions, a sum, a ReLU that runs twice and works in place, a concatenation."""

    def __init__(self):
        super().__init__()
        self.stem, self.one, self.two = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.relu, self.drop, self.pool = nn.ReLU(inplace=True), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x)
        y = x + self.drop(self.two(self.relu(self.one(torch.tanh(x)))))
        y = torch.cat([self.relu(y.clone()), x], 1)
        return self.head(self.pool(y).flatten(1))


class Attention(nn.Module):
    """A transformer: patches, class token, positions, blocks, head."""

    def __init__(self):
        super().__init__()
        self.patch, self.start = nn.Conv2d(1, 8, 3, 3), nn.Parameter(torch.randn(1, 1, 8))
        self.place = nn.Parameter(torch.randn(1, 17, 8))
        self.look, self.block = (
            nn.MultiheadAttention(8, 2, batch_first=True),
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True),
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        tokens = torch.cat([self.start.expand(len(x), -1, -1), self.patch(x).flatten(2).mT], 1) + self.place
        tokens = tokens + self.look(tokens, tokens, tokens)[0]
        return self.head(self.block(tokens)[:, 0])


NETS = {"three layers": three_layers, "residual": Residual, "attention": Attention}


@pytest.mark.parametrize("generator", ["rotation", "translate_x", "scale"])
@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
def test_the_terms_add_up_to_the_derivative_of_the_whole(make, generator):
    net = make()
    found = layerwise_equivariance_error(net, NOISE, generator)
    assert found.gap < 1e-12 and found.probes is None
    assert sum(layer.share.value for layer in found.layers) == pytest.approx(1.0, abs=1e-9)
    whole = lie_derivative(net, NOISE, generator, method="jvp").values
    assert found.total.value == pytest.approx(float(whole.square().mean()), rel=1e-9)
    central = lie_derivative(net, NOISE, generator).values
    assert float((central - whole).norm() / whole.norm()) < 1e-2
    parts = sum(layer.value.value for layer in found.layers)
    assert max(layer.value.value for layer in found.layers) < parts != pytest.approx(found.total.value, rel=1e-3)


def turned(maps, degrees):
    """Every plane of (C, H, W), by scipy."""
    return np.stack([ndimage.rotate(p, degrees, reshape=False, order=3, mode="reflect") for p in maps])


def test_each_term_of_a_chain_is_that_of_finite_differences():
    """D f_{>i} (d/dt f_i(T_t z) - d/dt T_t f_i(z)), every derivative by differences, every turn by scipy."""
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Conv2d(3, 3, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(48, 2))
    found = layerwise_equivariance_error(net, NOISE)
    work, h = net.double(), 1e-5

    def speed(z):
        """How fast a map (1, C, H, W) should move; a vector should not."""
        if z.ndim != 4:
            return torch.zeros_like(z)
        ahead, behind = (turned(z[0].numpy(), np.degrees(t)) for t in (h, -h))
        return torch.from_numpy((ahead - behind) / (2 * h))[None]

    def along(f, z, v):
        return (f(z + h * v) - f(z - h * v)) / (2 * h)

    squares, shares, total = [[] for _ in net], [[] for _ in net], []
    with torch.no_grad():
        for x in NOISE.split(1):
            z, terms = x, []
            whole = along(work, x, speed(x))
            for i, layer in enumerate(work):
                failure = along(layer, z, speed(z)) - speed(layer(z))
                z = layer(z)
                terms.append(along(work[i + 1 :], z, failure) if i + 1 < len(work) else failure)
            assert torch.allclose(sum(terms), whole, atol=1e-5)
            total.append(float(whole.square().sum()))
            for i, term in enumerate(terms):
                squares[i].append(float(term.square().sum()) / 2)
                shares[i].append(float((term * whole).sum()))
    for i, layer in enumerate(found.layers[:-1]):
        assert (layer.name, layer.kind) == (str(i), type(net[i]).__name__)
        assert layer.value.value == pytest.approx(np.mean(squares[i]), rel=1e-3, abs=1e-9)
        assert layer.share.value == pytest.approx(np.sum(shares[i]) / np.sum(total), rel=1e-2, abs=1e-4)
        assert layer.value.standard_error == pytest.approx(np.std(squares[i], ddof=1) / 3**0.5, rel=1e-2, abs=1e-9)
    last = found.layers[-1]
    assert (last.name, last.kind, last.value.value) == ("", "Sequential", 0.0)


def test_layers_that_move_with_the_image_add_nothing_and_others_do():
    class Rolled(nn.Module):
        def forward(self, x):
            return x.roll(3, -1)

    net = nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), Rolled(), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(288, 2)
    )
    values = {layer.kind: layer.value.value for layer in layerwise_equivariance_error(net, NOISE).layers}
    assert values["BatchNorm2d"] < 1e-20 * values["Rolled"] and values["Linear"] < 1e-20 * values["Rolled"]
    assert values["Flatten"] > 1e-3 * values["Rolled"]  # that is where space ends, and motion should have ended before
    without = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(288, 2))
    values = {layer.name: layer.value.value for layer in layerwise_equivariance_error(without, NOISE).layers}
    assert max(values["0"], values["1"]) < 1e-20 * values["2"]


def test_modules_that_run_twice_have_a_term_for_each_run():
    """Dropout is off: it hands on what it gets, and is no term."""
    names = [layer.name for layer in layerwise_equivariance_error(Residual(), NOISE).layers]
    assert names == ["stem", "one", "relu", "two", "relu#2", "pool", "head", ""]


def test_containers_count_once_and_attention_counts():
    found = layerwise_equivariance_error(Attention(), NOISE)
    names = [layer.name for layer in found.layers]
    assert {"patch", "look", "block.self_attn", "block.linear1", "block", "head"} <= set(names)
    nested = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten(), nn.Linear(200, 2))
    assert [layer.name for layer in layerwise_equivariance_error(nested, NOISE).layers] == ["0.0", "0.1", "1", "2", ""]


def test_tokens_are_a_grid_and_a_hook_may_say_which():
    net = Attention()
    default = {layer.name: layer.value.value for layer in layerwise_equivariance_error(net, NOISE).layers}

    def grid(features):
        """The same by hand."""
        if features.ndim != 3:
            return features if features.ndim == 4 else None
        return features[:, 1:].unflatten(1, (4, 4)).permute(0, 3, 1, 2)

    own = {l.name: l.value.value for l in layerwise_equivariance_error(net, NOISE, to_grid=grid).layers}  # noqa: E741
    assert own == pytest.approx(default)
    maps = layerwise_equivariance_error(net, NOISE, to_grid=lambda f: f if f.ndim == 4 else None)
    assert maps.gap < 1e-12  # any choice adds up
    assert {layer.name: layer.value.value for layer in maps.layers} != pytest.approx(default, rel=1e-2)
    with pytest.raises(ModelError, match=r"to_grid made \(3, 8, 16\) of .* expected \(B, C, h, w\), or None"):
        layerwise_equivariance_error(net, NOISE, to_grid=lambda f: f.flatten(2) if f.ndim == 4 else None)


def test_random_probes_come_near_to_all_outputs():
    exact = layerwise_equivariance_error(three_layers(), NOISE)
    torch.manual_seed(0)
    probed = layerwise_equivariance_error(three_layers(), NOISE, probes=600)
    assert probed.probes == 600 and probed.gap < 1e-12
    for one, other in zip(exact.layers, probed.layers, strict=True):
        assert other.value.value == pytest.approx(one.value.value, rel=0.25, abs=1e-3 * exact.total.value)
    wide = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())  # 200 outputs
    assert layerwise_equivariance_error(wide, NOISE[:1]).probes == 100
    with pytest.raises(ModelError, match="probes is 0"):
        layerwise_equivariance_error(wide, NOISE, probes=0)


def test_a_derivative_that_is_wrong_leaves_a_gap():
    """The sum is a check and no tautology: forward and backward come from different code."""

    class Crooked(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return 2 * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def jvp(ctx, along):
            return 2 * along

        @staticmethod
        def backward(ctx, gradient):
            return 3 * gradient

    class Layer(nn.Module):
        def forward(self, x):
            return Crooked.apply(x)

    net = nn.Sequential(nn.Conv2d(1, 4, 3), Layer(), nn.Conv2d(4, 2, 10), nn.Flatten())
    assert layerwise_equivariance_error(net, NOISE).gap > 0.01


def test_a_shift_by_a_pixel_is_a_shift_by_a_pixel_over_the_stride(monkeypatch):
    """A convolution without padding loses a border and keeps its stride: what is inside moves with the image."""
    u = torch.arange(28, dtype=torch.float64) - 13.5
    x = torch.exp(-(u[:, None] ** 2 + u**2) / 10)[None, None]
    net = nn.Sequential(nn.Conv2d(1, 3, 7), nn.AvgPool2d(2), nn.Conv2d(3, 3, 3), nn.Flatten(), nn.Linear(243, 2))
    for conv in (net[0], net[2]):  # a pixel in the middle of its window
        conv.weight.data *= nn.functional.pad(torch.ones(1, 1), (conv.kernel_size[0] // 2,) * 4)
    frame = ImageFrame.of(net, x)
    maps = [torch.zeros(1, 3, n, n) for n in (22, 11, 9)]
    assert [frame.pixel(m) for m in maps] == [(1.0, 1.0), (2.0, 2.0), (2.0, 2.0)]
    assert ImageFrame((28, 28)).pixel(maps[0]) == pytest.approx((28 / 22, 28 / 22))

    def values():
        return {layer.name: layer.value.value for layer in layerwise_equivariance_error(net, x, "translate_x").layers}

    traced = values()
    monkeypatch.setattr(ImageFrame, "of", lambda model, inputs: ImageFrame((28, 28)))  # by the ratio of the sizes
    scaled = values()
    assert traced["0"] < 1e-3 * scaled["0"] and traced["2"] < 0.05 * scaled["2"]


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ModelError, match="a function has no layers"):
        layerwise_equivariance_error(lambda x: x.flatten(1), NOISE)
    with pytest.raises(ModelError, match="method is 'central', and the terms of layers need derivatives"):
        layerwise_equivariance_error(three_layers(), NOISE, method="central")


def test_results_as_plain_data():
    net = three_layers().train()
    found = layerwise_equivariance_error(net, NOISE, "shear", output="softmax", batch_size=2).to_dict()
    assert found["unit"] == "shear factor" and found["output"] == "softmax" and found["total"]["images"] == 3
    assert [layer["name"] for layer in found["layers"]] == ["0", "1", "2", "3", "4", "5", ""]
    assert set(found["layers"][0]) == {"name", "kind", "value", "share"}
    assert net.training and all(p.grad is None for p in net.parameters())
