"""The Lie derivative and the local equivariance error: known answers, those of scipy, and a model left as it is."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from tests.support.classifiers import Counting
from tests.support.smooth import smooth_images
from zoo.measure import GENERATORS, flow, invariance_error, lie_derivative, local_equivariance_error
from zoo.measure.motions.motion import LieDerivativeSettings, Motion

NOISE = torch.rand(6, 1, 13, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def energy(x):
    """Sum of squares: no turn changes it."""
    return x.flatten(1).square().sum(1, keepdim=True)


def small_net(channels=1, bend=nn.Tanh):
    """Smooth unless it is bent by something else."""
    layers = nn.Conv2d(channels, 6, 3), bend(), nn.Conv2d(6, 6, 3, stride=2), bend(), nn.Flatten(), nn.LazyLinear(5)
    net = nn.Sequential(*layers)
    net(torch.zeros(1, channels, 13, 13))
    return net


def radial_sums(size):
    """Sums over rings with smooth edges: as invariant as sums over pixels can be."""
    u = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    radius = (u[:, None] ** 2 + u**2).sqrt()
    rings = torch.stack([torch.exp(-((radius - centre) ** 2) / 8) for centre in (2.0, 5.0, 8.0)])
    return lambda x: x.flatten(1) @ rings.flatten(1).T


def test_an_invariant_has_less_than_a_thousandth_of_a_random_linear_map():
    x, weight = smooth_images(8, 28), torch.randn(784, 3, dtype=torch.float64) / 28
    invariant = local_equivariance_error(radial_sums(28), x)
    random = local_equivariance_error(lambda x: x.flatten(1) @ weight, x)
    assert invariant.relative.value < 1e-3 * random.relative.value
    assert invariant.value.value < 1e-3 * random.value.value
    shifted = local_equivariance_error(radial_sums(28), x, "translate_x")
    assert shifted.relative.value > 1e3 * invariant.relative.value  # in pixels, where turning is in radians


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_three_methods_agree(generator):
    net = small_net()
    values = {
        method: lie_derivative(net, NOISE, generator, method=method).values
        for method in ("central", "jvp", "double-backward")
    }
    assert torch.allclose(values["jvp"], values["double-backward"], rtol=1e-10, atol=1e-12)
    assert float((values["central"] - values["jvp"]).norm() / values["jvp"].norm()) < 1e-5


def test_weights_that_depend_on_the_image_are_derived_too():
    """Linear maps are taken twice, for values and derivatives: but not where the weights move as well."""
    free = torch.randn(4, 1, 3, 3, dtype=torch.float64)

    def dynamic(x):
        weight = free * x.mean()
        maps = nn.functional.conv2d(x, weight, bias=x.std() * weight.sum((1, 2, 3)), padding="same")
        return nn.functional.linear(maps.mean((2, 3)), weight.flatten(1).T @ weight.flatten(1) @ weight.flatten(1).T)

    jvp, check, central = (
        lie_derivative(dynamic, NOISE[:1], "scale", method=m).values for m in ("jvp", "double-backward", "central")
    )
    assert torch.allclose(jvp, check, rtol=1e-10) and torch.allclose(jvp, central, rtol=1e-4)


def test_bicubic_agrees_between_methods_and_bilinear_does_not():
    """Why bicubic is the default: bilinear interpolation has a kink at t = 0, and each method takes another slope."""
    norm = float(energy(NOISE).norm())
    found = {
        (kernel, method): lie_derivative(energy, NOISE, kernel=kernel, method=method).values
        for kernel in ("bicubic", "bilinear")
        for method in ("central", "jvp")
    }
    assert all(not values.isnan().any() for values in found.values())
    one, other = found["bicubic", "central"], found["bicubic", "jvp"]
    assert float((one - other).norm()) < 1e-5 * norm
    kinked, sided = found["bilinear", "central"], found["bilinear", "jvp"]
    assert float((kinked - sided).norm()) > 0.5 * max(float(kinked.norm()), float(sided.norm())) > 0.005 * norm
    net = small_net()
    for kernel, agrees in (("bicubic", True), ("bilinear", False)):
        central, jvp = (local_equivariance_error(net, NOISE, kernel=kernel, method=m) for m in ("central", "jvp"))
        gap = abs(jvp.value.value / central.value.value - 1)
        assert gap < 0.01 if agrees else gap > 0.5


def test_finite_differences_by_scipy_give_the_same():
    """A network in numpy, turned by scipy."""
    net = small_net().double()
    convs = [
        (m.weight.detach().numpy(), m.bias.detach().numpy()) for m in net if not isinstance(m, nn.Tanh | nn.Flatten)
    ]

    def convolve(x, weight, bias, stride):
        out = [
            b + sum(ndimage.correlate(c, k, mode="constant")[1:-1, 1:-1] for c, k in zip(x, w, strict=True))
            for w, b in zip(weight, bias, strict=True)
        ]
        return np.stack(out)[:, ::stride, ::stride]

    def forward(image):
        hidden = np.tanh(convolve(image[None], *convs[0], 1))
        hidden = np.tanh(convolve(hidden, *convs[1], 2))
        return convs[2][0] @ hidden.flatten() + convs[2][1]

    h = 1e-5
    wanted = np.zeros((len(NOISE), 5))
    for row, image in zip(wanted, NOISE[:, 0].numpy(), strict=True):
        ahead, behind = (
            forward(ndimage.rotate(image, math.degrees(t), reshape=False, order=3, mode="reflect")) for t in (h, -h)
        )
        row[:] = (ahead - behind) / (2 * h)
    found = lie_derivative(net, NOISE)
    assert torch.allclose(found.values, torch.from_numpy(wanted), rtol=1e-3, atol=1e-3 * float(np.abs(wanted).max()))
    assert not torch.allclose(found.values, -torch.from_numpy(wanted), rtol=0.5)
    error = local_equivariance_error(net, NOISE)
    squares = (wanted**2).sum(1)
    assert error.value.value == pytest.approx(squares.mean() / 5, rel=1e-3)
    assert error.value.standard_error == pytest.approx(squares.std(ddof=1) / math.sqrt(6) / 5, rel=1e-2)
    assert error.absolute.value == pytest.approx(np.abs(wanted).mean(), rel=1e-3)
    sizes = net(NOISE).detach().square().sum(1).numpy()
    ratio = squares.sum() / sizes.sum()
    assert error.relative.value == pytest.approx(ratio, rel=1e-3)
    spread = ((squares - ratio * sizes) ** 2).sum() / (6 * 5)
    assert error.relative.standard_error == pytest.approx(math.sqrt(spread) / sizes.mean(), rel=1e-2)


def test_the_scale_of_the_outputs_drops_out_of_the_relative_error():
    net = small_net()
    one, ten = (local_equivariance_error(lambda x, k=k: k * net.double()(x), NOISE) for k in (1, 10))
    assert ten.value.value == pytest.approx(100 * one.value.value)
    assert ten.relative.value == pytest.approx(one.relative.value)


def test_softmax_on_request():
    net = small_net()
    logits = lie_derivative(net, NOISE, method="jvp")
    softmax = lie_derivative(net, NOISE, method="jvp", output="softmax")
    p = logits.outputs.softmax(1)
    wanted = p * (logits.values - (p * logits.values).sum(1, keepdim=True))
    assert torch.allclose(softmax.values, wanted, atol=1e-12)
    assert torch.allclose(softmax.outputs, p)
    assert local_equivariance_error(net, NOISE, output="softmax").to_dict()["output"] == "softmax"


def test_half_images_are_the_unit_beside_pixels():
    x = torch.rand(2, 1, 10, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for name, half in (("translate_x", 8.0), ("translate_y", 5.0), ("rotation", 1.0)):
        error = local_equivariance_error(lambda x: x.flatten(1), x, name)
        assert error.per_half_image.value == pytest.approx(error.value.value * half**2)
        assert error.to_dict()["half_image"] == half


def blurred(x):
    """A wide Gaussian, which no turn changes: images to images."""
    u = torch.arange(-4, 5, dtype=x.dtype)
    kernel = torch.exp(-(u[:, None] ** 2 + u**2) / 4)
    return nn.functional.conv2d(x, kernel[None, None], padding=4)


def test_outputs_that_move_with_the_image():
    x = smooth_images(4, 28)
    skewed = nn.Conv2d(1, 1, 9, padding=4).requires_grad_(False)
    for method in ("central", "jvp"):
        blur, skew = (
            local_equivariance_error(f, x, out_action="image", method=method).relative.value for f in (blurred, skewed)
        )
        assert blur < 1e-3 * skew
        assert local_equivariance_error(lambda x: x + 0.0, x, out_action="image", method=method).value.value < 1e-15
        own = local_equivariance_error(skewed, x, out_action=lambda out, t: flow(out, "rotation", t), method=method)
        assert own.relative.value == pytest.approx(skew, rel=1e-3)
    assert local_equivariance_error(blurred, x).relative.value > 100 * blur  # what moves is not invariant


def test_outputs_on_a_coarser_grid_move_by_its_stride():
    """A border that is lost does not change the stride: 26 pixels of 28, and 12 of 26."""
    x = smooth_images(4, 28)
    for net in (nn.AvgPool2d(3, 1), nn.Sequential(nn.AvgPool2d(3, 1), nn.AvgPool2d(4, 2))):
        error = local_equivariance_error(net, x, "translate_x", out_action="image").relative.value
        scale = local_equivariance_error(net, x, "translate_x").relative.value
        assert error < 1e-2 * scale


@pytest.mark.parametrize("method", ["central", "jvp", "double-backward"])
def test_the_model_is_left_as_it_is(method):
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten(), nn.Linear(484, 3)
    )
    net.train()
    net[1].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    first = lie_derivative(net, NOISE.float(), method=method).values
    again = lie_derivative(net, NOISE.float(), method=method).values
    assert torch.equal(first, again)  # dropout is off
    assert [m.training for m in net] == [True, False, True, True, True, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad and p.dtype == torch.float32 for p in net.parameters())
    assert torch.equal(NOISE, torch.rand(6, 1, 13, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64))


class Counted(Counting):
    """Counts for all copies together: images, and the largest batch."""

    def forward(self, x):
        TOTAL[0] += len(x)
        TOTAL[1] = max(TOTAL[1], len(x))
        return self.classifier(x)


TOTAL = [0, 0]


def test_two_forwards_by_central_differences_and_four_generators_for_eight():
    net = Counted(small_net())
    TOTAL[:] = [0, 0]
    local_equivariance_error(net, NOISE.repeat(10, 1, 1, 1))
    assert TOTAL[0] <= 2 * 60 + 2  # and a rehearsal of one image, or two
    TOTAL[:] = [0, 0]
    for name in ("rotation", "translate_x", "translate_y", "scale"):
        local_equivariance_error(net, NOISE.repeat(10, 1, 1, 1), name, batch_size=7)
    assert TOTAL[0] <= 8 * 60 + 8 and TOTAL[1] == 7  # memory does not grow with the number of images


def test_batches_do_not_change_the_result():
    net = small_net()
    whole, parts = (local_equivariance_error(net, NOISE, batch_size=b) for b in (6, 4))
    assert whole.value.value == pytest.approx(parts.value.value, rel=1e-9)
    assert whole.value.standard_error == pytest.approx(parts.value.standard_error, rel=1e-6)
    assert local_equivariance_error(net, NOISE[:1]).value.standard_error is None


def test_exact_quarter_turns_say_nothing_about_small_ones():
    """The measure sees the continuous group: an average over c4 is invariant under c4 alone."""
    weight = torch.randn(13, 13, dtype=torch.float64)
    weight = sum(torch.rot90(weight, k) for k in range(4)).flatten()

    def f(x):
        return x.flatten(1) @ weight[:, None]

    assert invariance_error(f, NOISE, "c4").worst < 1e-12
    assert local_equivariance_error(f, NOISE).relative.value > 0.1


def test_results_as_plain_data():
    error = local_equivariance_error(energy, NOISE, "shear").to_dict()
    words = {"generator": "shear", "unit": "shear factor", "output": "logits", "out_action": "invariant"}
    words |= {"method": "central", "kernel": "bicubic", "padding": "reflection", "half_image": 1.0}
    assert {key: error[key] for key in words} == words
    assert set(error) - set(words) == {"value", "absolute", "relative", "per_half_image"}
    assert error["value"]["images"] == 6 and error["value"]["standard_error"] >= 0
    derivative = lie_derivative(energy, NOISE)
    assert derivative.values.shape == derivative.outputs.shape == (6, 1)
    assert derivative.to_dict()["norm"]["images"] == 6 and derivative.unit == "radian"


def test_outputs_that_move_by_a_rule_of_their_own_have_its_velocity():
    """T'_t y = (1 + 2 t) y moves at 2 y."""
    settings = LieDerivativeSettings(out_action=lambda out, t: (1 + 2 * t) * out)
    out = torch.tensor([[1.0, -3.0]], dtype=torch.float64)
    velocity = Motion(nn.Flatten(), NOISE, "rotation", settings).outputs_velocity(out)
    torch.testing.assert_close(velocity, 2 * out)
