"""Balanced accuracy, F1 and AUC: against scikit-learn, with ties and missing classes."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support import reports as made_up
from zoo import ImageSet, ModelError, OpenedModel, Report, evaluate
from zoo.evaluation.class_scores import MOST_CLASSES, ClassScores, auc, balanced_accuracy, confusion, macro_f1
from zoo.preprocessing import Preprocessing

metrics = pytest.importorskip("sklearn.metrics", reason="pip install scikit-learn")


def drawn(seed, n, classes, labelled=None, levels=None):
    """Logits that are right more often than not, and labels from the first `labelled` classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, labelled or classes, n)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    if levels is not None:  # few different values: many ties
        logits = np.round(logits * levels) / levels
    return torch.from_numpy(logits).float(), torch.from_numpy(labels)


def of_sklearn(logits, labels):
    """The same by scikit-learn; classes that do not occur are left out of the mean of the AUC."""
    truth, predicted = labels.numpy(), logits.argmax(1).numpy()
    shares, classes = logits.double().softmax(1).float().numpy(), logits.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of classes that are predicted and do not occur
        balanced = metrics.balanced_accuracy_score(truth, predicted)
    areas = [metrics.roc_auc_score(truth == k, shares[:, k]) for k in np.unique(truth)]
    matrix = metrics.confusion_matrix(truth, predicted, labels=range(classes))
    return balanced, metrics.f1_score(truth, predicted, average="macro"), np.mean(areas), matrix


@pytest.mark.parametrize(
    "case",
    [
        {"n": 500, "classes": 10},
        {"n": 300, "classes": 2},
        {"n": 400, "classes": 5, "levels": 1},
        {"n": 200, "classes": 7, "labelled": 4},
        {"n": 30, "classes": 12, "levels": 2},
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_scikit_learn(case, seed):
    logits, labels = drawn(seed, **case)
    found = ClassScores.of(logits, labels)
    balanced, f1, area, matrix = of_sklearn(logits, labels)
    assert found.balanced_accuracy == pytest.approx(balanced, abs=1e-12)
    assert found.macro_f1 == pytest.approx(f1, abs=1e-12)
    assert found.auc == pytest.approx(area, abs=1e-12)
    assert np.array_equal(found.confusion, matrix)


@pytest.mark.parametrize("levels", [None, 2])
def test_where_every_class_occurs_the_auc_is_that_of_one_call(levels):
    logits, labels = drawn(5, 300, 4, levels=levels)
    shares = logits.double().softmax(1).float().numpy()  # in float64 rounding would break the ties
    expected = metrics.roc_auc_score(labels.numpy(), shares, multi_class="ovr")
    assert auc(logits, labels) == pytest.approx(expected, abs=1e-12)


def test_a_certain_model_is_ranked_by_its_logits_not_by_probabilities_that_round_to_one():
    logits = torch.tensor([[60.0, 0.0], [50.0, 0.0], [55.0, 0.0], [45.0, 0.0]])
    labels = torch.tensor([0, 1, 0, 1])
    assert auc(logits, labels) == 1.0
    assert metrics.roc_auc_score(labels == 0, logits.softmax(1)[:, 0]) == 0.5  # all of them are 1


def test_one_class_alone_has_no_auc_and_its_accuracy_is_balanced():
    logits, labels = drawn(0, 50, 3, labelled=1)
    found = ClassScores.of(logits, labels)
    assert found.auc is None and "AUC -" in str(found)
    assert found.balanced_accuracy == pytest.approx(float((logits.argmax(1) == 0).double().mean()))


def test_balanced_accuracy_does_not_follow_the_large_class():
    """Negative control: accuracy does."""
    matrix = confusion(torch.zeros(100, dtype=torch.long), torch.tensor([0] * 95 + [1] * 5), 2)
    assert balanced_accuracy(matrix) == 0.5 and macro_f1(matrix) < 0.5 < float(matrix.diagonal().sum()) / 100


def test_of_many_classes_the_text_names_the_most_frequent_confusions_and_no_matrix_is_kept():
    labels = torch.arange(20).repeat(5)
    predicted = labels.clone()
    predicted[:7] = 19
    few = ClassScores.of(torch.eye(20)[predicted], labels)
    (table,) = few.tables([f"class {k}" for k in range(20)])
    assert table.rows[0] == ("class 0", "class 19", "1", "20.00") and len(table.rows) == 7
    many = ClassScores.of(torch.eye(MOST_CLASSES + 1), torch.arange(MOST_CLASSES + 1))
    assert many.confusion is None and not list(many.tables([])) and many.balanced_accuracy == 1.0


def evaluated():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 3))
    images = ImageSet(torch.randint(0, 256, (40, 1, 6, 6)).byte(), [k % 3 for k in range(40)], name="noise")
    return evaluate(OpenedModel(net, Preprocessing(6, 0.5, 0.5), name="mine"), images, angles=0, probe=0)


def test_a_report_has_them_for_upright_images_and_under_every_element():
    report = evaluated()
    scores = report.scores
    assert scores.balanced_accuracy == report.elements[0].balanced_accuracy
    assert sum(map(sum, scores.confusion)) == 40
    assert str(scores) in str(report) and "Upright images by true class" in str(report)
    assert "balanced %" in str(report)
    again = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert again == report


def test_a_report_from_before_has_none_and_its_text_is_as_it_was():
    fields = evaluated().to_dict()
    old = {key: value for key, value in fields.items() if key not in ("scores", "mismatch")}
    gone = ("balanced_accuracy", "macro_f1")
    old["elements"] = [{k: v for k, v in element.items() if k not in gone} for element in old["elements"]]
    report = Report.from_dict(old)
    assert report.scores is None and report.mismatch is None
    assert "balanced" not in str(report) and "AUC" not in str(report)


def test_a_matrix_of_other_images_is_refused():
    fields = evaluated().to_dict()
    for broken in ({"confusion": [[1, 0], [0, 1]]}, {"confusion": [[1, 2, 3]]}, {"auc": 1.5}, {"macro_f1": 0.01}):
        with pytest.raises(ModelError, match="not whole"):
            Report.from_dict(fields | {"scores": fields["scores"] | broken})
    with pytest.raises(ValueError, match="other images"):
        replace(made_up.report(), scores=ClassScores(1.0, 1.0, None, ((1, 0), (0, 1))))
