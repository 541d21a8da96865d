"""Traces of resampling: the known leaks are found, and what is exact or equalised is left in peace."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from symdata.errors import ShapeError
from symdata.groups import Elements, Group
from symdata.inspection.leakage import BAR, Trace, auc, leakage, measure_trace, questions, strongest, traces
from symdata.keys import split_keys
from symdata.sources import open_source
from symdata.symmetry import Symmetry
from symdata.transforms.action import act


class Moved:
    """A split in memory: source images moved by elements of a symmetry."""

    split = "train"

    def __init__(self, images, labels, symmetry, **how):
        self.labels, self.index = labels, np.arange(len(labels))
        keys = split_keys(0, "train", "symmetry", np.arange(len(labels)))
        self.drawn = Symmetry.parse(symmetry).sample(labels, keys)
        self._images = act(images, self.drawn, **how)

    def __len__(self):
        return len(self.labels)

    def images(self, indices=None):
        return self._images if indices is None else self._images[indices]


@pytest.fixture(scope="session")
def mnist(data):
    source = open_source(str(data / "mnist"))
    rows = np.arange(2000)
    return source.read("test", rows), source.labels("test")[rows]


@pytest.fixture(scope="session")
def cells(data):
    """Blood cells on a bright ground: their corners are not black."""
    source = open_source(str(data / "blood_cells"), size=40)
    rows = np.arange(600)
    return source.read("train", rows), source.labels("train")[rows]


@pytest.fixture(scope="session")
def glyphs():
    source = open_source("glyphs")
    rows = np.arange(1600)
    return source.read("train", rows), source.labels("train")[rows]


def table(split):
    return {(t.question, t.trace): t for t in leakage(split)}


def verdicts(split):
    return {t.verdict for t in leakage(split)}


def test_bilinear_leaks_on_mnist(mnist):
    found = table(Moved(*mnist, "c8", resample="bilinear", mask="none"))
    assert found["off-lattice", "sharpness"].auc > 0.8
    assert found["off-lattice", "detail"].auc > 0.88
    assert found["off-lattice", "sharpness"].verdict == found["moved", "detail"].verdict == "LEAK"


def test_the_discriminant_finds_what_single_numbers_miss(mnist):
    found = table(Moved(*mnist, "c8", resample="bilinear"))["off-lattice", "spectrum"]
    assert found.auc > 0.97 and found.verdict == "LEAK" and found.p_value == 1 / 200
    assert found.interval[0] > 0.95 and found.to_dict()["interval"] == list(found.interval)


def test_the_default_path_does_not_leak_on_mnist(mnist):
    found = {key: trace for key, trace in table(Moved(*mnist, "c8")).items() if key[1] != "spectrum"}
    assert found["off-lattice", "sharpness"].auc < 0.6
    assert found["off-lattice", "detail"].auc < BAR
    assert "LEAK" not in {t.verdict for t in found.values()}
    assert {t.auc for (_, name), t in found.items() if name.startswith("corner")} == {0.5}  # behind the mask


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_corners_leak_where_they_are_bright(cells, padding):
    found = table(Moved(*cells, "c8", resample="bilinear", mask="none", padding=padding))
    assert found["off-lattice", "corner-sharpness"].verdict == "LEAK"
    if padding == "zeros":
        assert found["off-lattice", "corner-mean"].auc > 0.95
        assert found["off-lattice", "corner-zeros"].auc > 0.95


def test_masked_corners_tell_nothing(cells):
    found = table(Moved(*cells, "c8"))
    assert {t.auc for (_, name), t in found.items() if name.startswith("corner")} == {0.5}


@pytest.mark.parametrize("symmetry", ["d4", "d4-partial", "c2", "d1-partial@0.2"])
def test_exact_moves_leave_no_trace(mnist, glyphs, symmetry):
    assert verdicts(Moved(*mnist, symmetry)) == {"chance"}
    assert verdicts(Moved(*glyphs, symmetry)) <= {"chance", "too few images"}
    low, high = table(Moved(*mnist, symmetry))["moved", "spectrum"].interval
    assert low < 0.5 < high


@pytest.mark.parametrize("symmetry", ["none", "so2@30..30", "0-4:c4,rest:c4"])
def test_what_nobody_can_guess_is_not_asked(mnist, symmetry):
    asked = {t.question for t in leakage(Moved(*mnist, symmetry))}
    assert asked == ({"moved"} if "c4" in symmetry else set())


def test_classes_that_differ_in_sharpness_are_not_a_trace(mnist):
    """Blunt images move and sharp ones mostly stay: sharpness tells them apart across classes, but not within one."""
    images, _ = mnist
    sharpness = traces(images)["sharpness"]
    labels = (sharpness > np.median(sharpness)).astype(np.int64)
    split = Moved(images, labels, "0:c4-partial@0.9,1:c4-partial@0.2")
    answer = (split.drawn.angle != 0.0) | split.drawn.flip
    blind = auc(traces(split.images())["sharpness"], answer)
    assert max(blind, 1.0 - blind) > BAR
    assert verdicts(split) == {"chance"}


def test_a_class_that_never_moves_does_not_hide_a_leak(mnist):
    found = table(Moved(*mnist, "0-4:c8,5-9:none", resample="bilinear"))
    assert found["off-lattice", "sharpness"].verdict == "LEAK"
    assert found["moved", "sharpness"].yes + found["moved", "sharpness"].no == int((mnist[1] < 5).sum())


def test_too_few_images_are_said_to_be_too_few(mnist):
    images, labels = mnist
    few = Moved(images[:12], 0 * labels[:12], "c4-partial")
    assert verdicts(few) == {"too few images"}


def test_only_so_many_images_are_looked_at(mnist):
    split = Moved(*mnist, "c4-partial")
    counted = {t.yes + t.no for t in leakage(split, most=500)}
    assert max(counted) == 500 and min(counted) > 490  # a fold with one answer only is left out
    assert leakage(split, most=500) == leakage(split, most=500)


def test_continuous_angles_are_asked_how_far_they_are_from_a_quarter_turn():
    angle = np.array([10.0, 80.0, 45.0, 225.0, 20.0, 0.0])
    elements = Elements(angle, np.zeros(6, dtype=bool))
    answer, among = questions(elements, np.zeros(6, dtype=np.int64))["askew"]
    assert among.tolist() == [True, True, True, True, False, False]
    assert answer[among].tolist() == [False, False, True, True]


def test_a_question_is_asked_once():
    elements = Elements(np.array([0.0, 45.0]), np.zeros(2, dtype=bool))  # moved and off the lattice are the same here
    assert list(questions(elements, np.zeros(2, dtype=np.int64))) == ["moved"]


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (3, 3, 17, 17), (3, 1, 4, 4), (2, 1, 3, 3)])
def test_traces_are_invariant_under_d4_to_the_last_bit(shape):
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    upright = traces(images)
    for element in Group.parse("d4").elements:
        moved = traces(act(images, element))
        assert all(np.array_equal(moved[name], upright[name]) for name in upright)


def test_traces_measure_what_they_say():
    y, x = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
    disk = x**2 + y**2 <= 14.0**2
    plain = torch.full((1, 1, 28, 28), 200, dtype=torch.uint8)
    found = traces(torch.cat([plain, plain * disk]))
    assert found["corner-mean"].tolist() == [200.0, 0.0]
    assert found["corner-zeros"].tolist() == [0.0, 1.0]
    assert found["sharpness"].tolist() == found["detail"].tolist() == found["corner-sharpness"].tolist() == [0.0, 0.0]


def test_blur_lowers_both_traces_of_sharpness(mnist):
    images, _ = mnist
    sharp, blurred = (
        traces(images[:50]),
        traces(act(images[:50], Elements(np.full(50, 0.0), np.zeros(50, bool)), resample="spline")),
    )
    assert (blurred["sharpness"] < sharp["sharpness"]).all()
    assert (blurred["detail"] < sharp["detail"]).all()


def test_contrast_changes_no_trace_of_sharpness():
    images = torch.randint(0, 120, (4, 1, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for name in ("sharpness", "detail", "corner-sharpness"):
        assert traces(images)[name] == pytest.approx(traces(images * 2)[name])


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 28, 28, dtype=torch.uint8), torch.zeros(1, 1, 28, 28), torch.zeros(1, 1, 2, 9, dtype=torch.uint8)],
)
def test_other_images_are_refused(images):
    with pytest.raises(ShapeError, match="expected"):
        traces(images)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_auc_is_the_chance_of_the_larger_value(pairs):
    values, answer = np.array([float(v) for v, _ in pairs]), np.array([a for _, a in pairs])
    if answer.all() or not answer.any():
        return
    higher = np.mean([(y > n) + 0.5 * (y == n) for y in values[answer] for n in values[~answer]])
    assert auc(values, answer) == pytest.approx(higher)
    u = stats.mannwhitneyu(values[answer], values[~answer]).statistic
    assert auc(values, answer) == pytest.approx(u / (answer.sum() * (~answer).sum()))


def test_the_standard_error_is_the_spread_of_the_auc():
    random, found = np.random.default_rng(0), []
    labels = np.repeat(np.arange(4), 50)
    for _ in range(300):
        answer = random.random(200) < 0.4
        found.append(measure_trace("moved", "toy", random.normal(size=200) + 0.8 * answer + labels, answer, labels))
    assert np.mean([t.error for t in found]) == pytest.approx(np.std([t.auc for t in found]), rel=0.15)
    assert np.mean([t.auc for t in found]) == pytest.approx(stats.norm.cdf(0.8 / np.sqrt(2)), abs=0.01)


@pytest.mark.parametrize(("yes", "no"), [(6, 150), (150, 6)])
def test_the_standard_error_holds_for_unbalanced_answers(yes, no):
    """Simulated under the law of Hanley and McNeil: exponential values, 9 times as large for a yes: AUC = 9/10."""
    random, answer = np.random.default_rng(0), np.arange(yes + no) < yes
    values = random.exponential(size=(4000, yes + no)) * np.where(answer, 9.0, 1.0)
    order = values.argsort(1).argsort(1) + 1  # ranks, all distinct
    areas = (order[:, :yes].sum(1) - yes * (yes + 1) / 2) / (yes * no)
    # The reported error is that at the AUC seen, so look at a sample whose AUC is the true one.
    typical = values[np.abs(areas - 0.9).argmin()]
    found = measure_trace("moved", "toy", typical, answer, np.zeros(yes + no))
    assert found.auc == pytest.approx(0.9, abs=1e-3)
    assert found.error == pytest.approx(areas.std(), rel=0.05)


def test_a_class_weighs_as_many_pairs_as_it_has():
    # Class 0: every yes above every no, 2 x 2 pairs. Class 1: the only yes below all 9 no, 9 pairs.
    labels = np.array([0] * 4 + [1] * 10)
    values = np.array([3.0, 4.0, 1.0, 2.0, 0.0, *range(1, 10)])
    answer = np.array([True, True, False, False, True, *[False] * 9])
    found = measure_trace("moved", "toy", values, answer, labels)
    assert found.auc == pytest.approx(9 / 13)  # 4/13 of yes above no, and as good the other way round
    assert (found.yes, found.no) == (3, 11)


def test_chance_is_not_taken_for_a_trace():
    random, seen = np.random.default_rng(1), 0
    for _ in range(300):
        labels, answer = random.integers(0, 5, 120), random.random(120) < 0.5
        seen += measure_trace("moved", "toy", random.normal(size=120), answer, labels).verdict in ("weak", "LEAK")
    assert seen <= 4  # three standard errors, two-sided: 0.8 expected


@pytest.mark.parametrize(
    ("area", "error", "verdict"),
    [
        (0.9, 0.01, "LEAK"),
        (0.65, 0.01, "LEAK"),
        (0.64, 0.01, "weak"),
        (0.54, 0.001, "faint"),
        (0.7, 0.1, "too few images"),
        (0.52, 0.02, "chance"),
    ],
)
def test_verdicts(area, error, verdict):
    assert Trace("moved", "sharpness", area, error, 10, 10).verdict == verdict
    assert Trace("moved", "sharpness", area, error, 10, 10).to_dict()["verdict"] == verdict


def test_the_strongest_trace_is_the_surest():
    """A large AUC of few images does not hide a smaller one that is certain."""
    sure, doubtful = Trace("moved", "detail", 0.6, 0.01, 900, 900), Trace("moved", "sharpness", 0.62, 0.1, 9, 9)
    assert strongest([doubtful, sure]) == sure
