"""polar.png beside the card: the curve of the evaluation that stands there, and of no other."""

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from symdata.pictures.curves import COLOURS
from symdata.pictures.figure import as_picture
from tests.support import checkpoints
from tests.support.checkpoints import edit, network, save
from tests.support.folders import contents
from tests.support.reports import evaluation, report
from zoo.checkpoint.folder import read_checkpoint, refresh_card, write_evaluation
from zoo.checkpoint.manifest import read_config
from zoo.errors import ModelError
from zoo.evaluation.picture import as_png
from zoo.evaluation.report import AngleCurve

KIBIBYTES = 40

whole, folder = checkpoints.whole, checkpoints.folder


def pixels(path):
    with Image.open(path) as file:
        assert file.format == "PNG" and file.mode == "P"
        return np.asarray(file.convert("RGB")).astype(int)


def test_the_picture_is_the_curve_in_a_small_file(folder):
    write_evaluation(folder, evaluation(angles=36))
    size = (folder / "polar.png").stat().st_size
    assert size < KIBIBYTES * 1024
    drawn = np.asarray(as_picture(report(angles=36).plot())).astype(int)
    assert np.abs(pixels(folder / "polar.png") - drawn).max() <= 8  # of 255: what the palette costs
    card = (folder / "README.md").read_text()
    assert "![Accuracy over the angle by which images are turned: 51.25 % on average" in card
    assert "7.50 % at worst, at 350 degrees](polar.png)" in card
    assert read_checkpoint(folder).name


def test_many_curves_keep_their_colours():
    reports = [report(name=f"model-{k}", angles=36) for k in range(len(COLOURS))]
    figure = reports[0].plot(*reports[1:])
    png = as_png(figure)
    assert len(png) < 2 * KIBIBYTES * 1024
    assert np.abs(pixels(BytesIO(png)) - np.asarray(as_picture(figure)).astype(int)).max() <= 32


def test_another_evaluation_has_another_picture(folder):
    write_evaluation(folder, evaluation())
    first = contents(folder)
    write_evaluation(folder, evaluation(curve=AngleCurve((0.0, 90.0, 180.0, 270.0), (190, 20, 20, 20), 200)))
    second = contents(folder)
    assert {name for name in first if first[name] != second[name]} == {"evaluation.json", "polar.png", "README.md"}


def test_without_a_curve_there_is_no_picture(folder, whole):
    write_evaluation(folder, evaluation())
    assert "polar.png" in contents(folder)
    write_evaluation(folder, evaluation(angles=0))
    assert contents(folder).keys() == contents(whole).keys() | {"evaluation.json"}
    assert "polar.png" not in (folder / "README.md").read_text()


def test_the_picture_goes_with_its_weights(folder, whole):
    write_evaluation(folder, evaluation())
    save(folder, network(seed=1))
    assert contents(folder).keys() == contents(whole).keys()


def test_an_evaluation_of_other_weights_is_not_told(folder, whole):
    write_evaluation(folder, evaluation())
    (folder / "evaluation.json").write_text(json.dumps(evaluation() | {"weights_sha256": "0" * 64}))
    refresh_card(folder)
    assert "polar.png" not in contents(folder)
    assert (folder / "README.md").read_bytes() == (whole / "README.md").read_bytes()


def test_an_evaluation_that_went_takes_the_picture_with_it(folder, whole):
    write_evaluation(folder, evaluation())
    (folder / "evaluation.json").unlink()
    refresh_card(folder)
    assert contents(folder) == contents(whole)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda said: said.update(format=2), "has format 2, expected 1"),
        (lambda said: said.pop("elements"), "KeyError: 'elements'"),
        (lambda said: said["elements"].pop(), "7 elements that are not those of d4"),
        (lambda said: said["elements"][1].update(element="r45"), "elements that are not those of d4"),
        (lambda said: said["elements"][1].update(correct=1235), "1235 of 1234 are right"),
        (lambda said: said["elements"][1].update(correct=float("1e999")), "TypeError: float where int is expected"),
        (lambda said: said.update(group="so2"), "infinitely many"),
        (lambda said: said.update(group="d400"), "expected 1 to 360"),
        (lambda said: said.update(classes=[]), "no classes"),
        (lambda said: said.update(data="mnist"), "TypeError"),
        (lambda said: said["curve"]["correct"].append(1), "a curve of 4 angles, 5 counts"),
        (lambda said: said["curve"].update(correct=[201, 0, 0, 0]), "counts from 0 to 201 of 200"),
        (lambda said: said["curve"].update(angles=[0, 90, 180, float("1e999")]), "a curve with counts"),
    ],
)
def test_what_is_no_evaluation_is_refused_and_changes_nothing(folder, change, sentence):
    write_evaluation(folder, evaluation())
    before, said = contents(folder), evaluation()
    change(said)
    with pytest.raises(ModelError, match=sentence) as caught:
        write_evaluation(folder, said)
    assert "\n" not in str(caught.value) and contents(folder) == before
    text = json.dumps(said).replace("Infinity", "1e999")
    (folder / "evaluation.json").write_text(text)
    with pytest.raises(ModelError, match=r"evaluation\.json' is (no evaluation|not JSON)"):
        refresh_card(folder)
    assert contents(folder) == before | {"evaluation.json": text.encode()}


def test_a_name_with_dollars_is_drawn(folder):
    edit(folder, lambda config: config.update(name="$\\frac$"))
    write_evaluation(folder, evaluation(name="$\\frac$", data="a $5 b"))
    assert read_config(folder)["name"] == "$\\frac$" and "polar.png" in contents(folder)
