"""The table of generators: each is what it is said to be, and earlier spellings are still read."""

import math

import pytest
import torch

from symdata.errors import SymmetryError
from symdata.transforms.affine import STEP, AffineRange, read_generators
from symdata.transforms.generators import GENERATORS, LEARNABLE, current_name, half_width_unit


def test_learned_ranges_and_flows_read_one_table():
    """A coefficient of an `AffineRange` is t, of a translation t over a tenth of the half side."""
    assert list(GENERATORS) == [*LEARNABLE, "shear"]
    for name, generator in LEARNABLE.items():
        box = AffineRange(name, 0.2).double()
        (matrix,) = box.matrices(torch.ones(1, 1, dtype=torch.float64))
        velocity = torch.zeros(3, 3, dtype=torch.float64)
        velocity[:2] = torch.tensor(generator.velocity, dtype=torch.float64)
        velocity[:2, 2] *= STEP  # half sides, where the table has pixels
        assert torch.allclose(matrix, torch.linalg.matrix_exp(0.2 * velocity), atol=1e-7)


def test_a_shear_and_a_diagonal_stretch_are_two_maps():
    shear, stretch = (torch.tensor(GENERATORS[name].velocity) for name in ("shear", "diagonal_stretch"))
    assert not torch.equal(shear, stretch)
    turn = torch.tensor(GENERATORS["rotation"].velocity)
    assert torch.equal(stretch + turn, -2 * shear), "a shear is a stretch and a turn, half each"


def test_velocities_and_units():
    assert {name: g.unit for name, g in GENERATORS.items()} == {
        "rotation": "radian",
        "translate_x": "pixel",
        "translate_y": "pixel",
        "scale": "log-scale",
        "stretch": "log-scale",
        "diagonal_stretch": "log-scale",
        "shear": "shear factor",
    }
    assert GENERATORS["rotation"].fastest((9, 9)) == pytest.approx(4 * math.sqrt(2))
    assert GENERATORS["translate_x"].fastest((9, 9)) == 1.0 and GENERATORS["translate_x"].is_translation
    assert [half_width_unit(name) for name in ("rotation", "translate_y", "scale", "unheard of")] == [
        "degrees", "pixels", "log of a factor", "log of a factor",
    ]  # fmt: skip


def test_earlier_spellings_are_read():
    assert current_name("translate-y") == "translate_y"
    assert read_generators("translate-x, shear") == ("translate_x", "diagonal_stretch")
    assert AffineRange("shear", {"shear": 0.3}).half_widths() == pytest.approx({"diagonal_stretch": 0.3})
    with pytest.raises(SymmetryError, match="name one twice"):
        read_generators(["shear", "diagonal_stretch"])
