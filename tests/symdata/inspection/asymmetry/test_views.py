"""Views turn with the image, bit for bit but for rounding, and see what they are for."""

import numpy as np
import pytest
import torch

from symdata.inspection.asymmetry.views import fields, orbits
from symdata.transforms.lattice import permute


def noise(n=6, channels=3, size=(20, 20), seed=0):
    return torch.randint(0, 256, (n, channels, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [8, 11, 28, 33, 45])
@pytest.mark.parametrize("element", range(8))
def test_views_turn_with_the_image(size, element):
    images = noise(size=(size, size))
    index = torch.full((len(images),), element)
    moved, as_came = fields(permute(images, index)), fields(images)
    assert set(moved) == {"gray", "texture", "border", "colour", "planes"}
    for view, parts in as_came.items():
        for part, other in zip(parts, moved[view], strict=True):
            torch.testing.assert_close(permute(part, index), other, atol=1e-12, rtol=1e-9)


def test_images_that_are_not_square_turn_by_halves():
    images, index = noise(size=(12, 40)), torch.full((6,), 2)
    moved, as_came = fields(permute(images, index)), fields(images)
    for view, parts in as_came.items():
        for part, other in zip(parts, moved[view], strict=True):
            torch.testing.assert_close(permute(part, index), other, atol=1e-12, rtol=1e-9)


def test_gray_images_have_no_colour():
    assert set(fields(noise(channels=1))) == {"gray", "texture", "border"}


def test_planes_see_a_shifted_plane_and_gray_sees_none_of_it():
    images = noise(4, 1).expand(-1, 3, -1, -1).contiguous()
    assert fields(images)["planes"][0].abs().max() < 1e-12
    images[:, 0] = images[:, 0].roll(1, -1)
    versions = orbits(fields(images)["planes"], list(range(8)))
    assert np.abs(versions[:, 0] - versions[:, 2]).max() > 0.05


def test_texture_cannot_tell_a_half_turn():
    versions = orbits(fields(noise())["texture"], [0, 2])
    assert not versions.any()


def test_what_no_element_changes_has_no_versions_to_tell():
    flat = torch.full((3, 1, 16, 16), 200, dtype=torch.uint8)
    for parts in fields(flat).values():
        assert not orbits(parts, list(range(8))).any()


def test_contrast_and_brightness_do_not_weigh():
    images = noise(1, 1, (28, 28)) // 2
    versions = orbits(fields(torch.cat([images, images + 100]))["gray"], list(range(8)))
    np.testing.assert_allclose(versions[0], versions[1], atol=1e-9)
    np.testing.assert_allclose((versions**2).sum(2).mean(1), 1.0)


def test_views_have_these_sizes():
    """As the module says: 14 and 8 pixels, lags up to 2 and 3, and a border of 2 pixels of at most 32."""
    views = fields(noise(2, 3, (40, 28)))
    shapes = {view: [tuple(part.shape) for part in parts] for view, parts in views.items()}
    assert shapes == {
        "gray": [(2, 1, 14, 14)],
        "texture": [(2, 1, 7, 7)] * 2,
        "border": [(2, 1, 32, 28)],
        "colour": [(2, 3, 8, 8)],
        "planes": [(2, 3, 5, 5)],
    }
    inside = views["border"][0][:, :, 2:-2, 2:-2]
    assert not inside.any() and (views["border"][0] != 0).sum() > 0.9 * 2 * (32 * 28 - inside[0].numel())


def test_texture_is_the_autocorrelation():
    """Sum over u of a(u) a(u + lag) over that of lag 0, by loops, with zeros outside of the image."""
    (image,) = noise(1, 1, (9, 11)).double().numpy()[0] / 255
    a = image - image.mean()
    h, w = a.shape
    expected = np.zeros((7, 7))
    for y in range(-3, 4):
        for x in range(-3, 4):
            pairs = [a[i, j] * a[i + y, j + x] for i in range(h) for j in range(w) if 0 <= i + y < h and 0 <= j + x < w]
            expected[y + 3, x + 3] = sum(pairs)
    found = fields(noise(1, 1, (9, 11)))["texture"][0][0, 0].numpy()
    np.testing.assert_allclose(found, expected / expected[3, 3], atol=1e-5)
