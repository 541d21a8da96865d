"""The spec: canonical text, and every refusal before the first pixel."""

import numpy as np
import pytest

from symdata.errors import RecipeError, ShapeError, SourceError, SymdataError, SymmetryError
from symdata.groups import Element
from symdata.recipes.catalog import Pose, Recipe
from symdata.recipes.plan import resolve
from symdata.recipes.spec import Spec
from tests.support.folders import by_numpy
from tests.support.images import encoded, noise, write_folder


def test_a_spec_holds_canonical_text():
    spec = Spec(symmetry="d4-partial", test_symmetry="so2@-180..180")
    assert (spec.symmetry, spec.test_symmetry) == ("d4-partial@0.5", "so2")
    assert spec == Spec(symmetry="d4-partial@.50", test_symmetry="so2")
    assert Spec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"count": 0}, "count is 0, expected a whole number from 1 to 1000000000; leave it out for all images"),
        ({"count": 10**12}, "count is 1000000000000, expected a whole number"),
        ({"size": 1}, "size is 1, expected a whole number from 2 to 4096 pixels; leave it out to keep the source's"),
        ({"validation": 1.0}, r"validation share 1 is outside \[0, 1\); 0\.1 holds out a tenth"),
        ({"validation": -0.1}, r"validation share -0\.1 is outside"),
        ({"validation": float("nan")}, r"validation share nan is outside"),
        ({"symmetry": "d4-partal"}, r"symmetry 'd4-partal', character 3: '-partal' cannot follow 'd4'"),
        ({"test_symmetry": ""}, r"symmetry '' is empty"),
        ({"symmetry": "d4-partial@1.5"}, r"weight 1\.5 is outside \[0, 1\]"),
        ({"symmetry": "c400"}, r"has 400 rotations, expected 1 to 360; use so2"),
    ],
)
def test_a_bad_spec_is_refused(fields, sentence):
    with pytest.raises(SymdataError, match=sentence):
        Spec(**fields)


@pytest.mark.parametrize(
    ("fields", "kind", "sentence"),
    [
        ({"symmetry": "0-16:d4"}, SymmetryError, r"names class 16, but the classes are 0 to 15"),
        ({"symmetry": "0-9:d4"}, SymmetryError, r"says nothing of class 10; add ',rest:none'"),
        ({"test_symmetry": "0-9:d4"}, SymmetryError, r"says nothing of class 10"),
        ({"symmetry": "c8", "resample": "exact"}, SymmetryError, r"'c8' leaves the pixel lattice .* --resample halves"),
        ({"test_symmetry": "so2", "resample": "exact"}, SymmetryError, r"'so2' leaves the pixel lattice"),
        ({"recipe": "rotmnst"}, RecipeError, r"no recipe 'rotmnst'; there are rotmnist, "),
        ({"resize": "nearest", "size": 20}, SourceError, r"does not commute with rotations"),
        ({"resample": "lanczos"}, SymmetryError, r"resample is 'lanczos', expected one of exact, halves"),
        ({"mask": "square"}, SymmetryError, r"mask is 'square', expected one of"),
        ({"padding": "wrap"}, SymmetryError, r"padding is 'wrap', expected one of"),
        ({"supersample": 99}, SymmetryError, r"supersample is 99, expected a whole number from 1 to 16"),
        ({"validation": 0.2}, RecipeError, r"'glyphs' has a validation split of its own; leave --validation out"),
        ({"source": "nosuch"}, SourceError, r"'nosuch' is neither a file nor a folder"),
        ({"source": "glyphs:ÄÖ"}, SourceError, r"which is no glyph"),
    ],
)
def test_refusals_come_before_the_first_pixel(fields, kind, sentence):
    with pytest.raises(kind, match=sentence):
        resolve(Spec(**fields))


@pytest.mark.parametrize("device", ["cuda:99", "nosuch", "meta", "cpu:x"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(RecipeError, match=rf"device '{device}' cannot be used here \(.+\); use --device cpu"):
        resolve(Spec(), device)


def test_options_without_effect_are_refused(tmp_path):
    only_train = str(write_folder(tmp_path / "pets"))
    with pytest.raises(RecipeError, match=r"there is no test split for --test-symmetry, only train; hold one out"):
        resolve(Spec(source=only_train, test_symmetry="d4"))
    write_folder(tmp_path / "tests" / "test")
    with pytest.raises(RecipeError, match=r"has no training split to hold images out of; leave --validation out"):
        resolve(Spec(source=str(tmp_path / "tests"), validation=0.5))


def test_an_image_that_is_not_square_cannot_be_turned(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(encoded(noise(6, 10)))
    source = str(tmp_path)
    for symmetry in ("c4", "d4-partial", "so2@-5..5", "0:none,1:c4"):
        with pytest.raises(ShapeError, match=r"images are 6x10 and .* turns them; use --size 10 to make them square"):
            resolve(Spec(source=source, symmetry=symmetry))
    for symmetry in ("none", "c2", "d1", "d2-partial@0.3"):
        plan = resolve(Spec(source=source, symmetry=symmetry))
        batch = plan.batch("train", range(2))
        assert np.array_equal(batch.images, by_numpy(plan.upright("train", range(2))[:, 0], batch.elements[0]))
    assert resolve(Spec(source=source, symmetry="d4", size=10)).shape == (1, 10, 10)


def test_an_image_that_is_not_square_cannot_be_turned_by_a_recipe_either(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(encoded(noise(6, 10)))
    quarter = (Pose(Element(), 0), Pose(Element(90), 1))
    recipe = Recipe("quarters", "", "", poses={"a": quarter, "b": quarter}, class_names=("up", "lying"), validation=0.0)
    monkeypatch.setattr("symdata.recipes.plan.find_recipe", {"quarters": recipe}.get)
    with pytest.raises(ShapeError, match=r"images are 6x10 and the recipe turns them; use --size 10"):
        resolve(Spec(source=str(tmp_path), recipe="quarters"))
