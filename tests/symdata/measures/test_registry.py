"""Laws of one's own: their texts, and what is refused in a sentence."""

import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from symdata import Element, Group, Measure, RandomSymmetry, Symmetry, make, register_law, split_keys
from symdata.errors import SymmetryError, UnregisteredLawError
from symdata.inspection.goodness import goodness
from symdata.measures import Density, Partial, registry
from tests.support.distributions import ALPHA, chi_square

N = 20_000


class Geometric(Measure):
    """Each further element is less likely than the one before; only what a measure must have."""

    def __init__(self, group, ratio):
        self.group, self.ratio = group, ratio

    @property
    def points(self):
        p = self.ratio ** np.arange(self.group.order)
        return tuple(zip(self.group.elements, (p / p.sum()).tolist(), strict=True))


@pytest.fixture(autouse=True)
def laws(monkeypatch):
    """Two laws, and no others."""
    monkeypatch.setattr(registry, "_LAWS", {})

    @register_law("geometric", version=3)
    def geometric(ratio, group="d4"):
        return Geometric(Group(group), ratio)

    @register_law("tilted")
    def tilted(to=0.0, power=1):
        return Density(lambda angle: (1 + np.cos(np.deg2rad(angle - to))) ** power)

    return geometric, tilted


def keys(n=N):
    return split_keys(0, "train", "symmetry", np.arange(n))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("law@geometric@ratio=0.50", "law@geometric@version=3@ratio=0.5@group=d4"),
        ("law@geometric@group=c8@version=3@ratio=5e-1", "law@geometric@version=3@ratio=0.5@group=c8"),
        ("law@tilted", "law@tilted@version=1@to=0@power=1"),
        ("law@tilted@to=-90.0", "law@tilted@version=1@to=-90@power=1"),
        ("0.5@law@tilted@to=1e+1+0.5@none", "0.5@none+0.5@law@tilted@version=1@to=10@power=1"),
        ("cat:law@tilted,rest:none", "cat:law@tilted@version=1@to=0@power=1,rest:none"),
    ],
)
def test_the_text_says_the_version_and_every_parameter(text, canonical):
    symmetry = Symmetry(text)
    assert str(symmetry) == canonical and Symmetry(canonical) == symmetry
    assert hash(Symmetry(canonical)) == hash(symmetry) and pickle.loads(pickle.dumps(symmetry)) == symmetry
    assert 0.0 <= symmetry.degree <= 1.0


def test_a_call_gives_what_its_text_gives(laws):
    geometric, tilted = laws
    assert Symmetry(geometric(0.5, group="c4")) == Symmetry("law@geometric@ratio=0.5@group=c4")
    assert str(tilted(to=np.float64(30.0), power=np.int64(2))) == "law@tilted@version=1@to=30@power=2"
    assert Symmetry.per_class({1: tilted()}, rest=Partial(Group(1))) == Symmetry("1:law@tilted,rest:none")


def test_draws_follow_the_law_and_only_that():
    symmetry = Symmetry("law@geometric@ratio=0.8")
    drawn = symmetry.sample(None, keys())
    p = 0.8 ** np.arange(8) / (0.8 ** np.arange(8)).sum()
    atoms = tuple(zip(Group("d4").elements, p, strict=True))  # written down by hand
    assert chi_square(drawn, atoms, symmetry.group) > ALPHA
    assert goodness(symmetry.rest, drawn).p_value > ALPHA
    assert goodness(Symmetry("law@geometric@ratio=0.75").rest, drawn).p_value < ALPHA
    assert symmetry.degree == pytest.approx((np.minimum(p, 1 / 8).sum() - 1 / 8) / (7 / 8), abs=1e-12)


def test_a_density_is_drawn_as_it_says():
    symmetry = Symmetry("law@tilted")
    angle = symmetry.sample(None, keys()).angle
    law = stats.cosine(scale=180 / np.pi)  # its density is (1 + cos x) / 2 pi
    assert stats.kstest((angle + 180.0) % 360.0 - 180.0, law.cdf).pvalue > ALPHA
    assert stats.kstest((angle + 174.0) % 360.0 - 180.0, law.cdf).pvalue < ALPHA
    assert symmetry.degree == pytest.approx(1.0 - 1.0 / np.pi, abs=1e-6)  # TV: the mean of |cos x| / 2


