"""`RandomSymmetry` alone: draws, keys and labels, repetition, inverse, copies, devices and refusals."""

import copy
import doctest
import pickle

import numpy as np
import pytest
import torch

import symdata.transforms.action
import symdata.transforms.augmentation
from symdata import Element, Elements, RandomSymmetry, Symmetry, act, split_keys
from symdata.errors import ShapeError, SymmetryError
from symdata.transforms.resampling import Resampling
from tests.support.distributions import ALPHA, chi_square
from tests.support.pixels import moved_point, noise, smooth

SPECS = ["d4", "d4-partial@0.3", "c8", "so2@-45..45", "o2", "none", "0-2:d4,3:so2,rest:none"]
LABELS = torch.arange(16) % 5


def keys(n=16, seed=0):
    return split_keys(seed, "train", "augment", torch.arange(n))


def elements_of(augment):
    return Elements(augment._params["angle"], augment._params["flip"])


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_is_act_with_sampled_elements(spec, dtype):
    images, symmetry = noise(16, 3, 12, 12, dtype=dtype), Symmetry.parse(spec)
    moved = RandomSymmetry(spec)(images, labels=LABELS, keys=keys())
    kernel = "exact" if symmetry.is_lattice else "halves"
    assert moved.dtype == dtype
    assert moved.equal(act(images, symmetry.sample(LABELS, keys()), resample=kernel))
    assert moved.equal(act(images, symmetry.sample(LABELS.numpy(), keys().numpy()), resample=kernel))


@pytest.mark.parametrize("spec", SPECS)
def test_the_same_keys_give_the_same_elements_in_every_batch(spec):
    images, augment = noise(16, 1, 9, 9), RandomSymmetry(spec)
    whole = augment(images, labels=LABELS, keys=keys())
    for size in (1, 5):
        spans = [slice(i, i + size) for i in range(0, 16, size)]
        assert torch.cat([augment(images[s], labels=LABELS[s], keys=keys()[s]) for s in spans]).equal(whole)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    assert augment(images[order], labels=LABELS[order], keys=keys()[order]).equal(whole[order])
    with augment.given(labels=LABELS.numpy(), keys=keys().numpy()):
        assert augment(images).equal(whole)


def test_without_keys_it_draws_from_the_generator_of_torch():
    images, augment = noise(64, 1, 4, 4), RandomSymmetry("d4")
    torch.manual_seed(3)
    one, other = augment(images), augment(images)
    torch.manual_seed(3)
    assert augment(images).equal(one) and not one.equal(other)
    before = torch.get_rng_state()
    augment(images, keys=keys(64))
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("spec", ["d4", "d4-partial@0.3", "c8@-90..90"])
def test_what_it_draws_has_the_distribution(spec):
    torch.manual_seed(0)
    augment = RandomSymmetry(spec, resample="auto")
    augment(torch.zeros(20_000, 1, 1, 1))
    symmetry = augment.symmetry
    assert chi_square(elements_of(augment).cpu(), symmetry.elements, symmetry.group) > ALPHA


def test_every_class_is_moved_by_its_own_measure():
    augment = RandomSymmetry("0:c4@90..90,1:d1,rest:none")
    images, labels = noise(300, 1, 4, 4), torch.arange(300) % 3
    moved = augment(images, labels=labels)
    assert moved[labels == 0].equal(act(images[labels == 0], Element(90)))
    assert moved[labels == 2].equal(images[labels == 2])
    mirrored = elements_of(augment).flip[labels == 1]
    assert 20 < mirrored.sum() < 80 and (elements_of(augment).angle[labels == 1] == 0).all()


def test_given_ends_with_its_block_and_can_be_nested():
    augment, images = RandomSymmetry("0:d4"), noise(4, 1, 4, 4)
    with augment.given(keys=keys(4)):
        with augment.given(labels=[0] * 4):
            inner = augment(images)
        assert augment(images, labels=[0] * 4).equal(inner)
    with pytest.raises(SymmetryError, match="no labels were given; pass labels="):
        augment(images)
    with pytest.raises(ZeroDivisionError), augment.given(labels=[0] * 4):
        raise ZeroDivisionError
    assert augment._labels is None and augment._keys is None and augment.generator is None


