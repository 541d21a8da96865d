"""The radial power spectrum: blind to orientation, and its discriminant honest about chance."""

import numpy as np
import pytest
import torch
from scipy import stats

from symdata.groups import Group
from symdata.inspection.leakage import auc
from symdata.inspection.radial_power import FOLDS, RINGS, discriminate, radial_power
from symdata.transforms.action import act
from tests.support.pixels import noise


def pictures(n=40, size=20, angle=0.0):
    """A random band-limited picture, drawn anew at every angle and not resampled: a sum of waves under a bump."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    x, y = cos * x - sin * y, sin * x + cos * y
    images = []
    for _ in range(n):
        # Few waves along one direction: a strongly oriented picture.
        radius, turn, phase = random.uniform(0.05, 0.3, 4), random.normal(0.0, 0.1, 4), random.uniform(0, 2 * np.pi, 4)
        waves = sum(
            np.cos(2 * np.pi * r * (x * np.cos(t) + y * np.sin(t)) + p)
            for r, t, p in zip(radius, turn, phase, strict=True)
        )
        images.append(waves * np.exp(-(x**2 + y**2) / 30.0))
    return torch.from_numpy(np.stack(images))[:, None] * 50.0


def by_points(images):
    """What the exact mean over angles replaces: the mean over the points of the discrete spectrum in each ring."""
    n = images.shape[-1]
    power = torch.fft.fft2(images - images.mean((-2, -1), keepdim=True)).abs().square().sum(1)
    f = torch.fft.fftfreq(n)
    radius = (f**2 + f[:, None] ** 2).sqrt()
    rings = [(radius >= k / n) & (radius < (k + 1) / n) for k in range(1, n // 2)]
    return torch.stack([power[:, ring].mean(1) for ring in rings], 1).add(1e-3).log().numpy()


def test_the_mean_over_a_ring_is_exact():
    """Against the transform itself, summed over very many points of the ring."""
    image = noise(1, 2, 9, 9, dtype=torch.float64)
    y, x = np.mgrid[:9, :9] - 4.0
    window = np.where(np.hypot(x, y) < 4.5, 0.5 + 0.5 * np.cos(np.pi * np.hypot(x, y) / 4.5), 0.0)
    values = image[0].numpy()
    values = (values - (values * window).sum((1, 2), keepdims=True) / window.sum()) * window
    edges = np.geomspace(1 / 9, 0.5, RINGS + 1)
    for ring in (0, 6, 13):
        r = np.sqrt(np.linspace(edges[ring] ** 2, edges[ring + 1] ** 2, 81))[:-1] ** 1.0
        r = np.sqrt(r**2 + (edges[ring + 1] ** 2 - edges[ring] ** 2) / 160)
        a = np.arange(64) * 2 * np.pi / 64
        fy, fx = np.outer(r, np.sin(a)).ravel(), np.outer(r, np.cos(a)).ravel()
        wave = np.exp(-2j * np.pi * (fy[:, None, None] * y + fx[:, None, None] * x))
        power = sum(np.abs((wave * channel).sum((1, 2))) ** 2 for channel in values).mean() / (window**2).sum()
        assert radial_power(image)[0, ring] == pytest.approx(np.log(power + 1e-3), abs=1e-4)


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 17, 17), (2, 1, 9, 14), (2, 1, 131, 131), (2, 1, 3, 3)])
def test_exact_moves_change_nothing(shape):
    images = noise(*shape, dtype=torch.uint8)
    for element in Group.parse("d4" if shape[2] == shape[3] else "d2").elements:
        np.testing.assert_allclose(radial_power(act(images, element)), radial_power(images), rtol=0, atol=1e-8)


def test_orientation_changes_nothing():
    """A picture that is drawn at another angle, not resampled, has the same features; sums over points have not."""
    upright, turned = pictures(), pictures(angle=45.0)
    before, after = radial_power(upright), radial_power(turned)
    strong = before > 0.0  # at the highest frequencies there is next to nothing but aliases
    assert strong.mean() > 0.7
    np.testing.assert_allclose(after[strong], before[strong], atol=0.02)
    assert np.abs(by_points(turned) - by_points(upright)).max() > 0.5


def test_blur_is_seen():
    images = noise(20, 1, 28, 28, dtype=torch.uint8)
    blurred = torch.nn.functional.avg_pool2d(images.double(), 3, 1, 1)
    assert (radial_power(blurred)[:, -1] < radial_power(images)[:, -1] - 1.0).all()


def test_constant_images_have_no_power():
    assert np.allclose(radial_power(torch.full((2, 1, 8, 8), 200, dtype=torch.uint8)), np.log(1e-3))


def problem(seed, n=400, shift=0.0):
    """Features of `n` images in two classes; the features of images that were moved are shifted by `shift`."""
    random = np.random.default_rng(seed)
    answer, labels = random.random(n) < 0.5, random.integers(0, 2, n)
    power = random.normal(size=(n, RINGS)) + labels[:, None]
    power[:, -1] += shift * answer
    return power, answer, labels


def area(power, answer, labels, source=None, seed=0):
    found = discriminate(power, answer, labels, np.arange(len(answer)) if source is None else source, seed)
    group = labels * FOLDS + found.folds
    pairs = [(answer[group == g].sum() * (~answer[group == g]).sum(), g) for g in np.unique(group)]
    value = sum(n * auc(found.scores[group == g], answer[group == g]) for n, g in pairs) / sum(n for n, _ in pairs)
    return value, found


def test_a_shift_is_found_and_chance_is_not():
    value, found = area(*problem(0, shift=1.5))
    assert value > 0.8 and found.p_value(value) == 1 / 200
    values = [area(*problem(seed))[0] for seed in range(1, 21)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.02)


def test_p_values_are_uniform_if_there_is_nothing_to_find():
    found = []
    for seed in range(40):
        value, trained = area(*problem(seed + 100, n=150))
        found.append(trained.p_value(value))
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert min(found) > 1e-3


def test_a_change_of_variance_is_found():
    """Which a discriminant without squares does not see."""
    power, answer, labels = problem(3, n=1000)
    power[answer, -1] *= 3.0
    assert area(power, answer, labels)[0] > 0.65


def test_images_of_one_source_are_never_trained_and_tested_together():
    source = np.repeat(np.arange(100), 4)
    power, answer, labels = problem(4)
    folds = area(power, answer, labels, source)[1].folds
    assert (folds.reshape(100, 4) == folds.reshape(100, 4)[:, :1]).all() and set(folds) == set(range(FOLDS))
    # A discriminant that had seen other copies of its test images would know their answer.
    copies = np.random.default_rng(5).normal(size=(100, RINGS))[source]
    known = np.repeat(np.random.default_rng(6).random(100) < 0.5, 4)
    assert abs(area(copies, known, 0 * labels, source)[0] - 0.5) < 0.1


def test_the_order_of_images_changes_nothing_but_rounding():
    power, answer, labels = problem(7, shift=0.5)
    assert area(power, answer, labels)[0] == area(power, answer, labels)[0]
