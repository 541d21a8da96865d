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
