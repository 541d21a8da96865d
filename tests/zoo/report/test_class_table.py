"""Scores by class, and a mismatch of poses, on the page and in the text of a report."""

from dataclasses import replace

import pytest
import torch

from tests.zoo.report.test_page import Reader, entry
from zoo.evaluation.class_scores import ClassScores
from zoo.evaluation.pose_mismatch import PoseMismatch
from zoo.measure.estimates import Rate
from zoo.report import ModelEntry, SavedReport, page
from zoo.report.class_table import by_class


@pytest.fixture(scope="module")
def measured() -> ModelEntry:
    return entry(measured=0, angles=0, elements="c4")


def test_page_and_text_have_the_scores(measured):
    scores = measured.report.scores
    text, printed = Reader(page([measured])).text, str(SavedReport((measured,), "One"))
    for cell in scores.cells:
        assert cell in text and cell in printed
    assert "Which classes are confused?" in text
    row = scores.confusion[1]
    assert f"b, predicted as a: {row[0]} of {sum(row)} images" in text


def test_a_report_from_before_has_no_such_table(measured):
    """Negative control."""
    old = replace(measured, report=replace(measured.report, scores=None))
    assert by_class([old]) is None
    text = Reader(page([old])).text
    assert "Upright images, by class" not in text and "Which classes are confused?" not in text
    assert "balanced accuracy" not in str(SavedReport((old,), "One"))


def test_of_many_classes_the_page_draws_no_matrix(measured):
    names = tuple(f"class {k}" for k in range(20))
    scores = ClassScores.of(torch.eye(20), torch.arange(20))
    report = replace(measured.report, classes=names, by_class=(Rate(1, 1),) * 20, scores=scores)
    text = Reader(page([replace(measured, report=report, strips=())])).text
    assert "Which classes are confused?" not in text and "Upright images, by class" in text


def test_a_mismatch_of_poses_stands_before_the_numbers(measured):
    found = PoseMismatch("r90m", ("m",), Rate(52, 100), Rate(96, 100), 1e-9)
    report = replace(measured.report, mismatch=found)
    one = replace(measured, report=report)
    assert str(found) in Reader(page([one])).text
    printed = str(SavedReport((one,), "One"))
    assert printed.index("another pose") < printed.index("parameters")
    assert "another pose" not in page([measured])
    assert ModelEntry.from_dict(one.to_dict()) == one
