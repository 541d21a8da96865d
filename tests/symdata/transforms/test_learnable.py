"""Random affine maps with a learned range: their action on pixels, their draws, and their gradients."""

import copy
import math

import kornia.augmentation as K
import pytest
import torch

from symdata import Element, act
from symdata.errors import ShapeError, SymmetryError
from symdata.transforms.affine import STEP, AffineRange, read_generators
from symdata.transforms.generators import LEARNABLE
from symdata.transforms.learnable import LearnableAffine
from tests.support.pixels import noise

ALL = tuple(LEARNABLE)
WIDE = {"translate_x": 3.0, "translate_y": 3.0, "rotation": 2.0, "scale": 0.4, "stretch": 0.4, "diagonal_stretch": 0.4}


def box(generators="rotation", half_width=0.15, **options):
    """An `AffineRange` in float64, so that rounding is negligible."""
    return AffineRange(generators, half_width, **{"mask": "none", **options}).double()


def at(module, **coefficients):
    """Draws (1, d) with these coefficients."""
    wanted = [coefficients.get(name, 0.0) for name in module.generators]
    return (torch.tensor([wanted], dtype=torch.float64) / module.half_width.detach()).nan_to_num()


@pytest.mark.parametrize("shape", [(4, 1, 28, 28), (4, 3, 15, 20), (4, 2, 17, 12)])
def test_width_zero_is_the_identity(shape):
    images, still = torch.rand(shape, dtype=torch.float64), box(ALL, 0.0)
    assert (still(images, still.draw(4)) - images).abs().max() < 1e-12
    moving = box(ALL)
    assert (moving(images, moving.draw(4)) - images).abs().max() > 0.1


@pytest.mark.parametrize("n", [12, 13])
@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_quarter_turns_are_those_of_torch(n, quarters):
    images, turning = torch.rand(1, 2, n, n, dtype=torch.float64), box("rotation", math.pi)
    moved = turning(images, at(turning, rotation=quarters * math.pi / 2))
    assert (moved - torch.rot90(images, quarters, (-2, -1))).abs().max() < 1e-5
    assert (moved - torch.rot90(images, -quarters or 1, (-2, -1))).abs().max() > 0.1 or quarters == 2


@pytest.mark.parametrize("angle", [-75.0, 10.0, 30.0, 133.0])
@pytest.mark.parametrize("mask", ["disk", "none"])
@pytest.mark.parametrize("padding", ["border", "zeros", "reflection"])
def test_rotations_are_those_of_act(angle, mask, padding):
    images = torch.rand(1, 1, 14, 18, dtype=torch.float64)
    turning = box("rotation", math.pi, mask=mask, padding=padding)
    expected = act(images, Element(angle), resample="bilinear", mask=mask, padding=padding)
    assert (turning(images, at(turning, rotation=math.radians(angle))) - expected).abs().max() < 1e-5


def test_translations_are_shifts():
    images, moving = torch.rand(1, 1, 20, 20, dtype=torch.float64), box("translate_x,translate_y", 5.0)
    pixel = 1 / (STEP * 10)  # the half side is 10 pixels
    moved = moving(images, at(moving, translate_x=2 * pixel, translate_y=-pixel))
    assert (moved[..., :19, 2:] - images[..., 1:, :18]).abs().max() < 1e-5  # two to the right, one up


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scale", lambda c: [[math.exp(c), 0], [0, math.exp(c)]]),
        ("stretch", lambda c: [[math.exp(c), 0], [0, math.exp(-c)]]),
        ("diagonal_stretch", lambda c: [[math.cosh(c), math.sinh(c)], [math.sinh(c), math.cosh(c)]]),
        ("rotation", lambda c: [[math.cos(c), math.sin(c)], [-math.sin(c), math.cos(c)]]),
    ],
)
def test_each_generator_makes_its_subgroup(name, expected):
    module = box(ALL, 1.0)
    matrix = module.matrices(at(module, **{name: 0.3}))[0]
    assert torch.allclose(matrix[:2, :2], torch.tensor(expected(0.3), dtype=torch.float64), atol=1e-7)
    assert matrix[2].tolist() == [0, 0, 1] and matrix[:2, 2].abs().max() == 0


def test_the_inverse_undoes():
    module = box(ALL, WIDE, size=20)  # where 1 pixel is a coefficient of 1
    draws = module.draw(64)
    product = module.matrices(draws) @ module.matrices(-draws)
    assert (product - torch.eye(3, dtype=torch.float64)).abs().max() < 1e-12
    smooth = torch.outer(*(torch.sin(torch.linspace(0, math.pi, n, dtype=torch.float64)) for n in (40, 40)))
    images = smooth.expand(8, 1, 40, 40)
    turning = box("rotation", 1.0)
    back = turning(turning(images, draws[:8, :1]), draws[:8, :1], inverse=True)
    assert (back - images)[..., 8:-8, 8:-8].abs().max() < 0.01


