"""Sheets and orbits: what is on them, where, and that they come fast and without matplotlib."""

import subprocess
import sys
import time
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from symdata.errors import ShapeError, SymmetryError
from symdata.groups import Element, Elements
from symdata.pictures.contact_sheet import (
    CELL,
    GAP,
    MARGIN,
    choose,
    contact_sheet,
    orbit_picture,
)
from symdata.pictures.figure import MIRRORED, TURNED, png_bytes
from symdata.sources import open_source


def colour(text):
    return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))


def holds(picture, text):
    """Whether any pixel of a picture has this colour, or nearly."""
    pixels = np.asarray(picture).astype(int)
    return bool((np.abs(pixels - colour(text)).max(-1) < 60).any())


def samples(n=40, classes=4, shape=(1, 28, 28)):
    images = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return images, np.arange(n) % classes, [f"class {c}" for c in range(classes)]


def test_images_are_enlarged_by_repeating_pixels():
    images, labels, names = samples(1, 1)
    sheet = np.asarray(contact_sheet(images, labels, names, [Element()]))
    first = np.asarray(images[0, 0]).repeat(3, 0).repeat(3, 1)
    left = sheet.shape[1] - MARGIN - CELL
    assert (sheet[MARGIN : MARGIN + CELL, left : left + CELL] == first[..., None]).all()


@pytest.mark.parametrize(
    ("side", "shown"), [(8, 80), (28, 84), (32, 96), (48, 96), (80, 80), (96, 96), (150, 75), (512, 86)]
)
def test_cells_are_of_one_size_whatever_the_images(side, shown):
    images, labels, names = samples(2, 1, (3, side, side))
    one, two = (contact_sheet(images[:n], labels[:n], names, [Element()] * n).width for n in (1, 2))
    assert two - one == shown + GAP
    assert 64 <= shown <= 112


def test_mirrored_and_turned_elements_are_told_apart_by_colour():
    images, labels, names = samples(1, 1)
    black = torch.zeros_like(images)
    for element, seen in ((Element(), []), (Element(90), [TURNED]), (Element(37.3, True), [MIRRORED])):
        sheet = contact_sheet(black, labels, names, [element])
        assert [c for c in (TURNED, MIRRORED) if holds(sheet, c)] == seen


def test_numpy_images_and_batches_of_elements_will_do():
    images, labels, names = samples()
    elements = Elements(np.zeros(40), np.zeros(40, dtype=bool))
    a, b = (
        contact_sheet(images, labels, names, elements),
        contact_sheet(images.numpy(), labels, names, elements.to("cpu")),
    )
    assert a.tobytes() == b.tobytes()


def test_originals_stand_first():
    images, labels, names = samples(4, 2)
    elements = [Element()] * 4
    without = contact_sheet(images, labels, names, elements)
    with_originals = contact_sheet(images, labels, names, elements, originals=images.flip(-1))
    assert with_originals.width == without.width + CELL + 3 * GAP


def test_an_empty_split_gives_an_empty_sheet():
    images, labels, names = samples(0, 3)
    assert contact_sheet(images, labels, names, []).size[0] > 0


def test_long_names_do_not_push_the_images_off():
    images, labels, _ = samples(2, 2)
    sheet = contact_sheet(images, labels, ["x" * 500, ""], [Element()] * 2)
    assert sheet.width < 400


def test_rows_are_spread_over_the_classes_that_occur():
    labels = np.repeat(np.arange(0, 200, 2), 7)
    rows = choose(labels, 200, rows=5, columns=3)
    assert labels[rows].tolist() == np.repeat([0, 50, 100, 148, 198], 3).tolist()
    assert choose(np.array([], dtype=np.int64), 3).tolist() == []
    assert choose(np.array([1, 0, 1]), 5).tolist() == [1, 0, 2]


def test_numbers_that_do_not_fit_are_refused():
    images, labels, names = samples()
    with pytest.raises(ShapeError, match="40 images, 40 labels and 3 elements"):
        contact_sheet(images, labels, names, [Element()] * 3)


def test_a_sheet_takes_less_than_half_a_second():
    images, labels, names = samples(200, 16, (3, 96, 96))
    start = time.perf_counter()
    contact_sheet(images, labels, names, [Element(37.3)] * 200, rows=16)
    assert time.perf_counter() - start < 0.5


def test_sheets_do_without_matplotlib():
    code = "import sys, symdata.pictures.contact_sheet; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("group", "rows", "columns"), [("d4", 2, 4), ("c8", 1, 8), ("d1", 2, 1), ("c1", 1, 1)])
def test_an_orbit_has_a_row_of_rotations_and_one_of_mirrored(group, rows, columns):
    picture = orbit_picture(open_source("glyphs").read("train", np.array([15]))[0], group)
    assert picture.width == 2 * MARGIN + columns * (CELL + GAP) - GAP
    assert picture.height == orbit_picture(
        torch.zeros(1, 28, 28, dtype=torch.uint8), "c1"
    ).height * rows - 2 * MARGIN * (rows - 1) + GAP * (rows - 1)


def test_an_orbit_shows_each_element_in_its_place():
    image = torch.randint(0, 256, (1, 28, 28), dtype=torch.uint8)
    picture = np.asarray(orbit_picture(image, "d4"))
    second = picture[MARGIN : MARGIN + CELL : 3, MARGIN + CELL + GAP : MARGIN + 2 * CELL + GAP : 3, 0]
    assert (second == torch.rot90(image[0]).numpy()).all()


@pytest.mark.parametrize("group", ["so2", "o2"])
def test_an_infinite_orbit_is_refused(group):
    with pytest.raises(SymmetryError, match=r"such as [cd]8"):
        orbit_picture(torch.zeros(1, 28, 28, dtype=torch.uint8), group)
    with pytest.raises(ShapeError, match=r"images\[0\]"):
        orbit_picture(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), "d4")


def test_a_saved_picture_is_the_same_picture():
    picture = orbit_picture(torch.zeros(1, 28, 28, dtype=torch.uint8), "d4")
    with Image.open(BytesIO(png_bytes(picture))) as read:
        assert read.tobytes() == picture.tobytes()
