"""Free filters: windows and bases, the projection on the equivariant ones, and what gradients on whole orbits do."""

import pytest
import torch
from torch import nn

from symdata.errors import ShapeError
from symdata.groups import Group
from symdata.transforms.orbits import OrbitBatch
from zoo.errors import ModelError
from zoo.layers import GroupConv2d, GroupPool, LiftingConv2d
from zoo.layers.regular import move
from zoo.layers.relaxed import FreeConv2d, FreeGroupConv2d, FreeLiftingConv2d
from zoo.layers.relaxed.free import BASES, WINDOWS, basis_of, window_of
from zoo.measure import equivariant_distance, project_
from zoo.measure.kernels import averaged


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def free(group="d4", window="full", basis="orthonormal", kernel=3):
    layer = FreeGroupConv2d(group, 3, 2, kernel, padding=1, window=window, basis=basis).double()
    return layer.restrict_(window, basis)  # its tables in float64 too


def drawn(layer):
    """The same layer, with other weights."""
    with torch.no_grad():
        layer.weight.normal_()
    return layer


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("window", WINDOWS)
def test_every_group_keeps_the_full_window_and_the_cross_and_quarter_turns_move_the_skew_one(window, kernel):
    pixels = window_of(window, kernel)
    kept = [torch.equal(move(pixels, e), pixels) for e in Group("d4").elements]
    assert all(kept) == (window != "skew" or kernel <= 1)


def test_pixels_are_an_orthonormal_basis_and_the_skewed_one_is_a_basis():
    for kernel in (1, 3, 4):
        eye = torch.eye(kernel**2, dtype=torch.float64)
        assert torch.equal(basis_of("orthonormal", kernel), eye)
        skewed = basis_of("skewed", kernel)
        assert torch.linalg.matrix_rank(skewed) == kernel**2
        assert kernel == 1 or float((skewed @ skewed.T - eye).norm()) > 0.5


@pytest.mark.parametrize("group", ["c2", "c4", "d1", "d2", "d4"])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("basis", BASES)
def test_the_projection_is_idempotent_orthogonal_and_equivariant(group, window, basis):
    layer = drawn(free(group, window, basis))
    before = layer.filters()
    nearest, rest = layer.projected(), layer.deviation().detach()
    torch.testing.assert_close(layer.project(nearest), nearest, rtol=0, atol=1e-14)
    assert abs(float((nearest * rest).sum())) < 1e-11 * float(before.square().sum())
    torch.testing.assert_close(averaged(nearest, group, group, group), nearest, rtol=0, atol=1e-14)
    assert torch.equal(nearest * window_of(window, 3), nearest)
    layer.project_()
    torch.testing.assert_close(layer.filters(), nearest, rtol=0, atol=1e-13)
    assert layer.is_strict and float(rest.norm()) > 0.1 * float(before.norm())  # negative control


@pytest.mark.parametrize("kind", [FreeGroupConv2d, FreeLiftingConv2d])
def test_a_filter_is_the_sum_of_its_basis(kind):
    layer = drawn(kind("c4", 2, 2, 3, window="cross", basis="skewed").double().restrict_("cross", "skewed"))
    inside = window_of("cross", 3).flatten()
    rows = basis_of("skewed", 3) * (inside[:, None] & inside)
    expected = sum(layer.weight.flatten(2)[..., i, None] * rows[i] for i in range(9))
    torch.testing.assert_close(layer.filters().flatten(2), expected.detach())


def network(window, basis):
    """Ends in logits that no quarter turn changes, as long as the filters are equivariant; in float64."""
    options = {"window": window, "basis": basis}
    layers = nn.Sequential(
        FreeLiftingConv2d("c4", 1, 3, 3, padding=1, **options),
        nn.Tanh(),
        FreeGroupConv2d("c4", 3, 3, 3, padding=1, **options),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(1),
        GroupPool("c4"),
        nn.Flatten(),
        nn.Linear(3, 3),
    ).double()
    for layer in layers:
        if isinstance(layer, FreeConv2d):
            layer.restrict_(window, basis)
    return layers


def drift(window, basis, orbit=True, steps=10):
    """The distance after some steps of gradient descent."""
    model, images, labels = network(window, basis), torch.randn(6, 1, 7, 7).double(), torch.arange(6) % 3
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    if orbit:
        images, labels, _ = OrbitBatch("c4")(images, labels)
    assert equivariant_distance(model).total < 1e-14
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return equivariant_distance(model).total


@pytest.mark.parametrize("window", ["full", "cross"])
def test_gradients_on_whole_orbits_stay_equivariant(window):
    assert drift(window, "orthonormal") < 1e-13


@pytest.mark.parametrize(
    ("window", "basis", "orbit"),
    [
        ("skew", "orthonormal", True),
        ("cross", "skewed", True),
        ("full", "skewed", True),
        ("full", "orthonormal", False),
    ],
)
def test_they_leave_if_the_window_or_the_basis_is_incompatible_or_the_orbits_are_not_whole(window, basis, orbit):
    assert drift(window, basis, orbit) > 1e-5


def test_a_network_moves_to_the_nearest_equivariant_one():
    model = network("full", "orthonormal")
    for layer in model:
        if isinstance(layer, FreeConv2d):
            drawn(layer)
    found = equivariant_distance(model)
    assert list(found.layers) == ["0", "2"] and found.total == pytest.approx(
        (found.layers["0"] ** 2 + found.layers["2"] ** 2) ** 0.5
    )
    assert f"{found.total:.3e}" in str(found) and found.plot() is not None and found.to_dict()["total"] == found.total
    assert equivariant_distance(project_(model)).total < 1e-14 < found.total


def test_filters_of_free_layers_are_not_the_weights_themselves():
    layer = free()
    layer.filters().zero_()
    assert float(layer.weight.detach().norm()) > 0


def test_bad_words_and_networks_are_refused():
    with pytest.raises(ShapeError, match="window is 'star', expected one of full, cross, skew"):
        FreeGroupConv2d("c4", 1, 1, 3, window="star")
    with pytest.raises(ShapeError, match="basis is 'bent', expected one of orthonormal, skewed"):
        FreeLiftingConv2d("c4", 1, 1, 3, basis="bent")
    with pytest.raises(ModelError, match="no layer of the Sequential has filters that may leave its group"):
        equivariant_distance(nn.Sequential(LiftingConv2d("c4", 1, 1, 3), GroupConv2d("c4", 1, 1, 3)))
