"""The polar picture: where things are, which way round, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import ImageColor

from symdata.errors import ShapeError
from symdata.groups import Element
from symdata.pictures.curves import COLOURS, PolarCurve, accuracy_figure
from symdata.pictures.figure import PALE, as_picture

ANGLES = [10.0 * k for k in range(36)]


def drawn(curves, **options):
    return as_picture(accuracy_figure(curves, **options))


def at(picture, colour):
    """(y, x) of every pixel of nearly that colour, from the centre of the dial, in units of its radius."""
    pixels = np.asarray(picture).astype(int)
    near = np.abs(pixels - np.array(ImageColor.getrgb(colour))).max(-1) < 12
    y, x = np.nonzero(near)
    bottom = picture.height - 144 * 0.8  # the legend
    keep = y < bottom
    radius = 4.8 * 144 / 2 * 100 / 102
    centre = picture.height - 144 * (0.65 + 0.28) - 4.8 * 144 / 2
    return (y[keep] - centre) / radius, (x[keep] - picture.width / 2) / radius


def flat(value, **more):
    return PolarCurve("flat", ANGLES, [value] * 36, **more)


def test_a_flat_curve_is_a_ring_at_its_accuracy():
    for value in (0.4, 0.8, 1.0):
        y, x = at(drawn([flat(value)]), COLOURS[0])
        assert np.allclose(np.hypot(x, y), value, atol=0.02)
        assert min(np.abs(x - side * value).min() for side in (-1, 1)) < 0.02


def test_zero_points_up_and_angles_run_counter_clockwise():
    for angle, (dy, dx) in {0: (-1, 0), 90: (0, -1), 180: (1, 0), 270: (0, 1)}.items():
        values = [0.95 if a == angle else 0.3 for a in ANGLES]
        y, x = at(drawn([PolarCurve("spike", ANGLES, values)]), COLOURS[0])
        far = np.hypot(x, y) > 0.85
        assert far.any() and np.allclose(np.mean(y[far]), dy * 0.9, atol=0.06)
        assert np.allclose(np.mean(x[far]), dx * 0.9, atol=0.06)


def test_the_order_of_angles_and_full_turns_do_not_matter():
    values = [0.5 + 0.4 * np.cos(np.deg2rad(a)) for a in ANGLES]
    one = drawn([PolarCurve("a", ANGLES, values)])
    turned = [(a - 360.0, v) for a, v in zip(ANGLES, values, strict=True)][::-1]
    other = drawn([PolarCurve("a", *zip(*turned, strict=True))])
    assert one.tobytes() == other.tobytes()


def test_the_figure_is_the_picture_before_it_is_drawn():
    figure = accuracy_figure([flat(0.9)], title="a title")
    assert [text.get_text() for text in figure.texts] == ["a title"] and len(figure.axes) == 1
    assert as_picture(figure).tobytes() == drawn([flat(0.9)], title="a title").tobytes()


def test_chance_is_a_ring():
    y, x = at(drawn([flat(0.9)], chance=0.5), PALE)
    ring = np.abs(np.hypot(x, y) - 0.5) < 0.02
    assert ring.sum() > 200
    y, x = at(drawn([flat(0.9)]), PALE)
    assert (np.abs(np.hypot(x, y) - 0.5) < 0.02).sum() < 100  # the label of 50 % alone


def test_points_stand_where_their_element_turns_to():
    rotations = drawn([PolarCurve("p", (), (), [(Element(90), 0.6)])])
    y, x = at(rotations, COLOURS[0])
    assert np.allclose([y.mean(), x.mean()], [0, -0.6], atol=0.02)
    mirrored = drawn([PolarCurve("p", (), (), [(Element(180, True), 0.6)])])
    y, x = at(mirrored, COLOURS[0])
    assert np.allclose([y.mean(), x.mean()], [0.6, 0], atol=0.02)
    assert not (np.hypot(y - 0.6, x) < 0.005).any()  # hollow


def test_every_curve_has_a_colour_of_its_own_and_long_legends_have_room():
    curves = [PolarCurve(f"model-{k} with a long name, longer than most", ANGLES, [0.1 * k] * 36) for k in range(1, 8)]
    picture = drawn(curves, chance=0.1, title="a title")
    for colour in COLOURS:
        assert len(at(picture, colour)[0]) > 100
    one = drawn(curves[:1])
    assert picture.width == one.width and picture.height > one.height
    assert np.asarray(picture)[:2].min() == 255 and np.asarray(picture)[-2:].min() == 255  # nothing is cut


def test_a_picture_is_a_function_of_its_arguments():
    assert drawn([flat(0.5)]).tobytes() == drawn([flat(0.5)]).tobytes()


def test_the_figure_can_be_changed_before_it_becomes_a_picture():
    figure = accuracy_figure([flat(0.5)], title="a title")
    assert as_picture(figure).tobytes() == drawn([flat(0.5)], title="a title").tobytes()
    figure.texts[0].set_text("another")
    assert as_picture(figure).tobytes() != drawn([flat(0.5)], title="a title").tobytes()


def test_nothing_heavy_is_loaded_before_it_is_drawn():
    code = "import sys, symdata.pictures.curves; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PolarCurve("x", [0.0], []), "curve 'x' has 1 angles and 0 accuracies"),
        (lambda: PolarCurve("x", [0.0], [97.0]), "an accuracy of 97, expected shares in"),
        (lambda: PolarCurve("x", [], [], [(Element(), float("nan"))]), "an accuracy of nan"),
        (lambda: drawn([]), "no curve to draw"),
    ],
)
def test_bad_curves_are_refused(make, sentence):
    with pytest.raises(ShapeError, match=sentence):
        make()
