"""Elements off the lattice: against an independent computation, about the right point, in the right direction."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.geometry.transform import rotate

from symdata import Element, Elements, Group, act
from symdata.errors import SymmetryError
from symdata.transforms.fine_grid import FINE_KERNELS
from symdata.transforms.resampling import KERNELS, PADDINGS, VERSIONS, Resampling
from symdata.transforms.warp import disk
from tests.support import interpolation
from tests.support.pixels import by_definition, centre_of_mass, letter_f, moved_point, noise, smooth
from tests.support.steerable import require_escnn

D4 = Group.parse("d4")
SLACK = {"nearest": 0.2, "bicubic": 0.05}  # pixels; torch's cubic does not reproduce linear functions
ANGLES = [0.0, 17.0, 45.0, 90.0, 123.4, 180.0, 271.5]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(8, 8), (9, 9), (7, 10)], ids=str)
def test_every_kernel_against_an_independent_computation(kernel, padding, shape):
    image = noise(1, 1, *shape, dtype=torch.float64)
    angles = ANGLES if kernel != "nearest" else [17.0, 123.4, 271.5]  # at the others some pixels are halfway
    for angle, flip in itertools.product(angles, (False, True)):
        ours = act(image, Element(angle, flip), resample=kernel, padding=padding, mask="none")[0, 0].numpy()
        theirs = interpolation.moved(image[0, 0].numpy(), angle, flip, kernel, padding)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
        single = act(image.float(), Element(angle, flip), resample=kernel, padding=padding, mask="none")[0, 0]
        np.testing.assert_allclose(single.numpy(), theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("supersample", [2, 3])
def test_supersampling_averages_sub_pixels(n, supersample):
    image = noise(1, 1, n, n, dtype=torch.float64)
    for angle, flip in itertools.product(ANGLES, (False, True)):
        ours = act(image, Element(angle, flip), supersample=supersample, mask="none")[0, 0].numpy()
        theirs = interpolation.moved(image[0, 0].numpy(), angle, flip, "bilinear", supersample=supersample)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("angle", [10.0, 45.0, 200.0])
def test_supersampling_is_up_rotate_and_down(angle):
    images = smooth(28, 4)
    large = F.interpolate(images, scale_factor=3, mode="bilinear", align_corners=False)
    turned = act(large, Element(angle), resample="bilinear", mask="none")
    down = F.interpolate(turned, scale_factor=1 / 3, mode="area")
    ours = act(images, Element(angle), supersample=3, mask="none")
    assert (ours - down).abs().max() < 0.01
    assert (ours - act(images, Element(-angle), supersample=3, mask="none")).abs().max() > 0.1


def test_the_computation_agrees_with_kornia():
    images = noise(7, 2, 21, 21)
    angles = torch.tensor(ANGLES)
    theirs = rotate(images, angles, mode="bilinear", padding_mode="zeros", align_corners=False)
    ours = act(images, [Element(a) for a in ANGLES], resample="bilinear", padding="zeros", mask="none")
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize("n", [27, 28])
def test_multiples_of_90_degrees_agree_with_rot90(n):
    images = noise(8, 2, n, n, dtype=torch.uint8)
    exact = torch.cat([by_definition(images[i : i + 1], e.angle, e.flip) for i, e in enumerate(D4.elements)])
    for kernel in ("bilinear", "bicubic", "nearest"):
        assert act(images, D4.elements, resample=kernel, mask="none").equal(exact)
        torch.testing.assert_close(
            act(images.float(), D4.elements, resample=kernel, mask="none"), exact.float(), rtol=0, atol=2e-3
        )
    for kernel in (*FINE_KERNELS, "spline"):  # which blur
        assert not act(images, D4.elements, resample=kernel, mask="none").equal(exact)


@pytest.mark.parametrize("mask", ["disk", "none"])
@pytest.mark.parametrize("kernel", [*FINE_KERNELS, "spline", "bilinear", "bicubic"])
def test_the_warp_commutes_with_the_lattice(kernel, mask):
    """Images moved by h of d4 and then by g, by g h at once, and by g and then by h."""
    images, options = noise(1, 1, 15, 15, dtype=torch.float64), {"resample": kernel, "mask": mask}
    for h, g in itertools.product(D4.elements, (Element(0), Element(33.0), Element(250.0, flip=True))):
        torch.testing.assert_close(act(act(images, h), g, **options), act(images, g @ h, **options), rtol=0, atol=1e-9)
        torch.testing.assert_close(act(act(images, g, **options), h), act(images, h @ g, **options), rtol=0, atol=1e-9)
    wrong = act(act(images, Element(90)), Element(33, flip=True), **options)
    assert not torch.allclose(wrong, act(images, Element(90) @ Element(33, flip=True), **options), atol=0.1)


@pytest.mark.parametrize("kernel", [*KERNELS, "supersample"])
@pytest.mark.parametrize("n", [28, 29])
def test_a_bright_spot_goes_where_it_should(n, kernel):
    """Direction and centre, by the centre of mass of a blob beside the centre, at odd and even sizes."""
    options = {"supersample": 3} if kernel == "supersample" else {"resample": kernel}
    y, x = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    image = torch.exp(-((x - 18.3) ** 2 + (y - 9.6) ** 2) / 8.0)[None, None]
    start = centre_of_mass(image[0, 0])
    for angle, flip in itertools.product((0.0, 30.0, 77.7, 90.0, 200.0, 359.0), (False, True)):
        got = centre_of_mass(act(image, Element(angle, flip), **options)[0, 0])
        assert got == pytest.approx(moved_point(*start, angle, flip, n), abs=SLACK.get(kernel, 0.005))


@pytest.mark.parametrize("n", [9, 10])
def test_the_centre_stays(n):
    image = torch.zeros(1, 1, n, n)
    image[..., (n - 1) // 2 : n // 2 + 1, (n - 1) // 2 : n // 2 + 1] = 1.0
    for angle in ANGLES:
        moved = act(image, Element(angle), mask="none")[0, 0]
        assert centre_of_mass(moved) == pytest.approx(((n - 1) / 2, (n - 1) / 2), abs=1e-4)


@settings(max_examples=40)
@given(*[st.builds(Element, st.floats(0.0, 360.0), st.booleans())] * 2)
def test_the_action_is_a_homomorphism_up_to_interpolation(g, h):
    images, options = smooth(32, 2), {"resample": "bicubic", "mask": "none"}
    twice, once = act(act(images, h, **options), g, **options), act(images, g @ h, **options)
    assert (twice - once).abs().max() < 0.1
    back = act(act(images, g, **options), ~g, **options)
    assert (back - images).abs().max() < 0.1


def test_the_wrong_order_of_composition_is_caught():
    images, g, h = smooth(32, 2), Element(40), Element(0, flip=True)
    wrong = act(images, h @ g, resample="bicubic", mask="none")
    assert (act(act(images, h), g, resample="bicubic", mask="none") - wrong).abs().max() > 0.3


def weights(kernel, element, n=13, **options):
    """(n n, n n): weight of each source pixel (column) in an output pixel (row), from n n impulses."""
    impulses = torch.eye(n * n, dtype=torch.float64).view(n * n, 1, n, n)
    return act(impulses, element, resample=kernel, mask="none", **options).view(n * n, n * n).T.numpy()


def moments(kernel, element, n=13):
    """Sum, error of the mean, and covariance of the weights of each inner output pixel."""
    table, centre = weights(kernel, element, n), (n - 1) / 2
    y, x = (c.ravel() for c in np.mgrid[:n, :n])
    points = np.stack([x, y], 1)
    rows = np.hypot(x - centre, y - centre) <= centre - 2.5
    mean = table @ points
    back = ~element
    expected = np.array([moved_point(*p, back.angle, back.flip, n) for p in points])
    second = np.einsum("pk,ki,kj->pij", table, points, points) - mean[:, :, None] * mean[:, None]
    return table.sum(1)[rows], (mean - expected)[rows], second[rows]


@pytest.mark.parametrize("element", [Element(0), Element(17), Element(45), Element(123.4, flip=True)], ids=str)
def test_the_spline_blurs_every_element_alike(element):
    """Weights sum to 1 and have mean t and covariance 5/12 pixel^2, for every angle and pixel."""
    total, bias, covariance = moments("spline", element)
    np.testing.assert_allclose(total, 1.0, atol=1e-12)
    np.testing.assert_allclose(bias, 0.0, atol=1e-12)
    np.testing.assert_allclose(covariance, np.broadcast_to(np.eye(2) * 5 / 12, covariance.shape), atol=1e-12)


@pytest.mark.parametrize("name", FINE_KERNELS)
def test_fine_kernels_have_the_same_power_on_and_between_pixels(name):
    """At low frequencies power is 1 - variance w^2: the variance at offset 0 is the mean over all offsets."""
    offsets = (np.arange(600) + 0.5) / 600
    taps = np.arange(-3, 5)
    weights = interpolation.KERNELS[name](offsets[:, None] - taps)  # (600, 8)
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-12)
    np.testing.assert_allclose(weights @ taps, offsets, atol=1e-12)
    variance = weights @ taps**2 - offsets**2
    on = 2.0 * FINE_KERNELS[name].on
    assert on == pytest.approx(variance.mean(), abs=0.002) and on == pytest.approx(0.44, abs=0.015)
    between = 1 / FINE_KERNELS[name].steps
    skewness = interpolation.KERNELS[name](between - taps) @ (taps - between) ** 3
    assert skewness == pytest.approx(0.0, abs=1e-12)
    table = moments(name, Element(0))[2]
    np.testing.assert_allclose(table, np.broadcast_to(np.eye(2) * on, table.shape), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("halves", -0.4, 0.1), ("thirds", -0.4, 0.1), ("spline", -0.75, 0.0)]
)
def test_the_power_spectrum_hardly_depends_on_the_offset(name, least, most):
    """Mean power over all offsets, over power at offset 0, up to 0.45 periods per pixel; the spline loses half."""
    f, offsets, taps = np.linspace(0.02, 0.45, 44), np.arange(60) / 60, np.arange(-4, 6)
    weights = interpolation.KERNELS[name](offsets[:, None] - taps)
    power = np.abs(weights @ np.exp(2j * np.pi * np.outer(taps, f))) ** 2
    ratio = np.log(power.mean(0) / power[0])
    assert least < ratio.min() and ratio.max() < most
    assert (np.abs(ratio).max() > 0.4) == (name == "spline")


def test_the_weights_of_a_version_do_not_change():
    """Datasets are derived again with them: another weight is another version."""
    said = {name: (k.steps, round(k.on, 6), round(k.heavy, 6), round(k.light, 6)) for name, k in FINE_KERNELS.items()}
    assert said == {"halves": (2, 0.2225, 0.055, 0.055), "thirds": (3, 0.215037, 0.108556, 0.053)}
    assert VERSIONS == {"halves": 1, "thirds": 1}


def test_bilinear_weights_do_not():
    """Negative control: the variance is 0 on the lattice and up to 1/4 off it, which reveals a rotation."""
    assert np.abs(moments("bilinear", Element(0))[2]).max() < 1e-12
    spread = moments("bilinear", Element(17))[2][:, 0, 0]
    assert spread.max() > 0.2 and spread.min() < 0.05


@pytest.mark.parametrize("kernel", [*KERNELS, "supersample"])
def test_a_constant_image_stays_constant(kernel):
    options = {"supersample": 3} if kernel == "supersample" else {"resample": kernel}
    images = torch.full((len(ANGLES), 1, 12, 12), 200, dtype=torch.uint8)
    inside = disk(12, 12, torch.device("cpu"))
    moved = act(images, [Element(a) for a in ANGLES], **options)
    assert (moved[..., inside] == 200).all() and (moved[..., ~inside] == 0).all()
    assert (act(images, [Element(a) for a in ANGLES], mask="none", **options) == 200).all()  # border padding
    corners = act(images, [Element(45)] * len(ANGLES), mask="none", padding="zeros", **options)[..., 0, 0]
    assert (corners < 100).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (9, 9), (28, 28), (29, 29), (5, 9)], ids=str)
def test_the_disk_is_inscribed_and_symmetric(shape):
    (h, w), inside = shape, disk(*shape, torch.device("cpu"))
    for i, j in itertools.product(range(h), range(w)):
        assert bool(inside[i, j]) == (4 * ((i - (h - 1) / 2) ** 2 + (j - (w - 1) / 2) ** 2) <= min(h, w) ** 2)
    turns = D4.elements if h == w else Group.parse("d2").elements
    assert all(act(inside[None, None], element)[0, 0].equal(inside) for element in turns)


@pytest.mark.parametrize("n", [28, 29])
@pytest.mark.parametrize("name", ["c8", "d3", "c16"])
def test_escnn_rotates_alike(name, n):
    """escnn interpolates differently, but the nearest of our elements is that of the same index."""
    escnn, group = require_escnn(), Group.parse(name)
    make = escnn.gspaces.flipRot2dOnR2 if group.flips else escnn.gspaces.rot2dOnR2
    space, images = make(group.rotations), smooth(n, 2)
    ours = torch.stack([act(images, e, resample="bicubic", mask="none") for e in group.elements])
    typed = escnn.nn.FieldType(space, [space.trivial_repr])(images)
    for i, element in enumerate(space.fibergroup.elements):
        errors = (ours - typed.transform(element).tensor).abs().flatten(1).max(1).values
        assert int(errors.argmin()) == i and errors[i] < 0.05 and errors.sort().values[1] > 0.1


def test_an_f_is_moved_by_every_element_of_c16():
    orbit = act(letter_f(29).expand(16, 1, 29, 29), Group.parse("c16").elements)
    assert len({bytes(image.numpy()) for image in orbit}) == 16


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ((True,), Resampling("exact", "none")),
        ((False,), Resampling("halves", "disk")),
        ((True, "auto", "auto", "border", 3), Resampling("bilinear", "disk", "border", 3)),
        ((False, "auto", "none", "zeros", 3), Resampling("bilinear", "none", "zeros", 3)),
        ((True, "auto", "disk"), Resampling("exact", "disk")),
        ((True, "spline"), Resampling("spline", "disk")),
        ((False, "nearest", "none"), Resampling("nearest", "none")),
    ],
)
def test_the_choice_that_leaks_nothing(given, chosen):
    assert Resampling.choose(*given) == chosen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"kernel": "lanczos"},
            "resample is 'lanczos', expected one of exact, halves, thirds, spline, bilinear, bicubic, nearest",
        ),
        ({"mask": "circle"}, "mask is 'circle', expected one of disk, none"),
        ({"padding": "wrap"}, "padding is 'wrap', expected one of border, zeros, reflection"),
        ({"supersample": 0}, "supersample is 0, expected a whole number from 1 to 16; 3 is the usual value"),
        ({"supersample": 17}, "supersample is 17, expected a whole number from 1 to 16"),
        ({"supersample": 3, "kernel": "nearest"}, "needs interpolation, and resample is 'nearest'; use resample='bil"),
        ({"supersample": 3, "kernel": "exact"}, "needs interpolation, and resample is 'exact'"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(SymmetryError, match=message):
        Resampling(**options)


def test_elements_may_be_a_batch_a_list_or_one():
    images = smooth(9, 3)
    one = act(images, Element(30))
    assert one.equal(act(images, [Element(30)] * 3)) and one.equal(act(images, Elements.of(Element(30), 3).to("cpu")))
