"""The report: prediction against measurement, and the way to JSON and back."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from symdata.display import Table
from symdata.groups import Element, Group
from tests.support import reports as made_up
from tests.support.classifiers import UNIT, Centroids, digits
from zoo import ImageSet, ModelError, OpenedModel, Report, evaluate
from zoo.evaluation.report import Gap
from zoo.evaluation.structure import FIELDS, FOREIGN, structure
from zoo.measure.estimates import Rate
from zoo.models.registry import create
from zoo.preprocessing import Preprocessing

D4 = Group(4, True)
GRID = [Element(angle, flip) for flip in (False, True) for angle in range(0, 360, 5)]


@pytest.fixture(scope="module")
def plain(data):
    return Centroids(*digits(data, "train", 1000))


def test_the_gap_counts_where_an_image_stands_in_the_end(plain, data):
    """Images that d4 has moved already are seen by a model that saw d4, whatever element is added."""
    images, labels = digits(data, "test", 60)
    drawn = D4.take(np.arange(60) % 8)
    moved = ImageSet(images, labels, drawn=drawn)
    report = evaluate(OpenedModel(plain, UNIT, seen="d4"), moved, angles=0, probe=0)
    assert report.gap.unseen.count == 0 and report.gap.value is None
    report = evaluate(OpenedModel(plain, UNIT, seen="none"), moved, angles=0, probe=0)
    assert report.gap.seen.count == 60  # of every image exactly one element undoes what moved it
    undone = [(~drawn.one(i)) for i in range(60)]
    right = [
        evaluate(OpenedModel(plain, UNIT), (images[i : i + 1], labels[i : i + 1]), angles=0, probe=0)
        .elements[D4.index(e)]
        .rate.correct
        for i, e in enumerate(undone)
    ]
    assert report.gap.seen.correct == sum(right)


def test_the_gap_per_class(plain, data):
    images, labels = digits(data, "test", 100)
    report = evaluate(OpenedModel(plain, UNIT, seen="0-4:d4,rest:c4"), (images, labels), angles=0, probe=0)
    counts = torch.bincount(labels, minlength=10).tolist()
    assert [(gap.seen.count, gap.unseen.count) for gap in report.gap.by_class] == [
        (8 * n, 0) if c <= 4 else (4 * n, 4 * n) for c, n in enumerate(counts)
    ]
    assert report.gap.seen.count == sum(gap.seen.count for gap in report.gap.by_class)
    assert report.gap.symmetry == "0-4:d4,rest:c4"
    assert evaluate(OpenedModel(plain, UNIT), (images, labels), angles=0, probe=0).gap is None


@pytest.mark.parametrize(("name", "survivors"), [("p4cnn_28", 4), ("p4cnn_27", 1), ("p4mcnn_26", 8), ("p4mcnn_27", 2)])
def test_prediction_and_measurement_agree_on_real_images(data, name, survivors):
    size = int(name[-2:])
    model = create(name, width=3, in_chans=1, seed=0)
    found = structure(model, Preprocessing(size, (0.1307,), (0.3081,))(digits(data, "test", 4)[0]))
    assert found.agrees is True and len(found.survivors) == survivors and found.note == ""
    assert found.exact == (survivors == len(found.elements))
    for element, error in found.by_element.items():
        assert error < 1e-9 if element in found.survivors else error > 1e-3
    exact = [moved for element, moved in zip(found.elements, found.logits, strict=True) if element in found.survivors]
    assert max(exact) < 1e-12 and (not found.exact or max(found.logits) < 1e-12)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_a_network_that_is_not_of_our_layers_is_measured_by_its_grids(data):
    x = Preprocessing(28, (0.1307,), (0.3081,))(digits(data, "test", 4)[0])
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), nn.Flatten()]
    found = structure(nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)), x)
    assert found.note == FOREIGN and found.group == "d4"
    assert found.survivors == ("e", "r90m") and found.agrees is True
    found = structure(nn.Sequential(*layers, nn.Linear(784, 10)), x)
    assert found.survivors == ("e",), "the linear layer weighs positions"
    assert min(found.logits[1:]) > 1e-3  # it is no invariant classifier, whatever its grids
    plain_of_ours = structure(create("z2cnn_28", width=4, in_chans=1, seed=0), x)
    assert plain_of_ours.note == FOREIGN and plain_of_ours.exact and plain_of_ours.agrees is True


class Beyond(nn.Module):
    """Stands for a network on a group that the lattice does not have."""

    def __init__(self):
        super().__init__()
        self.group, self.conv, self.head = Group(8), nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 10)

    def forward(self, x):
        return self.head(self.conv(x).mean((-2, -1)))


def test_of_fields_beyond_the_lattice_only_logits_are_measured(data):
    found = structure(Beyond(), UNIT(digits(data, "test", 2)[0]))
    assert found.note == FIELDS and found.agrees is None and found.by_element == {} and len(found.logits) == 4


def test_a_weight_for_every_position_is_seen(data):
    """No arithmetic on grids can see it: the values of constants are compared."""

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.where = nn.Conv2d(1, 2, 3, padding=1), nn.Parameter(torch.randn(2, 28, 28))
            self.norm = nn.BatchNorm2d(2)

        def forward(self, x):
            return self.norm(self.conv(x) + self.where).mean((-2, -1))

    found = structure(Positions(), UNIT(digits(data, "test", 2)[0]))
    assert not found.exact and found.agrees is True and found.survivors == ("e",)
    assert "its constants differ between positions" in found.verdict


def report_of(data, **options):
    model = Centroids(*digits(data, "train", 100))
    images = ImageSet(*digits(data, "test", 20), name="mnist, test")
    return evaluate(OpenedModel(model, UNIT, seen="0-4:d4,rest:none"), images, **options)


def test_the_report_survives_json(data):
    model = create("p4cnn_28", width=2, in_chans=1, seed=0)
    reports = [
        report_of(data, probe=0, angles=8),
        report_of(data, probe=0, angles=0),
        report_of(data, probe=0, limit=3),
    ]
    opened = OpenedModel(model, UNIT, seen="o2")
    reports.append(replace(evaluate(opened, digits(data, "test", 20), angles=0, probe=2), note="a note"))
    for one in reports:
        text = json.dumps(one.to_dict(), allow_nan=False)
        assert Report.from_dict(json.loads(text)) == one
    fields = reports[0].to_dict()
    assert fields["upright"]["accuracy"] == reports[0].upright.value
    assert fields["mean"] == reports[0].curve.mean and fields["data"] == {"name": "mnist, test"}
    assert reports[3].to_dict()["unseen"] is None  # nothing was counted, and 0 would be read as an accuracy


def test_what_is_no_report_is_refused(data):
    fields = report_of(data, probe=0, angles=0).to_dict()
    for path in ("upright", "elements", "curve", "seen", "logits", "data"):
        with pytest.raises(ModelError, match=r"the report is not whole .*evaluate again"):
            Report.from_dict({key: value for key, value in fields.items() if key != path})
    for broken in ({"elements": 3}, {"upright": {"correct": "many", "count": 1}}, {"gap": {}}, {"data": []}):
        with pytest.raises(ModelError, match="not whole"):
            Report.from_dict(fields | broken)
    for stranger in ({}, [], None, {"format": 2}):
        with pytest.raises(ModelError, match="expected 1; evaluate again with this version"):
            Report.from_dict(stranger)


def test_two_reports_can_be_held_against_each_other(data):
    first, again = (report_of(data, probe=0, angles=0) for _ in range(2))
    assert first == again and first.deviation(again) == 0.0
    logits = (tuple(v + 0.5 for v in first.logits[0]), *first.logits[1:])
    other = Report.from_dict(first.to_dict() | {"logits": [list(row) for row in logits]})
    assert first.deviation(other) == pytest.approx(0.5)
    with pytest.raises(ModelError, match="keep other logits"):
        first.deviation(report_of(data, probe=0, angles=0, limit=3))


# The report for a reader

report = made_up.report


def test_a_report_prints_itself_and_is_a_page_in_a_notebook():
    said = report()
    text, html = str(said), said._repr_html_()
    assert text.startswith(
        "p4cnn_20.squares-none on squares-none, test: 1,234 images at 20x20, 4 classes\nupright 97.65 %"
    )
    assert (
        "angles   91.25 % on average, lowest 87.50 % at 270 degrees (4 angles on 200 images, fill background)" in text
    )
    assert "gap      16.61 points: 97.65 % on elements seen in training (upright alone), 81.04 % on the others" in text
    assert [type(part) for part in said.parts()] == [str, Table, str, Table]
    for cell in ("r270m", "95.14", "97.73"):
        assert cell in text and f"<td>{cell}</td>" in html
    assert (
        str(report(note="a < b")).endswith("\n\nNote: a < b.")
        and "Note: a &lt; b." in report(note="a < b")._repr_html_()
    )


def test_of_many_elements_and_classes_the_worst_are_printed():
    rate, names = Rate(9, 10), tuple(map(str, range(40)))
    said = report(group="d16", classes=names, by_class=tuple(Rate(k % 11, 10 if k != 3 else 11) for k in range(40)))
    text = str(said)
    assert "(32 elements of d16; the worst)" in text and "(40 classes; the worst)" in text
    assert text.count("\nr") == 15 and rate.value > said.elements[16].rate.value


@pytest.mark.parametrize(
    ("gap", "line"),
    [
        (None, "not known: the model does not say what it was trained on"),
        (Gap("d4", Rate(3, 4), Rate(0, 0), None), "none: every element was seen in training (d4)"),
        (Gap("none", Rate(0, 0), Rate(3, 4), None), "none: no element was seen in training (upright alone)"),
    ],
)
def test_without_two_sides_there_is_no_gap(gap, line):
    assert f"\ngap      {line}\n" in str(report(gap=gap))


def test_a_report_draws_itself():
    (axes,) = report().plot().axes
    assert len(axes.lines) == 1 + 1 + 2  # chance, the curve, rotations and mirrored elements
    (axes,) = report().plot(report(name="other")).axes
    assert len(axes.lines) == 1 + 2  # of several reports the curves alone
    (axes,) = report(angles=0).plot().axes
    assert len(axes.lines) == 1 + 2  # without a curve the elements


def test_the_structure_is_a_table_of_its_own(data):
    found = structure(create("p4cnn_28", width=2, in_chans=1, seed=0), UNIT(digits(data, "test", 2)[0]))
    (table,) = found.parts()
    assert str(found) == str(table) and table.header == ("element", "predicted", "feature maps", "logits")
    assert str(found).startswith(
        "Exact: at 28x28 its feature maps move with the image under c4.\nMeasured in float64 on 2"
    )
    assert str(found).endswith("\nFeature maps agree with the prediction.")
    assert "DISAGREE" in str(replace(found, survivors=("e",)))