@pytest.mark.parametrize("name", ALL)
def test_the_gradient_of_a_width_is_that_of_finite_differences(name):
    half = WIDE[name] / 2
    images, module = torch.rand(6, 1, 16, 16, dtype=torch.float64), box(name, half)
    weights, draws = torch.rand_like(images), module.draw(6, torch.Generator().manual_seed(3))

    def loss(width):
        module.half_width.data.fill_(width)
        return (module(images, draws) * weights).sum()

    value = loss(half)
    value.backward()
    step = 1e-7  # small enough to cross no pixel, where bilinear look-ups have a kink
    slope = (loss(half + step) - loss(half - step)) / (2 * step)
    assert module.half_width.grad.item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-4)
    assert abs(slope) > 0.01


def test_the_slope_of_the_width_is_one_wherever_it_is():
    """A softplus that starts at -5 has a slope of 0.007 there."""
    for half in (1e-6, 0.01, 0.15, 3.0):
        module = AffineRange("rotation", half)
        module.capped().sum().backward()
        assert module.half_width.grad.tolist() == [1.0]


@pytest.mark.parametrize("sign", [1, -1])
def test_beyond_the_cap_it_stays_there_and_can_come_back(sign):
    module = box("rotation", math.pi)
    module.half_width.data.fill_(sign * 4.0)
    assert module.half_widths() == {"rotation": 180.0}
    coefficient = torch.ones(1, 1, dtype=torch.float64)
    assert (module.matrices(coefficient)[0, :2, :2] + torch.eye(2)).abs().max() < 1e-5  # at most half a turn
    module.capped().sum().backward()
    assert module.half_width.grad.tolist() == [0.0]  # no gradient that would widen it
    images = torch.rand(4, 1, 16, 16, dtype=torch.float64)
    module(images, module.draw(4)).square().sum().backward()
    assert module.half_width.grad.abs().item() > 0  # but a gradient from the images


def test_the_sign_of_a_width_means_nothing():
    module, images = box("rotation", 1.0), torch.rand(8, 1, 16, 16, dtype=torch.float64)
    draws = module.draw(8)
    before = module(images, draws)
    module.half_width.data.neg_()
    assert module(images, draws).equal(before) and module.half_widths()["rotation"] == pytest.approx(57.2958, abs=1e-3)


def test_training_starts_as_narrow_as_in_the_code_of_the_paper():
    """0.15 of each coefficient: radians, tenths of a half side (1.4 pixels of 28), logarithms."""
    start = {"rotation": math.degrees(0.15), "translate_x": 0.15 * 1.4, "scale": 0.15}
    names = "rotation,translate_x,scale"
    assert AffineRange(names).half_widths(28) == pytest.approx(start, abs=1e-5)
    assert LearnableAffine(names).half_widths(28) == pytest.approx(start, abs=1e-5)


def test_half_widths_are_degrees_and_pixels():
    start = {"rotation": math.pi / 4, "translate_x": 2.8, "scale": 0.1}
    found = AffineRange("rotation,translate_x,scale", start, size=28)
    assert found.half_widths(28) == pytest.approx({"rotation": 45.0, "translate_x": 2.8, "scale": 0.1}, abs=1e-5)
    assert found.half_width.tolist() == pytest.approx([math.pi / 4, 2.0, 0.1])
    assert AffineRange("translate_x", 2.0).half_widths(28) == pytest.approx({"translate_x": 2.8}, abs=1e-5)
    with pytest.raises(ShapeError, match="translate_x is in pixels; say of which side, for example size=28"):
        AffineRange("translate_x", {"translate_x": 2.8})
    with pytest.raises(SymmetryError, match="half_width of translate_x is 8, expected 0 to 7"):
        AffineRange("translate_x", {"translate_x": 8}, size=28)
    with pytest.raises(ShapeError, match="translate_x is in pixels; say of which side"):
        found.half_widths()


def test_angles_are_uniform():
    """Kolmogorov-Smirnov distance of 4,000 angles; a uniform sample exceeds the bound once in 10,000."""
    module = AffineRange("rotation", 1.25)
    matrices = module.matrices(module.draw(4000, torch.Generator().manual_seed(0))).detach()
    angles = torch.atan2(matrices[:, 0, 1], matrices[:, 0, 0]).sort().values.double()
    assert angles.abs().max() <= 1.2501
    bound, steps = 2.23 / 4000**0.5, torch.arange(4000) / 4000

    def distance(half):
        return ((angles + half) / (2 * half) - steps).abs().max()

    assert distance(1.25) < bound < distance(1.4)


@pytest.mark.parametrize("generators", ["rotation", "rotation,scale", ALL])
@pytest.mark.parametrize("copies", [1, 2, 3, 4, 7, 16])
def test_fixed_draws_are_spread_evenly(generators, copies):
    module = AffineRange(generators)
    points = module.spread(copies)
    midpoints = torch.arange(1, 2 * copies, 2) / copies - 1
    assert torch.allclose(points.sort(0).values, midpoints[:, None].expand_as(points), atol=1e-6)
    assert points.equal(AffineRange(generators, 1.0).spread(copies))
    if len(module.generators) == 2 and copies == 16:
        orders = points.argsort(0)
        assert orders[:, 0].tolist() != orders[:, 1].tolist()
        assert abs(torch.corrcoef(points.T)[0, 1]) < 0.3  # not along a diagonal


