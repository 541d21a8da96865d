"""Animations hold the pictures they were made of, in their order, pixel by pixel."""

import numpy as np
import pytest
from PIL import Image

from symdata.errors import ArgumentError, ShapeError, StoreError
from symdata.pictures.animation import save_animation


def pictures(channels=1, count=4, side=9):
    return np.random.default_rng(0).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def frames(path):
    """(n, h, w, 3) as displayed, and the milliseconds of each."""
    found, shown = [], []
    with Image.open(path) as file:
        for k in range(file.n_frames):
            file.seek(k)
            found.append(np.asarray(file.convert("RGB")))
            shown.append(file.info["duration"])
    return np.stack(found), shown


@pytest.mark.parametrize(("name", "channels"), [("a.gif", 1), ("a.webp", 1), ("a.webp", 3), ("A.WEBP", 3)])
def test_every_picture_is_there_exactly(name, channels, tmp_path):
    given = pictures(channels)
    path = save_animation(given, tmp_path / name, seconds=2, zoom=1)
    found, shown = frames(path)
    expected = np.broadcast_to(given.transpose(0, 2, 3, 1), found.shape)
    assert np.array_equal(found, expected) and sum(shown) == 2000


def test_small_pictures_are_magnified_by_whole_pixels(tmp_path):
    found, _ = frames(save_animation(pictures(), tmp_path / "a.gif"))
    assert found.shape == (4, 207, 207, 3)  # 23 x 9
    assert np.array_equal(found[:, ::23, ::23, 0], pictures()[:, 0])


@pytest.mark.parametrize(
    ("given", "name", "options", "error", "reason"),
    [
        (pictures(), "a.png", {}, ArgumentError, r"a.png' is no animation; name it '.*a.gif' or .webp"),
        (pictures(2), "a.gif", {}, ShapeError, r"uint8 \(4, 2, 9, 9\), expected uint8 \(n, C, h, w\)"),
        (pictures().astype(float), "a.gif", {}, ShapeError, "pictures are float64"),
        (pictures(), "a.gif", {"zoom": 0}, ArgumentError, "zoom is 0"),
        (pictures(), "a.gif", {"seconds": 0}, ArgumentError, "seconds is 0, expected a number above 0"),
        (pictures(), "absent/a.gif", {}, StoreError, "cannot be written: No such file or directory; name a file"),
    ],
)
def test_what_cannot_be_written_is_refused(given, name, options, error, reason, tmp_path):
    with pytest.raises(error, match=reason):
        save_animation(given, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())
