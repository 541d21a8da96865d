"""Motions of images and their derivatives, against scipy, torch.rot90 and the equations that define them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from symdata.errors import SymmetryError
from symdata.transforms.generators import MOTIONS
from tests.support.smooth import smooth_images
from zoo.measure import GENERATORS, flow, tangent
from zoo.measure.motions.flows import KERNELS, PADDINGS, find_generator

NAMES = list(GENERATORS)
ODD = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def scipys(x, matrix, shift):
    """Every plane at `matrix (row, column) + shift` about the centre, by scipy's cubic spline."""
    centre = (np.array(x.shape[-2:]) - 1) / 2
    offset = centre - matrix @ centre + shift
    planes = x.flatten(0, 1).numpy()
    out = [ndimage.affine_transform(p, matrix, offset, order=3, mode="reflect") for p in planes]
    return torch.from_numpy(np.stack(out)).view(x.shape)


def inverse(name, t):
    """Where an output pixel comes from, (row, column), written down from what each motion is said to do."""
    c, s = math.cos(t), math.sin(t)
    return {
        "rotation": (np.array([[c, s], [-s, c]]), (0, 0)),
        "translate_x": (np.eye(2), (0, -t)),
        "translate_y": (np.eye(2), (-t, 0)),
        "scale": (np.eye(2) * math.exp(-t), (0, 0)),
        "stretch": (np.diag([math.exp(t), math.exp(-t)]), (0, 0)),
        "diagonal_stretch": (np.array([[math.cosh(t), -math.sinh(t)], [-math.sinh(t), math.cosh(t)]]), (0, 0)),
        "shear": (np.array([[1, 0], [t, 1]]), (0, 0)),  # a row further up (smaller) is read further left
    }[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("t", [0.3, -0.2])
def test_a_flow_is_what_scipy_makes_of_it(name, t):
    assert torch.allclose(flow(ODD, name, t), scipys(ODD, *inverse(name, t)), atol=1e-7)
    assert not torch.allclose(flow(ODD, name, -t), scipys(ODD, *inverse(name, t)), atol=1e-1)


@pytest.mark.parametrize("name", NAMES)
def test_a_tangent_is_scipys_central_difference(name):
    h = 1e-4
    theirs = (scipys(ODD, *inverse(name, h)) - scipys(ODD, *inverse(name, -h))) / (2 * h)
    assert torch.allclose(tangent(ODD, name), theirs, atol=1e-4)
    assert float(theirs.abs().max()) > 0.1


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_quarter_turn_is_rot90(kernel):
    x = smooth_images(3, 15)
    assert torch.allclose(flow(x, "rotation", math.pi / 2, kernel=kernel), torch.rot90(x, 1, (-2, -1)), atol=1e-12)
    assert not torch.allclose(flow(x, "rotation", -math.pi / 2, kernel=kernel), torch.rot90(x, 1, (-2, -1)), atol=0.1)


def test_following_the_tangent_for_a_quarter_turn_is_rot90():
    """exp of the generator, by Runge-Kutta on images: no warp by a finite angle is involved."""
    x = smooth_images(2, 21)
    turned, steps = x, 100
    h = math.pi / 2 / steps
    for _ in range(steps):
        a = tangent(turned, "rotation")
        b = tangent(turned + h / 2 * a, "rotation")
        c = tangent(turned + h / 2 * b, "rotation")
        d = tangent(turned + h * c, "rotation")
        turned = turned + h / 6 * (a + 2 * b + 2 * c + d)
    wanted = torch.rot90(x, 1, (-2, -1))
    assert float((turned - wanted).norm() / wanted.norm()) < 0.03
    assert float((torch.rot90(x, -1, (-2, -1)) - wanted).norm() / wanted.norm()) > 0.5


def test_whole_pixels_are_shifted_bit_for_bit_but_for_rounding():
    x = F.pad(torch.rand(1, 1, 4, 4, dtype=torch.float64), (3, 3, 3, 3))
    assert torch.allclose(flow(x, "translate_x", 2.0), x.roll(2, -1), atol=1e-12)
    assert torch.allclose(flow(x, "translate_y", -3.0), x.roll(-3, -2), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("padding", PADDINGS)
def test_a_tangent_is_the_derivative_of_its_flow(name, padding):
    h = 1e-5
    slope = (flow(ODD, name, h, padding=padding) - flow(ODD, name, -h, padding=padding)) / (2 * h)
    assert torch.allclose(tangent(ODD, name, padding=padding), slope, atol=1e-6)
    assert torch.allclose(flow(ODD, name, 0.0, padding=padding), ODD, atol=1e-12)


def test_bilinear_has_a_kink_where_bicubic_has_none():
    h = 1e-6
    for kernel, smooth in (("bicubic", True), ("bilinear", False)):
        ahead = (flow(ODD, "translate_x", h, kernel=kernel) - ODD) / h
        behind = (ODD - flow(ODD, "translate_x", -h, kernel=kernel)) / h
        assert torch.allclose(ahead, behind, atol=1e-3) is smooth
        assert torch.allclose(tangent(ODD, "translate_x", kernel=kernel), behind, atol=1e-3)


def test_the_slope_of_a_smooth_wave_is_right_and_that_of_torchs_cubic_is_not():
    u = torch.arange(64, dtype=torch.float64) - 31.5
    wave, slope = torch.sin(0.4 * u), 0.4 * torch.cos(0.4 * u)
    x = wave.expand(1, 1, 64, 64)
    ours = -tangent(x, "translate_x")[0, 0, 32, 16:48]
    assert torch.allclose(ours, slope[16:48], rtol=0.01, atol=1e-3)
    h = 1e-5  # in grid units, over half an image of 32 pixels
    shift = torch.tensor([[[1.0, 0.0, 2 * h / 64], [0.0, 1.0, 0.0]]], dtype=torch.float64)
    grid = F.affine_grid(shift, [1, 1, 64, 64], align_corners=False)
    torchs = (F.grid_sample(x, grid, mode="bicubic", align_corners=False) - x)[0, 0, 32, 16:48] / h
    assert float((torchs / ours).median()) == pytest.approx(1.5 * math.sin(0.4) / 0.4, rel=0.01)


@pytest.mark.parametrize(("padding", "mode"), [("border", "edge"), ("zeros", "constant"), ("reflection", "symmetric")])
def test_what_lies_outside(padding, mode):
    wide = torch.from_numpy(np.pad(ODD.numpy(), ((0, 0), (0, 0), (20, 20), (20, 20)), mode=mode))
    wanted = flow(wide, "translate_x", 3.7)[..., 20:-20, 20:-20]
    assert torch.allclose(flow(ODD, "translate_x", 3.7, padding=padding), wanted, atol=1e-6)
    far = flow(ODD, "translate_x", 80.0, padding=padding)
    if padding == "zeros":
        assert float(far.abs().max()) < 1e-6
    if padding == "border":
        assert torch.allclose(far, ODD[..., :1].expand(ODD.shape), atol=1e-6)


def test_a_shift_on_a_coarser_grid_is_shorter():
    x = smooth_images(1, 16)
    assert torch.allclose(flow(x, "translate_x", 3.0, pixel=(2.0, 4.0)), flow(x, "translate_x", 0.75), atol=1e-12)
    assert torch.allclose(flow(x, "translate_y", 3.0, pixel=(2.0, 4.0)), flow(x, "translate_y", 1.5), atol=1e-12)
    assert torch.equal(tangent(x, "rotation", pixel=(4.0, 4.0)), tangent(x, "rotation"))


def test_units():
    assert {name: GENERATORS[name].unit for name in MOTIONS} == {
        "rotation": "radian",
        "translate_x": "pixel",
        "translate_y": "pixel",
        "scale": "log-scale",
        "shear": "shear factor",
    }
    halves = {name: GENERATORS[name].per_half_image((20, 28)) for name in MOTIONS}
    assert halves == {"rotation": 1, "scale": 1, "translate_x": 14, "translate_y": 10, "shear": pytest.approx(1.4)}
    assert GENERATORS["rotation"].fastest((9, 9)) == pytest.approx(4 * math.sqrt(2))
    assert GENERATORS["translate_x"].fastest((9, 9)) == 1.0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mirror", "'mirror' has no generator: a mirror cannot be done by degrees; measure its orbit instead"),
        ("reflection", "has no generator"),
        (
            "spin",
            "'spin' is no generator; expected one of rotation, translate_x, translate_y, scale, stretch, diagonal_str",
        ),
    ],
)
def test_generators_that_do_not_exist(name, sentence):
    with pytest.raises(SymmetryError, match=sentence):
        find_generator(name)


def test_an_earlier_spelling_is_read():
    assert find_generator("translate-y") is GENERATORS["translate_y"]
    assert torch.equal(flow(ODD, "translate-x", 1.5), flow(ODD, "translate_x", 1.5))


def test_kernels_and_paddings_that_do_not_exist():
    with pytest.raises(SymmetryError, match="kernel is 'nearest', expected one of bicubic, bilinear"):
        flow(ODD, "rotation", 1.0, kernel="nearest")
    with pytest.raises(SymmetryError, match="padding is 'wrap', expected one of reflection, border, zeros"):
        tangent(ODD, "rotation", padding="wrap")
