"""The advice of an audit follows from its tests: each sentence for findings made up by hand."""

from dataclasses import replace

import numpy as np
import pytest

from symdata.inspection.asymmetry.advice import advice
from symdata.inspection.asymmetry.audit import audit
from symdata.inspection.asymmetry.labels import LabelTest
from symdata.inspection.asymmetry.two_sample import Test
from symdata.recipes.plan import resolve
from symdata.recipes.spec import Spec


@pytest.fixture(scope="module")
def found():
    """The audit of three letters that d2 leaves as they are; its findings are replaced below."""
    plan = resolve(Spec(source="glyphs:OXI", count=100, size=10))
    batch = plan.batch("train", range(100))
    return audit([batch.images], np.asarray(batch.labels), plan.classes, "d2")


def told(element, low, p=1e-6, view="gray"):
    return Test(element, view, low + 0.05, low, low + 0.1, p, p)


def labels(element, drop, cycles=()):
    return LabelTest(element, 0.9, 0.9 - drop, drop - 0.01, drop + 0.01, cycles)


CLEAR = (told("r180", 0.8), told("m", 0.7), told("r180m", 0.45, p=0.9))
"""The half turn and the mirror are found out, the other mirror is not."""


def test_labels_that_are_exchanged_are_named_where_the_element_was_found_out(found):
    moves = (labels("r180", 0.3, ((0, 2),)), labels("m", 0.3), labels("r180m", 0.3, ((1, 2),)))
    (sentence,) = [line for line in advice(replace(found, tests=CLEAR, labels=moves)) if "seems to turn" in line]
    assert sentence.startswith("r180 seems to turn O into I and back: augmenting would teach wrong labels; ")
    assert "keep these classes upright ('0:none,2:none,rest:d2')" in sentence
    everything = (labels("r180", 0.3, ((0, 1, 2),)),)
    (sentence,) = [line for line in advice(replace(found, tests=CLEAR, labels=everything)) if "seems to turn" in line]
    assert "O into X into I and back" in sentence and "augment with 'd1' only" not in sentence
    assert not any("seems to turn" in line for line in advice(replace(found, tests=CLEAR, labels=(labels("m", 0.3),))))


def test_too_few_images_advise_nothing_about_labels(found):
    few = (
        replace(labels("r180", 0.3), unsure="it has 3"),
        replace(labels("m", 0.3), unsure="it has 3"),
        labels("r180m", 0),
    )
    (sentence,) = [line for line in advice(replace(found, tests=CLEAR, labels=few)) if "labels are exchanged" in line]
    assert sentence == "Not enough images to tell whether labels are exchanged by r180, m: it has 3."
    quiet = tuple(replace(test, p_value=0.9, corrected=0.9) for test in CLEAR)
    assert not any("labels are exchanged" in line for line in advice(replace(found, tests=quiet, labels=few)))


def test_what_a_classifier_loses_is_that_of_the_worst_element(found):
    small = (labels("r180", 0.005), labels("m", 0.03), labels("r180m", 0.4))
    (sentence,) = [line for line in advice(replace(found, tests=CLEAR, labels=small)) if "kernel classifier" in line]
    assert sentence.startswith("The labels hardly depend on r180, m: ") and "loses at most 4% " in sentence
    large = (labels("r180", 0.2), labels("m", 0.3), labels("r180m", 0.4))
    (sentence,) = [line for line in advice(replace(found, tests=CLEAR, labels=large)) if "kernel classifier" in line]
    assert "falls from 90% to 60% on images moved by m:" in sentence


def test_augmenting_is_safe_with_what_was_not_found_out(found):
    (first, *_) = advice(replace(found, tests=CLEAR))
    assert "d2" in first and "images moved by r180, m can be distinguished from these" in first
    quiet = tuple(replace(test, p_value=0.9, corrected=0.9) for test in CLEAR)
    (first, *_) = advice(replace(found, tests=quiet))
    assert first.startswith("Augmenting with d2 is safe as far as 100 images can tell")
    assert "at most 90% right" in first  # the highest end of an interval
