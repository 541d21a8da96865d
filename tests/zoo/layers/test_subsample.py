"""Group equivariant subsampling: the index moves bit for bit, the coset with it, and upsampling is the transpose."""

import pytest
import torch

from symdata.errors import ShapeError
from symdata.groups import Group
from tests.support.torus import digits, moved, moved_fields, shifts
from zoo.layers import (
    AdaptivePolyphase2d,
    EquivariantPolyphase2d,
    EquivariantSubsample2d,
    EquivariantUpsample2d,
    LiftingConv2d,
    group_index,
)
from zoo.layers.regular import act_on_features, fields, inverses, order, products
from zoo.layers.subsampling.indexing import act_on_index

FIBERS = [
    ("c1", "c1"),
    ("c4", "c4"),
    ("c4", "c2"),
    ("c4", "c1"),
    ("d4", "c4"),
    ("d4", "d2"),
    ("d4", "d1"),
    ("d2", "c1"),
]


def noise(group, channels=3, size=12, count=4, dtype=torch.float64, seed=0):
    shape = (count, order(Group.parse(group)) * channels, size, size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def lifted(images, group):
    """Fields of images that move with them bit for bit: the first layer's of the images as they stand."""
    torch.manual_seed(0)
    layer = LiftingConv2d(group, 1, 3, 5, padding=2, padding_mode="circular").to(images.dtype)
    with torch.no_grad():
        return layer(images).relu()


def same(a, b):
    return torch.equal(a.position, b.position) and torch.equal(a.element, b.element)


def check_index(features, group, count=3):
    found, size = group_index(features, group, element=True), features.shape[-1]
    for k, e in enumerate(Group.parse(group).elements):
        for shift in shifts(count, size, seed=k):
            after = group_index(moved_fields(features, e, group, shift), group, element=True)
            assert same(after, act_on_index(found, torch.tensor(k), group, size, torch.tensor(shift))), (e, shift)
            assert torch.equal(after.tied, found.tied)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("group", ["c1", "c4", "d1", "d4"])
def test_the_index_of_moved_noise_is_the_moved_index(group, dtype):
    found = check_index(noise(group, size=11, count=200, dtype=dtype), group)
    assert not found.tied.any() and len(found.position.unique(dim=0)) > 50
    assert len(found.element.unique()) == order(Group.parse(group))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_index_of_moved_digits_is_the_moved_index(data, dtype):
    found = check_index(lifted(digits(data, 300).to(dtype), "c4"), "c4", count=2)
    assert not found.tied.any() and len(found.position.unique(dim=0)) > 20


@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 0.999), (torch.float64, 1.0)])
def test_the_index_behind_a_convolution_of_moved_digits(data, dtype, share):
    """Here the features are computed anew, and round in another way."""
    images = digits(data, 300).to(dtype)
    found, agree = group_index(lifted(images, "c4"), "c4", element=True), []
    for k, e in enumerate(Group(4).elements):
        for shift in shifts(2, 32, seed=k):
            after = group_index(lifted(moved(images, e, shift), "c4"), "c4", element=True)
            wanted = act_on_index(found, torch.tensor(k), "c4", 32, torch.tensor(shift))
            agree.append((after.position == wanted.position).all(1) & (after.element == wanted.element))
    assert torch.cat(agree).double().mean() >= share


def test_control_sums_of_floats_depend_on_the_order_of_pixels():
    x = noise("c4", size=32, dtype=torch.float32)
    turned = torch.rot90(x, 1, (-2, -1))
    assert not torch.equal(x.mean((-2, -1)), turned.mean((-2, -1)))


def test_the_index_is_where_the_activity_is():
    x = torch.zeros(2, 4, 9, 9)
    x[0, 2, 3, 4] = 1.0
    x[1, 1, 0, 8] = -1e-30
    found = group_index(x, "c4", smooth=1, element=True)
    assert found.position.tolist() == [[3, 4], [0, 8]] and found.element.tolist() == [2, 1]
    assert not found.tied.any()
    assert group_index(x, "c4", smooth=3).tied.all(), "nine windows hold the one pixel"


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e30, 1e-42])
def test_a_constant_image_has_no_index_and_is_flagged(value):
    found = group_index(torch.full((2, 8, 7, 7), value), "c4", element=True)
    assert found.tied.all() and not found.position.any() and not found.element.any()


