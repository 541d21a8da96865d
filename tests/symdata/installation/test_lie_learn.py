"""The stand-in for lie_learn: it carries escnn on the plane, refuses SO(3), and steps aside for the real one."""

import subprocess
import sys

import pytest
import torch

from symdata.installation.hints import install_line
from tests.support.steerable import require_escnn

REFUSES = """
import symdata.installation.lie_learn as home
home.find_spec = lambda name: None  # as if the real one were not installed, wherever this runs
assert home.stand_in() and home.stand_in()
from lie_learn.representations.SO3.wigner_d import wigner_D_matrix
wigner_D_matrix(1, 0.0, 0.0, 0.0)
"""


def run(code, path):
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_refuses_what_it_cannot_do_and_names_the_mend(tmp_path):
    result = run(REFUSES, tmp_path)
    assert result.returncode == 1
    assert "ImportError: wigner_D_matrix belongs to SO(3)" in result.stderr
    assert f"For SO(3), in an environment of its own: {install_line('steerable')}" in result.stderr


def test_it_steps_aside_for_the_real_one(tmp_path):
    (tmp_path / "lie_learn").mkdir()
    (tmp_path / "lie_learn" / "__init__.py").write_text("REAL = True")
    code = "from symdata.installation.lie_learn import stand_in\nassert not stand_in()\n"
    code += "import lie_learn\nassert lie_learn.REAL"
    result = run(f"{code}\nassert not stand_in()", tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("group", ["c4", "d4", "c8"])
def test_escnn_runs_on_it(group):
    escnn = require_escnn()
    make = {"c": escnn.gspaces.rot2dOnR2, "d": escnn.gspaces.flipRot2dOnR2}[group[0]]
    space = make(int(group[1:]))
    scalar, regular = (escnn.nn.FieldType(space, [r]) for r in (space.trivial_repr, space.regular_repr))
    layer = escnn.nn.R2Conv(scalar, regular, 5).eval()
    x = scalar(torch.randn(2, 1, 9, 9, generator=torch.Generator().manual_seed(0)))
    quarter = next(g for g in space.testing_elements if abs(_angle(g) - torch.pi / 2) < 1e-6)
    turned = layer(x.transform(quarter)).tensor
    assert torch.allclose(turned, layer(x).transform(quarter).tensor, atol=1e-5)
    assert not torch.allclose(turned, layer(x).tensor, atol=1e-2)  # the layer does see the rotation


def _angle(element):
    """Of a rotation, in radians; infinite for a mirror."""
    if element.group.name.startswith("D"):
        flip, rotation = element.to("int")
        return float("inf") if flip else 2 * torch.pi * rotation / element.group.rotation_order
    return 2 * torch.pi * element.to("int") / element.group.order()


SVD = """
from symdata.installation.lie_learn import stand_in
stand_in()
import escnn
from escnn.group import _numerical
print(_numerical.randomized_svd is not None)
from zoo.layers.steerable.basis import escnn
escnn()
print(_numerical.randomized_svd is None)
"""


def test_escnn_does_not_take_the_random_svd_of_an_installed_scikit_learn(tmp_path):
    """That of 1.9 refuses the matrices of groups with mirrors; here a package of the same name stands for it."""
    require_escnn()
    package = tmp_path / "sklearn" / "utils"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").write_text("")
    (package / "extmath.py").write_text("def randomized_svd(*args, **kwargs):\n    raise TypeError('np.matrix')\n")
    result = run(SVD, tmp_path)
    assert result.stdout.split() == ["True", "True"], result.stderr