def test_one_draw_for_the_whole_batch():
    images, augment = noise(1, 1, 8, 8).expand(32, 1, 8, 8), RandomSymmetry("o2", same_on_batch=True)
    moved = augment(images)
    assert moved.equal(moved[:1].expand_as(moved))
    assert len({element.angle for element in elements_of(augment)}) == 1
    assert not augment(images).equal(moved)
    assert augment(images, keys=keys(1)).equal(augment(images[:5], keys=keys(1))[:1].expand_as(moved))
    with pytest.raises(ShapeError, match="2 keys for 32 images; same_on_batch draws once, pass one key"):
        augment(images, keys=keys(2))


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("spec", ["d4", "c8"])
def test_images_without_a_batch(spec, keepdim):
    image, augment = noise(3, 8, 8), RandomSymmetry(spec, keepdim=keepdim)
    moved = augment(image, keys=keys(1))
    assert moved.shape == ((3, 8, 8) if keepdim else (1, 3, 8, 8))
    assert moved.view(1, 3, 8, 8).equal(augment(image[None], keys=keys(1)))
    if spec == "d4":
        assert augment.inverse(augment(image)).view_as(image).equal(image)


@pytest.mark.parametrize("spec", SPECS)
def test_a_call_is_repeated_with_its_params(spec):
    images, augment = noise(16, 1, 8, 8), RandomSymmetry(spec)
    first = augment(images, labels=LABELS)
    params = augment._params
    augment(images, labels=LABELS)
    assert augment(images, params=params).equal(first)
    assert RandomSymmetry(spec)(images, params=params).equal(first)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("n", [8, 9])
def test_the_inverse_is_exact_on_the_lattice(n, dtype):
    images, augment = noise(64, 2, n, n, dtype=dtype), RandomSymmetry("d4")
    moved = augment(images)
    params = augment._params
    assert not moved.equal(images) and augment.inverse(moved).equal(images)
    augment(images)
    assert augment.inverse(moved, params=params).equal(images)


@pytest.mark.parametrize("spec", ["so2", "o2-partial", "d8"])
def test_the_inverse_is_close_elsewhere(spec):
    images, augment = smooth(32, 16), RandomSymmetry(spec, resample="bicubic")
    moved = augment(images)
    assert (moved - images).abs().max() > 0.3 and (augment.inverse(moved) - images).abs().max() < 0.1


@pytest.mark.parametrize("spec", ["d4", "c8", "o2"])
@pytest.mark.parametrize("n", [8, 9])
def test_the_matrix_says_where_pixels_go(spec, n):
    augment = RandomSymmetry(spec)
    augment(torch.zeros(16, 1, n, n, dtype=torch.float64))
    for matrix, element in zip(augment.transform_matrix, elements_of(augment), strict=True):
        x, y, one = (matrix @ torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)).tolist()
        assert (x, y) == pytest.approx(moved_point(2.0, 1.0, element.angle, element.flip, n), abs=1e-12) and one == 1.0
    if spec == "d4":
        assert augment.transform_matrix.frac().abs().max() == 0.0  # integers: pixels are mapped to pixels


def test_the_matrix_is_float32_at_least():
    augment = RandomSymmetry("d4")
    for dtype, expected in ((torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2):
        augment(torch.zeros(2, 1, 400, 400, dtype=dtype))
        assert augment.transform_matrix.dtype == expected


def test_gradients_flow():
    for spec in ("d4", "c8"):
        images = noise(8, 1, 6, 6, dtype=torch.float64).requires_grad_()
        augment = RandomSymmetry(spec)
        assert torch.autograd.gradcheck(lambda x, a=augment: a(x, keys=keys(8)), images)


def test_images_that_are_not_square():
    images = noise(8, 1, 6, 9)
    for spec in ("d2", "c2-partial", "c4@180..180", "0:d1,rest:c2"):
        augment = RandomSymmetry(spec)
        moved = augment(images, labels=torch.arange(8) % 2)
        assert moved.shape == images.shape and augment.inverse(moved).equal(images)
    assert RandomSymmetry("c8")(images).shape == images.shape
    for spec in ("d4", "c4-partial@0.001", "0:c4,rest:none"):  # refused, whatever is drawn
        with pytest.raises(ShapeError, match="images are 6x9, and a quarter turn needs square ones; resize or pad"):
            RandomSymmetry(spec)(images, labels=torch.ones(8, dtype=torch.int64), keys=keys(8))


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (0, 3, 5, 5)])
@pytest.mark.parametrize("spec", ["d4", "c8", "0:d4"])
def test_batches_of_nothing(shape, spec):
    augment, none = RandomSymmetry(spec), torch.zeros(0, dtype=torch.int64)
    moved = augment(torch.zeros(shape), labels=none)
    assert moved.shape == shape and augment.inverse(moved).shape == shape
    assert augment(torch.zeros(shape), labels=none, keys=none).shape == shape