def test_random_symmetry_takes_a_law(laws):
    x, key = torch.rand(16, 1, 8, 8), torch.arange(16)
    for augment in (RandomSymmetry("law@geometric@ratio=0.9"), RandomSymmetry(laws[0](0.9))):
        moved = augment(x, keys=key)
        assert augment.inverse(moved).equal(x) and not moved.equal(x)
        assert moved.equal(RandomSymmetry("law@geometric@version=3@ratio=0.9@group=d4")(x, keys=key))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "law@absent",
            r"^law 'absent' is not registered; import the module that has @symdata.register_law\('absent'\) \(",
        ),
        ("law@absent@version=2", r"@symdata.register_law\('absent', version=2\)"),
        ("law@tiltd", r"^law 'tiltd' is not registered; did you mean tilted\?$"),
        ("law@tilted@version=2", "^law 'tilted' has version 1 here, and version 2 is asked for"),
        ("law@geometric", "law 'geometric': missing a required argument: 'ratio'; its parameters are ratio=, group="),
        ("law@tilted@too=3", "law 'tilted': got an unexpected keyword argument 'too'; its parameters are to=, power="),
        ("law@tilted@to", "'to' is not a parameter of a law, such as to=90 or kind=soft"),
        ("law@tilted@to=1@to=2", "parameter 'to' comes twice"),
        ("law@tilted@to=", "'to=' is not a parameter"),
        (f"law@tilted@to={'9' * 5000}", "expected a finite number or a word"),
        ("law@tilted@to=1e999", "expected a finite number or a word"),
        ("law@tilted@to=east", "law 'tilted' cannot be made with to=east, power=1: "),
        ("law@geometric@ratio=1@group=x", "'x' is not a group"),
        ("law@tilted@power=0.5@to=inf", "law 'tilted' cannot be made with to=inf"),
    ],
)
def test_texts_of_laws_that_are_refused(text, message):
    with pytest.raises(SymmetryError, match=message):
        Symmetry(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: 4, "law 'bad' returns int, expected a symdata.Measure"),
        (lambda: Density(lambda angle: 0 * angle), "the density is 0 at every angle"),
        (
            lambda: Density(lambda angle: np.cos(np.deg2rad(angle))),
            "the density at 90.05 degrees is not a finite number",
        ),
        (lambda: Density(lambda angle: angle / 0.0 + np.nan), "the density at 0 degrees is not a finite number"),
        (lambda: Wrong(((Element(), 0.5),)), "the probabilities of law 'bad' sum to 0.5, expected 1"),
        (lambda: Dense(((Element(), 0.5),)), "law 'bad' has a density, which its finite group c4 cannot have"),
        (lambda: Wrong(((Element(), 1.5), (Element(90), -0.5))), "the probabilities of law 'bad' sum to nan"),
        (lambda: Wrong(((Element(45), 1.0),)), "law 'bad' gives r45, which is not in its group c4"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_that_give_no_measure_are_refused(make, message):
    register_law("bad")(make)
    with pytest.raises(SymmetryError, match=message):
        Symmetry("law@bad")


class Wrong(Measure):
    group = Group("c4")
    points = ()

    def __init__(self, points):
        self.points = points


class Dense(Wrong):
    def cumulative(self, angle_deg, flip):
        return angle_deg / 720.0


def test_a_name_belongs_to_one_function():
    def other():
        return Partial(Group("c4"))

    with pytest.raises(SymmetryError, match=r"law 'tilted' is \S+tilted already; choose another name for \S+other"):
        register_law("tilted")(other)
    for name in ("Tilted", "a b", "", "a@b", "a_b", "-a", 4):
        with pytest.raises(SymmetryError, match="is not made of small letters, digits and '-'"):
            register_law(name)
    for function in (lambda version: None, lambda *a: None, lambda **a: None, lambda ä: None):
        with pytest.raises(SymmetryError, match="cannot have the parameter"):
            register_law("new")(function)
    for version in (0, 1.5, True, "1"):
        with pytest.raises(SymmetryError, match="is not a whole number from 1"):
            register_law("new", version=version)


def test_a_measure_without_a_text_moves_images_and_cannot_be_stored():
    measure = Geometric(Group("c4"), 0.5)
    augment, x = RandomSymmetry(measure), torch.rand(8, 1, 8, 8)
    assert augment.inverse(augment(x)).equal(x)
    assert goodness(measure, Symmetry(measure).sample(None, keys())).p_value > ALPHA
    with pytest.raises(SymmetryError, match="<Geometric without a text: use register_law>"):
        make("glyphs", symmetry=measure, dry_run=True)


def test_an_unknown_law_can_be_told_from_a_wrong_text():
    with pytest.raises(UnregisteredLawError):
        Symmetry("0:d4,1:0.5@none+0.5@law@absent")
    with pytest.raises(SymmetryError) as error:
        Symmetry("law@tilted@to=east")
    assert not isinstance(error.value, UnregisteredLawError)


def test_both_sides_of_a_density():
    measure = Density(lambda angle: 3.0 * (angle < 90), lambda angle: 1.0 * (angle >= 180))
    assert measure.group == Group("o2")
    u = list(np.random.default_rng(0).random((4, N)))
    drawn = measure.draw(u)
    assert abs(drawn.flip.mean() - 0.4) < 0.02  # 3 x 90 against 1 x 180
    assert drawn.angle[~drawn.flip].max() < 90.1 and drawn.angle[drawn.flip].min() > 179.9
    assert goodness(measure, drawn).p_value > ALPHA
    assert goodness(Density(lambda angle: 3.0 * (angle < 94), lambda a: 1.0 * (a >= 180)), drawn).p_value < ALPHA
    assert Density(None, lambda angle: 1 + 0 * angle).draw(u).flip.all()
