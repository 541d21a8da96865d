"""What a model saw in training: the elements of its data, moved again by its augmentation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdata.groups import Element, Elements, Group
from symdata.symmetry import Symmetry
from zoo.evaluation.training_support import TrainingSupport

D4 = Group(4, True)
GRID = [Element(angle, flip) for flip in (False, True) for angle in range(0, 360, 5)]


def met(seen, label=0, elements=GRID):
    mask = TrainingSupport.of(seen).contains(Elements.of(elements), np.full(len(elements), label))
    return {e for e, there in zip(elements, mask, strict=True) if there}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("none", {Element()}),
        ("d4-partial@0.1", set(D4.elements)),
        ("c8@-90..90", {Element(a) for a in (0, 45, 90, 270, 315)}),
        ("so2", {e for e in GRID if not e.flip}),
        ("o2-partial@0.01", set(GRID)),
        ("so2@-45..45", {Element(a) for a in range(-45, 46, 5)}),
        ("o2@30..60", {Element(a, f) for a in range(30, 61, 5) for f in (False, True)}),
        ("so2@45~20", {Element(a) for a in range(-15, 106, 5)}),
        ("c4@80~10", {Element(90)}),
        ("c4@45~1", {Element(0), Element(90)}),
        ("r90m", {Element(90, True)}),
        ("0.5@none+0.2@r90+0.3@so2@10..30", {Element(a) for a in (0, 90, 10, 15, 20, 25, 30)}),
        ("so2@45~k1000000", {Element(45)}),
        ("so2@350~k300", {Element(a) for a in (345, 350, 355)}),
        ("c8@45~k25", {Element(a) for a in (0, 45, 90)}),
        ("o2@0~k0.001", set(GRID)),
        (("c2", "d1"), {Element(a, f) for a in (0, 180) for f in (False, True)}),
        (("so2@0..30", "so2@10..20"), {Element(a) for a in range(10, 51, 5)}),
        (("so2@0..30", "d1"), {Element(a) for a in range(0, 31, 5)} | {Element(-a, True) for a in range(0, 31, 5)}),
        (("d1", "so2@0..30"), {Element(a, f) for a in range(0, 31, 5) for f in (False, True)}),
        (("so2@0..200", "so2@0..200"), {e for e in GRID if not e.flip}),
    ],
)  # fmt: skip
def test_what_training_showed(seen, expected):
    assert met(seen) == expected


SYMMETRIES = st.sampled_from(
    [
        "none",
        "d4",
        "c4-partial@0.3",
        "so2",
        "o2@-20..70",
        "so2@10..50",
        "c8@-90..90",
        "d2",
        "so2@45~10",
        "d3",
        "o2",
        "so2@45~k9",
        "0.5@r90m+0.5@none",
        "0.5@c4+0.5@so2@10..20",
    ]
)


@given(SYMMETRIES, SYMMETRIES, st.integers(0, 2**32))
def test_whatever_is_drawn_is_among_what_was_seen(first, second, seed):
    """Draw from the one, then from the other; Gaussians may leave their three standard deviations."""
    keys = np.random.default_rng(seed).integers(0, 2**62, (2, 40))
    labels = np.zeros(40, np.int64)
    drawn = [Symmetry.parse(text).sample(labels, key) for text, key in zip((first, second), keys, strict=True)]
    there = TrainingSupport.of((first, second)).contains(drawn[1] @ drawn[0], labels)
    assert there.all() or ("~" in first + second and there.mean() > 0.8)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, None),
        ({"dataset": {"name": "x"}, "training": {"symmetry": "none"}}, None),
        ({"dataset": {"symmetry": {"train": "c4", "test": "d4"}}, "training": {"symmetry": "d1"}}, "c4 then d1"),
        ({"dataset": {"symmetry": {"a": "c4"}, "split": "a"}, "training": {"symmetry": "none"}}, "c4"),
        ({"dataset": {"symmetry": "none"}, "training": {"symmetry": "none"}}, "none"),
        ({"dataset": {"symmetry": "nonsense"}, "training": {"symmetry": "none"}}, None),
        ({"dataset": {"symmetry": 3}, "training": "?"}, None),
    ],
)
def test_what_a_config_says_of_training(config, expected):
    seen = TrainingSupport.from_config(config)
    assert (seen and str(seen)) == expected