def test_which_of_tied_positions_is_taken_makes_no_difference_where_the_image_itself_exchanges_them():
    x = noise("c4", size=8)
    x = x + act_on_features(x, Group(4).elements[2], "c4")  # a half turn leaves it alone
    assert group_index(x, "c4").tied.all()
    y, _ = EquivariantSubsample2d(2, "c4")(x)
    for e in Group(4).elements:
        for shift in shifts(4, 8):
            z, _ = EquivariantSubsample2d(2, "c4")(moved_fields(x, e, "c4", shift))
            # a map on a torus of 4 x 4, moved by some element: its fields as a set
            assert torch.allclose(fields(z, "c4").sum((1, 3, 4)), fields(y, "c4").sum((1, 3, 4)), atol=1e-12)
            assert torch.allclose(fields(z, "c4").amax((1, 3, 4)), fields(y, "c4").amax((1, 3, 4)), atol=1e-12)


@pytest.mark.parametrize("stride", [2, 3, 4, 12])
@pytest.mark.parametrize(("group", "fiber"), FIBERS)
def test_the_smaller_map_of_a_moved_map_is_moved_by_the_subgroup(group, fiber, stride):
    """S(g f) = k S(f), with the k that takes what the index is on the smaller torus to what it becomes."""
    x, layer, small = noise(group), EquivariantSubsample2d(stride, group, fiber), 12 // stride
    index = group_index(x, group, element=True)
    y, coset = layer(x, index)
    below, H = layer.descend(index, 12), layer.fiber
    assert y.shape == (4, order(H) * 3, small, small)
    for k, e in enumerate(layer.group.elements):
        for shift in shifts(3, 12, seed=k):
            after = group_index(moved_fields(x, e, group, shift), group, element=True)
            z, moved_coset = layer(moved_fields(x, e, group, shift), after)
            lower = layer.descend(after, 12)
            assert same(layer.coset(after), moved_coset)
            for b in range(4):
                turn = products(H)[int(lower.element[b])][inverses(H)[int(below.element[b])]]
                turned = act_on_index(below, torch.tensor(turn), H, small)
                roll = ((lower.position[b] - turned.position[b]) % small).tolist()
                assert torch.equal(z[b : b + 1], moved_fields(y[b : b + 1], H.elements[turn], H, roll))
    if stride > 1:
        assert bool((coset.position > 0).any())


@pytest.mark.parametrize("make", [lambda s: EquivariantPolyphase2d(s, "d4"), AdaptivePolyphase2d])
@pytest.mark.parametrize("stride", [2, 3])
def test_without_the_fibre_a_turn_stays_that_turn_bit_for_bit(make, stride):
    x, layer = noise("d4", size=12, count=16, dtype=torch.float32), make(stride)
    y = layer(x)
    for e in Group.parse("d4").elements:
        assert torch.equal(layer(act_on_features(x, e, "d4")), act_on_features(y, e, "d4"))
        rolled = layer(moved_fields(x, e, "d4", (stride, -2 * stride)))
        assert torch.equal(rolled, moved_fields(y, e, "d4", (1, -2)))
    odd = layer(x.roll((1, 1), (-2, -1)))
    assert torch.equal(odd.flatten(1).sort().values, y.flatten(1).sort().values)
    control = x.roll((1, 1), (-2, -1))[..., ::stride, ::stride].flatten(1).sort().values
    assert not torch.equal(control, x[..., ::stride, ::stride].flatten(1).sort().values)