def test_options_are_decided_once_for_the_symmetry():
    assert RandomSymmetry("d4").how == Resampling("exact", "none")
    assert RandomSymmetry("c8").how == Resampling("halves", "disk")
    assert RandomSymmetry("d4", supersample=3).how == Resampling("bilinear", "disk", "border", 3)
    assert RandomSymmetry("so2@90..90").how.is_exact
    # The identity is resampled too; otherwise its sharpness would reveal it.
    images = noise(4, 1, 9, 9)
    upright = RandomSymmetry("c8-partial@0.000001")(images, keys=keys(4))
    assert not upright.equal(images) and upright.equal(act(images, Element(), resample="halves"))


@pytest.mark.parametrize("spec", ["d4", "0-4:so2@-45..45,rest:none"])
def test_it_can_be_copied_pickled_and_moved(spec):
    augment = RandomSymmetry(spec, keepdim=True)
    images = noise(16, 1, 8, 8)
    expected = augment(images, labels=LABELS, keys=keys())
    for twin in (copy.deepcopy(augment), pickle.loads(pickle.dumps(augment)), augment.to(torch.float64), augment.cpu()):
        assert twin(images, labels=LABELS, keys=keys()).equal(expected)
        assert repr(twin) == repr(augment) and spec in repr(twin)
    assert augment.state_dict() == {} and list(augment.parameters()) == []
    assert augment.train()(images, labels=LABELS, keys=keys()).equal(augment.eval()(images, labels=LABELS, keys=keys()))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (("c8", "exact"), SymmetryError, "'c8' leaves the pixel lattice; use resample='halves', not 'exact'"),
        (("0:d4,1:so2", "exact"), SymmetryError, "'0:d4,1:so2' leaves the pixel lattice"),
        (("d4", "lanczos"), SymmetryError, "resample is 'lanczos', expected one of exact, halves"),
        (("d5x",), SymmetryError, "symmetry 'd5x', character 3: 'x' cannot follow 'd5'"),
        ((None,), SymmetryError, "symmetry None is not a text"),
    ],
)
def test_what_does_not_exist_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        RandomSymmetry(options[0], **({"resample": options[1]} if len(options) > 1 else {}))


def test_keys_and_labels_that_do_not_fit_are_refused():
    augment, images = RandomSymmetry("0:d4"), noise(4, 1, 8, 8)
    with pytest.raises(ShapeError, match="3 keys for 4 images; pass one key for each"):
        augment(images, labels=[0] * 4, keys=keys(3))
    with pytest.raises(ShapeError, match="3 labels for 4 images; pass one label for each"):
        augment(images, labels=[0] * 3)
    with pytest.raises(SymmetryError, match="'0:d4' says nothing of class 1; add ',rest:none'"):
        augment(images, labels=[0, 0, 1, 0])
    with pytest.raises(ShapeError, match="3 labels for 4 images; pass one label for each"):
        augment(images.to(torch.uint8), labels=[0] * 3)


@pytest.mark.parametrize("module", [symdata.transforms.action, symdata.transforms.augmentation])
def test_the_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted >= 4 and result.failed == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda():
    images = noise(16, 1, 28, 28)
    for spec in SPECS:
        augment = RandomSymmetry(spec).to("cuda")
        moved = augment(images.cuda(), labels=LABELS.cuda(), keys=keys().cuda())
        expected = RandomSymmetry(spec)(images, labels=LABELS, keys=keys())
        torch.testing.assert_close(moved.cpu(), expected, rtol=0, atol=0 if augment.how.is_exact else 1e-4)
        assert augment(images.cuda(), labels=LABELS).device.type == "cuda"


def test_numpy_integers_serve_as_labels():
    labels = np.arange(16, dtype=np.uint8) % 5
    augment, images = RandomSymmetry("0-2:d4,rest:none"), noise(16, 1, 6, 6)
    assert augment(images, labels=labels, keys=keys()).equal(augment(images, labels=LABELS, keys=keys()))


def test_keys_and_labels_are_whole_numbers():
    augment, images = RandomSymmetry("0-2:d4,rest:none"), noise(16, 1, 6, 6)
    with pytest.raises(ShapeError, match=r"keys are torch.float32, expected integers; make them with split_keys"):
        augment(images, labels=LABELS, keys=torch.rand(16))
    with pytest.raises(ShapeError, match=r"labels are torch.float32, expected integers"):
        augment(images, labels=LABELS.float(), keys=keys())
