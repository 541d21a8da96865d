"""`Symmetry.sample`: its distribution by measure and class, and that a draw depends on (label, key) alone."""

import numpy as np
import pytest
import torch
from kornia.augmentation import RandomRotation90
from scipy import stats

from symdata import Group, Symmetry, split_keys
from symdata.errors import ShapeError, SymmetryError
from symdata.keys import uniforms
from tests.support.distributions import ALPHA, chi_square, fair_coin

N = 40_000
FINITE = """
    none c4 d4 c8 c3 d6 c360 d4-partial d4-partial@0.9 c4-partial@0.05 d1
    c8@-90..90 d4@0..90 c8@0~30 d8@100~60 c4@180..180
    0.7@none+0.3@r90 0.1@e+0.2@r90+0.3@r180m+0.4@hvt c8@45~k4 0.3@c4+0.3@d1+0.4@c8@0..90 r90m
""".split()


def keys(n=N, seed=0, split="train"):
    return split_keys(seed, split, "symmetry", np.arange(n))


@pytest.mark.parametrize("text", FINITE)
@pytest.mark.parametrize("seed", [0, 1])
def test_finite_groups_by_chi_square(text, seed):
    symmetry = Symmetry.parse(text)
    drawn = symmetry.sample(None, keys(seed=seed))
    assert len(drawn) == N and drawn.angle.dtype == np.float64 and drawn.flip.dtype == bool
    assert chi_square(drawn, symmetry.elements, symmetry.group) > ALPHA


def test_neighbouring_samples_are_independent():
    group = Group.parse("d4")
    index = group.indices(Symmetry.parse("d4").sample(None, keys()))
    for lag in (1, 2, 17, 1000):
        table = np.bincount(8 * index[lag:] + index[:-lag], minlength=64)
        assert stats.chisquare(table).pvalue > ALPHA


