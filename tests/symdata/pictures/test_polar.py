"""Polar histograms: every kind of law has a dial, and a dial shows what it should."""

import numpy as np
import pytest

from symdata.groups import Elements
from symdata.keys import split_keys
from symdata.pictures.figure import as_picture
from symdata.pictures.polar import Panel, _arc_bars, _atom_bars, polar_figure
from symdata.symmetry import Symmetry


def picture(panels):
    return as_picture(polar_figure(panels))


def panel(text, n=500, law=True):
    symmetry = Symmetry.parse(text)
    elements = symmetry.sample(None, split_keys(0, "train", "symmetry", np.arange(n)))
    return Panel(text, elements, symmetry.rest if law else None)


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "d4-partial",
        "c360",
        "so2",
        "o2-partial@0.3",
        "so2@45~20",
        "o2@30..30",
        "so2@350..371",
        "0.4@none+0.2@r90+0.4@o2@0~k9",
    ],
)
@pytest.mark.parametrize("law", [True, False])
@pytest.mark.parametrize("n", [0, 1, 500])
def test_every_kind_of_law_has_a_dial(text, law, n):
    assert picture([panel(text, n, law)]).width > 200


def test_dials_stand_in_rows_of_four():
    one, four = (picture([panel("d4")] * n) for n in (1, 4))
    assert four.width == pytest.approx(4 * one.width, abs=4)
    assert picture([panel("d4")] * 5).height > 1.8 * one.height


def test_mirrored_elements_have_their_own_colour_on_the_dial():
    assert np.asarray(picture([panel("d4")])).tobytes() != np.asarray(picture([panel("c4")])).tobytes()


def test_pictures_do_not_depend_on_what_was_drawn_before():
    first = picture([panel("d4")])
    picture([panel("so2")])
    assert picture([panel("d4")]).tobytes() == first.tobytes()


def test_bars_hold_every_element_and_the_law_all_probability():
    for text in ("d4-partial", "c8@-90..90", "o2@30..30"):
        bars = list(_atom_bars(panel(text)))
        assert sum(b.shares.sum() for b in bars) == pytest.approx(1.0)
        assert sum(b.expected.sum() for b in bars) == pytest.approx(1.0)
    for text in ("so2@45~20", "o2", "o2@350..371"):
        bars = list(_arc_bars(panel(text)))
        assert sum(b.shares.sum() for b in bars) == pytest.approx(1.0)
        assert sum(b.expected.sum() for b in bars) == pytest.approx(1.0)
    assert sum(b.expected.sum() for b in _arc_bars(panel("o2-partial@0.3"))) == pytest.approx(0.3)


def test_angles_run_counter_clockwise_from_the_top():
    """Everything turned by 45 degrees: the bar points to the upper left."""
    elements = Elements(np.full(10, 45.0), np.zeros(10, dtype=bool))
    pixels = np.asarray(picture([Panel("", elements)])).astype(int)
    blue = np.argwhere((pixels[..., 2] - pixels[..., 0] > 100) & (np.arange(len(pixels)) < 0.8 * len(pixels))[:, None])
    rows, columns = blue.mean(0)
    assert rows < 0.45 * pixels.shape[0]
    assert columns < 0.45 * pixels.shape[1]