def test_a_given_generator_decides():
    images, augment = noise(8, 1, 12, 12), LearnableAffine("rotation", 1.0, generator=torch.Generator().manual_seed(5))
    first = augment(images)
    again = LearnableAffine("rotation", 1.0, generator=torch.Generator().manual_seed(5))
    assert again(images).equal(first) and not again(images).equal(first)
    torch.manual_seed(1)
    free = LearnableAffine("rotation", 1.0)
    one = free(images)
    torch.manual_seed(1)
    assert free(images).equal(one)


def test_in_a_container_everything_goes_along():
    augment = LearnableAffine(("rotation", "translate_x"), {"rotation": 1.0, "translate_x": 2.5}, mask="none", size=25)
    sequential = K.AugmentationSequential(augment, data_keys=["image", "mask", "keypoints"])
    spots = torch.tensor([[10.0, 14.0], [16.0, 11.0]]).expand(8, 2, 2)
    y, x = torch.meshgrid(torch.arange(25.0), torch.arange(25.0), indexing="ij")
    blob = torch.exp(-((x - 10) ** 2 + (y - 14) ** 2) / 8).expand(8, 1, 25, 25)
    masks = (blob > 0.5).float() * 3
    moved, moved_masks, points = sequential(blob, masks, spots.clone())
    mass = moved.sum((-2, -1))
    centre = torch.stack([(moved * x).sum((-2, -1)) / mass, (moved * y).sum((-2, -1)) / mass], -1)[:, 0]
    assert (centre - points[:, 0]).abs().max() < 0.05
    assert (points[:, 0] - spots[:, 0]).abs().max() > 1.0
    assert set(moved_masks.unique().tolist()) == {0.0, 3.0}
    assert ((moved > 0.5).float() * 3 != moved_masks).float().mean() < 0.01


def test_a_container_can_be_replayed_undone_and_learned():
    images = noise(6, 2, 15, 15)
    augment = LearnableAffine(ALL, 0.1, mask="none")
    sequential = K.AugmentationSequential(augment, data_keys=["image"])
    moved = sequential(images)
    assert sequential(images, params=sequential._params).equal(moved)
    assert sequential.inverse(moved).shape == images.shape
    moved.square().sum().backward()
    assert (augment.range.half_width.grad != 0).all()
    copy.deepcopy(sequential)  # a tensor with a gradient history cannot be copied


def test_the_state_is_the_widths_alone():
    augment = LearnableAffine("rotation,scale", 0.3)
    assert {k: v.tolist() for k, v in augment.state_dict().items()} == {"range.half_width": [pytest.approx(0.3)] * 2}
    other = LearnableAffine("rotation,scale")
    other.load_state_dict(augment.state_dict())
    assert other.half_widths() == augment.half_widths()
    with pytest.raises(RuntimeError, match="size mismatch"):
        LearnableAffine("rotation").load_state_dict(augment.state_dict())


def test_options_of_kornia():
    image = noise(1, 1, 11, 11)[0]
    assert LearnableAffine(keepdim=True)(image).shape == (1, 11, 11)
    one = LearnableAffine("rotation", 1.0, same_on_batch=True)
    moved = one(image.expand(4, 1, 11, 11))
    assert moved[0].equal(moved[3])
    assert "rotation" in repr(one)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: AffineRange("rotaton"), "no generator 'rotaton'; did you mean rotation?"),
        (lambda: AffineRange("rotation,rotation"), "name one twice"),
        (lambda: AffineRange(()), "expected some of rotation, translate_x"),
        (lambda: AffineRange([1]), "no generator 1; there are rotation, translate_x"),
        (lambda: AffineRange("rotation", 4.0), "half_width of rotation is 4.0, expected 0 to 3.142"),
        (lambda: AffineRange("rotation", float("nan")), "half_width of rotation is nan"),
        (lambda: AffineRange("rotation", {"scale": 0.1}), r"half_width names \['scale'\], expected rotation"),
        (lambda: AffineRange(mask="square"), "mask is 'square', expected one of disk, none"),
        (lambda: AffineRange()(torch.zeros(2, 1, 5, 5), torch.zeros(3, 1)), "3 draws for images"),
        (lambda: AffineRange()(torch.zeros(2, 1, 5, 5).byte(), torch.zeros(2, 1)), "divide uint8 images by 255"),
        (lambda: AffineRange().matrices(torch.zeros(2, 3)), r"draws are \(2, 3\), expected \(B, 1\)"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises((SymmetryError, ShapeError), match=sentence):
        make()


def test_generators_are_read_from_text_or_a_sequence():
    assert read_generators(" rotation, scale") == read_generators(["rotation", "scale"]) == ("rotation", "scale")