def test_kornia_rotations_by_90_fail_the_same_test():
    """The negative control: `RandomRotation90(times=(0, 3))` rounds a uniform real, so the ends come half as often."""
    torch.manual_seed(0)
    corner = torch.zeros(N // 4, 1, 2, 2)
    corner[..., 0, 0] = 1.0  # quarter turns move it to the bottom left, bottom right, top right
    moved = RandomRotation90(times=(0, 3), p=1.0, resample="nearest")(corner).flatten(1).argmax(1)
    drawn = Group.parse("c4").take(np.array([0, 3, 1, 2])[moved.numpy()])
    assert chi_square(drawn, Symmetry.parse("c4").elements, Group.parse("c4")) < 1e-9


def test_every_class_has_its_own_distribution():
    symmetry = Symmetry.parse("0:d4,1:d4-partial@0.3,2-3:c4,5:c8@-90..90,rest:none")
    labels = np.arange(8 * N // 4) % 8
    drawn = symmetry.sample(labels, keys(len(labels)))
    for label in range(8):
        atoms, group = symmetry.measure(label).atoms, symmetry.group
        assert chi_square(drawn[labels == label], atoms, group) > ALPHA
    assert chi_square(drawn[labels == 1], symmetry.measure(0).atoms, symmetry.group) < ALPHA  # classes do differ


def test_classes_do_not_disturb_each_other():
    one, other = Symmetry.parse("0:d4,1:c8,rest:none"), Symmetry.parse("0:d4,1:none,7:so2,rest:o2")
    labels, key = np.arange(1000) % 10, keys(1000)
    assert list(one.sample(labels, key)[labels == 0]) == list(other.sample(labels, key)[labels == 0])
    alone = Symmetry.parse("d4").sample(None, key)
    assert list(one.sample(labels, key)[labels == 0]) == list(alone[labels == 0])


def test_the_identity_of_a_partial_measure_is_exact():
    for text, share in (("so2-partial@0.3", 0.7), ("o2-partial", 0.5)):
        drawn = Symmetry.parse(text).sample(None, keys())
        upright = (drawn.angle == 0.0) & ~drawn.flip
        assert fair_coin(upright, share) > ALPHA
        assert stats.kstest(drawn.angle[~upright], stats.uniform(0, 360).cdf).pvalue > ALPHA
    assert fair_coin(drawn.flip[~upright]) > ALPHA


@pytest.mark.parametrize(
    ("text", "start", "law"),
    [
        ("so2", 0.0, stats.uniform(0, 360)),
        ("o2", 0.0, stats.uniform(0, 360)),
        ("so2@-45..45", -180.0, stats.uniform(-45, 90)),
        ("o2@-45..45", -180.0, stats.uniform(-45, 90)),
        ("so2@170..190", 0.0, stats.uniform(170, 20)),
        ("so2@45~20", -135.0, stats.norm(45, 20)),
        ("o2@-10~3", -180.0, stats.norm(-10, 3)),
        ("so2@0~k4", -180.0, stats.vonmises(4, scale=180 / np.pi)),
        ("o2@-20~k0.5", -200.0, stats.vonmises(0.5, loc=-20, scale=180 / np.pi)),
        ("so2@0~k10000", -180.0, stats.vonmises(10000, scale=180 / np.pi)),
    ],
)
def test_continuous_groups_by_kolmogorov_smirnov(text, start, law):
    symmetry = Symmetry.parse(text)
    drawn = symmetry.sample(None, keys())
    angle = (drawn.angle - start) % 360.0 + start
    assert stats.kstest(angle, law.cdf).pvalue > ALPHA
    if symmetry.group.flips:
        assert fair_coin(drawn.flip) > ALPHA
        assert stats.ks_2samp(angle[drawn.flip], angle[~drawn.flip]).pvalue > ALPHA  # independent
    else:
        assert not drawn.flip.any()


def test_the_kolmogorov_smirnov_test_sees_a_degree():
    angle = (Symmetry.parse("so2@-45..45").sample(None, keys()).angle + 180.0) % 360.0 - 180.0
    assert stats.kstest(angle, stats.uniform(-45, 91).cdf).pvalue < ALPHA


@pytest.mark.parametrize(("text", "kappa"), [("so2@0~k4", 3.5), ("so2@0~k10000", 9000), ("so2@0~29.4", 4)])
def test_the_kolmogorov_smirnov_test_sees_another_concentration_and_a_gaussian(text, kappa):
    angle = (Symmetry(text).sample(None, keys()).angle + 180.0) % 360.0 - 180.0
    assert stats.kstest(angle, stats.vonmises(kappa, scale=180 / np.pi).cdf).pvalue < ALPHA


def test_a_mixture_draws_its_parts_as_often_as_their_weights_and_each_as_if_alone():
    drawn = Symmetry("0.2@none+0.3@o2@20..60+0.5@so2@200..300").sample(None, keys())
    upright = (drawn.angle == 0.0) & ~drawn.flip
    low, high = (drawn.angle >= 20.0) & (drawn.angle <= 60.0), drawn.angle >= 200.0
    assert (upright | low | high).all()
    for part, weight in ((upright, 0.2), (low, 0.3), (high, 0.5)):
        assert fair_coin(part, weight) > ALPHA
        assert fair_coin(part, weight + 0.02) < ALPHA
    assert stats.kstest(drawn.angle[low], stats.uniform(20, 40).cdf).pvalue > ALPHA
    assert stats.kstest(drawn.angle[high], stats.uniform(200, 100).cdf).pvalue > ALPHA
    assert fair_coin(drawn.flip[low]) > ALPHA and not drawn.flip[high].any()


def test_a_wide_gaussian_wraps_around():
    drawn = Symmetry.parse("so2@20~150").sample(None, keys()).angle
    edges = np.linspace(0.0, 360.0, 25)
    cdf = sum(stats.norm.cdf(edges + 360.0 * turn, 20, 150) for turn in range(-8, 9))
    counts = np.histogram(drawn, edges)[0]
    assert stats.chisquare(counts, N * np.diff(cdf) / np.diff(cdf).sum()).pvalue > ALPHA


ALL = """
    d4 c7 d4-partial@0.3 so2 o2-partial so2@-45..45 c8@0~30 so2@45~20 0-2:d4,3:so2,rest:c8
    so2@45~k4 o2@0~k300 c8@0~k2 r51.42857142857143m 0.5@none+0.2@r90+0.3@r180m 0.2@c4+0.3@o2@45~k9+0.5@so2@100..130
    0-1:0.5@none+0.5@r90,rest:so2@0~k1
""".split()


@pytest.mark.parametrize("text", ALL)
def test_a_draw_depends_on_its_label_and_key_alone(text):
    symmetry, labels, key = Symmetry.parse(text), np.arange(600) % 7, keys(600)
    whole = symmetry.sample(labels, key)
    order = np.random.default_rng(0).permutation(600)
    shuffled = symmetry.sample(labels[order], key[order])
    assert np.array_equal(shuffled.angle, whole.angle[order]) and np.array_equal(shuffled.flip, whole.flip[order])
    for size in (1, 17, 512):
        parts = [symmetry.sample(labels[i : i + size], key[i : i + size]) for i in range(0, 600, size)]
        assert np.array_equal(np.concatenate([part.angle for part in parts]), whole.angle)
        assert np.array_equal(np.concatenate([part.flip for part in parts]), whole.flip)


@pytest.mark.parametrize("text", ALL)
def test_torch_samples_what_numpy_samples(text):
    symmetry, labels, key = Symmetry.parse(text), np.arange(5000) % 7, keys(5000)
    one = symmetry.sample(labels, key)
    other = symmetry.sample(torch.from_numpy(labels), torch.from_numpy(key))
    assert other.angle.dtype == torch.float64
    assert np.array_equal(one.flip, other.flip.numpy())
    assert np.array_equal(one.angle, other.angle.numpy())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("text", ALL)
def test_cuda_samples_what_numpy_samples(text):
    symmetry, labels, key = Symmetry.parse(text), np.arange(5000) % 7, keys(5000)
    one, other = (
        symmetry.sample(labels, key),
        symmetry.sample(torch.from_numpy(labels).cuda(), torch.from_numpy(key).cuda()),
    )
    assert np.array_equal(one.flip, other.flip.cpu().numpy())
    assert np.abs(one.angle - other.angle.cpu().numpy()).max() <= 2.0**-15  # one float32 step of an angle


@pytest.mark.parametrize("text", ALL)
def test_angles_survive_being_stored_as_float32(text):
    angle = Symmetry.parse(text).sample(np.arange(5000) % 7, keys(5000)).angle
    assert np.array_equal(angle.astype(np.float32).astype(np.float64), angle)
    assert (angle >= 0.0).all() and (angle < 360.0).all()


def test_an_angle_just_below_the_full_turn_is_stored_as_zero():
    symmetry = Symmetry.parse("so2@359.99999999..359.999999999")
    assert set(symmetry.sample(None, keys(50)).angle.tolist()) == {0.0}


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_labels_are_asked_for_and_checked(make):
    key = make([1, 2, 3])
    symmetry = Symmetry.parse("0-1:d4")
    assert len(symmetry.sample(make([0, 1, 1]), key)) == 3
    assert len(symmetry.sample([0, 1, 1], key)) == 3
    with pytest.raises(SymmetryError, match="'0-1:d4' differs by class, and no labels were given; pass labels="):
        symmetry.sample(None, key)
    for outside in (2, -1):
        with pytest.raises(SymmetryError, match=f"'0-1:d4' says nothing of class {outside}; add ',rest:none'"):
            symmetry.sample(make([0, outside, 1]), key)
    for labels in (make([0, 1]), make([0]), make([[0, 1, 1]])):
        with pytest.raises(ShapeError, match=r"labels of shape \(.*\) for 3 keys; pass one label for each key"):
            symmetry.sample(labels, key)


@pytest.mark.parametrize("text", ["d4", "so2", "0:d4", "0:d4,rest:none"])
@pytest.mark.parametrize("make", [np.zeros, torch.zeros], ids=["numpy", "torch"])
def test_an_empty_batch(text, make):
    dtype = np.int64 if make is np.zeros else torch.int64
    empty = make(0, dtype=dtype)
    assert len(Symmetry.parse(text).sample(empty, empty)) == 0


GOLDEN = {
    "none": "e e e e e e e e",
    "c4": "r270 r90 r180 r90 r90 e r90 r90",
    "d4": "r270 r90 r180m r90 r90m e r90m r90m",
    "c8": "r315 r135 r180 r90 r90 r45 r135 r90",
    "so2": "r336.133 r146.353 r180.307 r117.7 r121.868 r64.6497 r179.519 r115.249",
    "o2": "r336.133 r146.353 r180.307m r117.7 r121.868m r64.6497 r179.519m r115.249m",
    "d4-partial@0.5": "r270 e e r90 r90m e r90m r90m",
    "o2-partial@0.5": "r336.133 e e r117.7 r121.868m r64.6497 r179.519m r115.249m",
    "c8@-90..90": "r315 r90 r90 r45 r45 e r90 r45",
    "d4@0..90": "r90 e r90m e m e m m",
    "so2@-45..45": "r39.0333 r351.588 r0.0767283 r344.425 r345.467 r331.162 r359.88 r343.812",
    "o2@-45..45": "r39.0333 r351.588 r0.0767283m r344.425 r345.467m r331.162 r359.88m r343.812m",
    "c8@0~30": "r270 e e e e e e e",
    "d4@0~60": "r180 e m e m e m m",
    "so2@45~20": "r359.542 r43.4814 r59.8508 r50.6938 r59.3053 r33.2045 r35.8593 r37.7229",
    "o2@45~20": "r359.542 r43.4814 r59.8508m r50.6938 r59.3053m r33.2045 r35.8593m r37.7229m",
    "0-2:d4,3:so2@-45..45,rest:c8": "r270 r90 r180m r344.425 r90 r45 r135 r90",
    "r90m": "r90m r90m r90m r90m r90m r90m r90m r90m",
    "so2@45~k4": "r91.1372 r37.9651 r45.0635 r31.6356 r32.5899 r17.4355 r44.9005 r31.0677",
    "o2@45~k4": "r91.1372 r37.9651 r45.0635m r31.6356 r32.5899m r17.4355 r44.9005m r31.0677m",
    "c8@0~k4": "r45 e e e e r315 e e",
    "0.7@none+0.3@r90": "e r90 e e e e r90 r90",
    "0.4@none+0.3@r180m+0.3@r90": "e r90 r180m e e e r90 r90",
    "0.5@c4+0.5@so2@45~k4": "r270 r37.9651 r180 r90 r90 e r44.9005 r31.0677",
    "0-2:0.5@none+0.5@m,rest:so2@0~k1": "e m e r329.638 r331.843 r295.396 r359.776 r328.321",
}
"""Every form of the grammar, and the elements of the training images 0 to 7, of classes 0 to 7, for seed 0."""


@pytest.mark.parametrize("text", GOLDEN)
def test_a_seed_can_be_read_off_the_page(text):
    """Same spec, same images: every published dataset depends on these draws."""
    assert " ".join(map(str, Symmetry.parse(text).sample(np.arange(8), keys(8)))) == GOLDEN[text]


@pytest.mark.parametrize(
    ("text", "angle"),
    [
        ("so2", lambda a, b: 360 * a),
        ("so2-partial@0.25", lambda a, b: np.where(b < 0.25, 360 * a, 0)),
        ("c5", lambda a, b: 72 * np.floor(5 * a)),
        ("so2@-60..30", lambda a, b: 90 * a - 60),
        ("c8@-90..45", lambda a, b: np.array([0, 45, 270, 315])[np.floor(4 * a).astype(int)]),
        ("so2@10~25", lambda a, b: 10 + 25 * np.sqrt(-2 * np.log(1 - a)) * np.cos(2 * np.pi * b)),
        ("c4@10~50", lambda a, b: 90 * np.round((10 + 50 * np.sqrt(-2 * np.log(1 - a)) * np.cos(2 * np.pi * b)) / 90)),
    ],
)
def test_an_element_is_this_function_of_its_uniform_numbers(text, angle):
    """The first number is the angle, the second the mirror, the third the gate or the phase of Box and Muller."""
    a, mirror, b = uniforms(keys(500), 3)
    drawn = Symmetry.parse(text).sample(None, keys(500))
    assert np.abs((drawn.angle - angle(a, b) + 180) % 360 - 180).max() < 1e-4
    mirrored = Symmetry.parse(text.replace("so2", "o2").replace("c", "d")).sample(None, keys(500))
    gate = b < 0.25 if "partial" in text else True
    assert np.array_equal(mirrored.flip, (mirror < 0.5) & gate)
    assert np.array_equal(mirrored.angle, drawn.angle)
