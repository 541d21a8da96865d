"""The page of docs/space: its logic without gradio, and the page itself where gradio is installed."""

import importlib.util
import re
import subprocess
import sys

import pytest
import torch
import yaml
from PIL import Image, ImageDraw

import symdata
from symdata import Element, act
from tests.conftest import ROOT

pytestmark = pytest.mark.checkout

SPACE = ROOT / "docs" / "space"
if not SPACE.is_dir():
    pytest.skip("the Space is in the checkout alone", allow_module_level=True)


@pytest.fixture(scope="module")
def app():
    spec = importlib.util.spec_from_file_location("space_app", SPACE / "app.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "space_app", module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        yield module


def drawing(mode="RGBA"):
    """An L of black ink, far from the centre."""
    picture = Image.new("RGBA", (280, 280), (0, 0, 0, 0))
    ImageDraw.Draw(picture).line([(30, 20), (30, 160), (90, 160)], fill="black", width=18)
    ground = Image.new("RGBA", picture.size, "white")
    return picture if mode == "RGBA" else Image.alpha_composite(ground, picture).convert(mode)


@pytest.mark.parametrize("mirror", [False, True])
def test_the_exact_network_keeps_its_answer_and_the_others_lose_it(app, mirror):
    changes = torch.zeros(3)
    for digit in "1347":
        _, answers = app.look(app.glyph(digit), 0, mirror)
        assert tuple(answer.name for answer in answers) == app.NAMES
        assert len(set(answers[0].quarters)) == 1
        changes = changes.maximum(torch.tensor([answer.change for answer in answers]))
    assert changes[0] < 1e-4 < 0.5 < changes[1:].min()


def test_what_is_shown_is_the_moved_digit_and_what_is_said_is_about_it(app):
    upright = app.glyph("4")
    for angle in (0, 90, 45):
        moved, answers = app.look(upright, angle, True)
        assert moved.dtype == torch.uint8 and torch.equal(moved, act(upright, Element(angle, True)))
        for answer in answers:
            best = max(answer.probabilities, key=answer.probabilities.get)
            assert best == answer.quarters[0] and sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
            assert answer.verdict in answer.text and ", ".join(answer.quarters) in answer.text


def test_turning_the_digit_turns_the_order_of_the_answers(app):
    upright = app.glyph("4")
    first, second = (app.look(upright, angle, False)[1] for angle in (0, 90))
    for before, after in zip(first, second, strict=True):
        assert after.quarters == before.quarters[1:] + before.quarters[:1]
    assert first[1].quarters != second[1].quarters


def test_titles_say_what_the_audit_says_and_nothing_of_untied_weights(app):
    assert [app.title(name).partition(": ")[2] for name in app.NAMES] == ["exact", "approximate", "tied by no group"]


def test_a_drawing_becomes_a_digit_as_in_mnist(app):
    digit = app.as_digit(drawing())
    assert digit.dtype == torch.uint8 and digit.shape == (1, 1, 28, 28)
    rows, columns = digit[0, 0].nonzero().T
    assert max(int(rows.max() - rows.min()), int(columns.max() - columns.min())) + 1 == 20
    weight = digit[0, 0].double() / digit.sum()
    where = torch.arange(28).double()
    centre = float((weight.sum(1) * where).sum()), float((weight.sum(0) * where).sum())
    assert centre == pytest.approx((13.5, 13.5), abs=1)
    assert torch.equal(digit, app.as_digit(drawing("L")))  # on white as on nothing


@pytest.mark.parametrize("colour", ["white", (0, 0, 0, 0)])
def test_an_empty_drawing_is_none(app, colour):
    assert app.as_digit(Image.new("RGBA", (280, 280), colour)) is None


def test_a_dot_and_a_line_are_digits_too(app):
    for line in ([(140, 140), (140, 140)], [(10, 5), (270, 5)]):
        picture = Image.new("L", (280, 280), 255)
        ImageDraw.Draw(picture).line(line, fill=0, width=1)
        assert app.as_digit(picture).max() > 0


def test_the_header_and_the_requirements_name_the_same_versions(app):
    header = yaml.safe_load((SPACE / "README.md").read_text(encoding="utf-8").split("---")[1])
    required = (SPACE / "requirements.txt").read_text(encoding="utf-8")
    assert header["sdk"] == "gradio" and (SPACE / header["app_file"]).is_file()
    assert re.findall(r"^gradio==(.+)$", required, re.MULTILINE) == [header["sdk_version"]]
    assert f"./symdata-{symdata.__version__}-py3-none-any.whl\n" in required
    assert app.INTRO.splitlines()[0] == f"# {header['title']}"


CALL = """
import app
(handler,) = app.page().fns.values()
picture, *parts = handler.fn(None, "4", 90, False)
print(picture.size, *(max(shares, key=shares.get) for shares in parts[::2]))
"""


def test_the_page_answers():
    pytest.importorskip("gradio", reason="gradio is in an environment of its own, see docs/space/README.md")
    # A process of its own: gradio leaves event loops open, and here a warning is an error.
    done = subprocess.run([sys.executable, "-c", CALL], cwd=SPACE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "(280, 280) 4 7 0"