def test_adaptive_sampling_takes_the_phase_of_largest_norm():
    x = noise("c1", channels=2, size=6, count=50)
    y, norms = AdaptivePolyphase2d(3)(x), x.unflatten(3, (2, 3)).unflatten(2, (2, 3)).square().sum((1, 2, 4))
    assert torch.allclose(y.square().sum((1, 2, 3)), norms.flatten(1).amax(1))
    assert torch.equal(AdaptivePolyphase2d(2)(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 2, 2))
    given = AdaptivePolyphase2d(2)(x, torch.tensor([[1, 0]] * 50))
    assert torch.equal(given, x[..., 1::2, ::2])


@pytest.mark.parametrize(("group", "fiber"), FIBERS)
def test_upsampling_is_the_transpose_and_keeps_the_mean_square(group, fiber):
    x, down, up = noise(group), EquivariantSubsample2d(3, group, fiber), EquivariantUpsample2d(3, group, fiber)
    y, coset = down(x)
    z = noise(fiber, size=4, seed=1)
    assert torch.allclose(up.scale * (y * z).sum(), (x * up(z, coset)).sum())
    assert torch.allclose(down(up(z, coset), coset)[0], up.scale * z)
    assert torch.allclose(up(z, coset).square().mean(), z.square().mean())
    smooth = EquivariantUpsample2d(3, group, fiber, smooth=3)(z, coset)
    assert (
        torch.allclose(smooth.sum(), up(z, coset).sum()) and (smooth != 0).double().mean() > 1 / len(up.cosets) - 0.01
    )


@pytest.mark.parametrize(("group", "fiber"), [("c4", "c2"), ("d4", "c4"), ("d4", "c1")])
def test_upsampling_on_a_moved_coset_moves_the_result(group, fiber):
    """U(S(g f), p') = g U(S(f), p): the projection on the coset commutes with every g."""
    x, down, up = (
        noise(group),
        EquivariantSubsample2d(2, group, fiber),
        EquivariantUpsample2d(2, group, fiber, smooth=3),
    )
    kept = up(*down(x))
    for e in down.group.elements:
        for shift in shifts(3, 12):
            assert torch.allclose(up(*down(moved_fields(x, e, group, shift))), moved_fields(kept, e, group, shift))
    assert not torch.allclose(up(*down(x.roll(1, -1))), kept)


def test_gradients_go_to_the_pixels_that_were_taken():
    x = noise("c4", size=6).requires_grad_()
    down, up = EquivariantSubsample2d(2, "c4", "c2"), EquivariantUpsample2d(2, "c4", "c2")
    y, coset = down(x)
    y.sum().backward()
    assert x.grad.unique().tolist() == [0, 1] and x.grad.sum() == y.numel()
    z = noise("c2", size=3).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: up(z, coset), z)


REFUSED = [
    (lambda: EquivariantSubsample2d(0), "stride is 0"),
    (lambda: EquivariantSubsample2d(True), "stride is True"),
    (lambda: AdaptivePolyphase2d(1.5), "stride is 1.5"),
    (lambda: EquivariantSubsample2d(2, "c4", "d1"), "fiber is d1, expected a subgroup of c4"),
    (lambda: EquivariantUpsample2d(2, smooth=2), "smooth is 2, expected an odd number"),
    (lambda: EquivariantSubsample2d(smooth=4)(noise("c4")), "smooth is 4, expected an odd number"),
    (lambda: EquivariantSubsample2d(5)(noise("c4")), "sides that are multiples of 5"),
    (lambda: AdaptivePolyphase2d(5)(noise("c4")), "sides that are multiples of 5"),
    (lambda: EquivariantSubsample2d(2)(torch.zeros(1, 6, 4, 4)), "no axis of c4"),
    (lambda: EquivariantSubsample2d(2, "c4", "c1")(torch.zeros(1, 4, 4, 8)), "expected squares"),
    (lambda: group_index(torch.zeros(1, 4), "c4"), "expected (B, |G| C, H, W)"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_what_does_not_fit_is_refused_with_a_sentence(call, sentence):
    with pytest.raises(ShapeError) as caught:
        call()
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
