"""The registry: one entry is enough for a measure to appear in `symdata measure`, and in tables and JSON of reports."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from symdata.display import Result, Table, plain
from symdata.groups import Group
from zoo.measure.metrics import METRICS, metric
from zoo.measure.plain_data import read
from zoo.measure.summary import measure_all, passes
from zoo.report.measures import Measures, columns, legend, measure

NOISE = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Brightness(Result):
    """How much brighter the outputs are than the inputs."""

    value: float

    def parts(self):
        yield Table(("brightness",), [(f"{self.value:.2f}",)])

    def to_dict(self):
        return {"brightness": self.value}


@dataclass(frozen=True)
class Bright:
    """What a report keeps of it."""

    bright: bool
    values: tuple[float, ...]
    other: int | None

    @classmethod
    def of(cls, found):
        return cls(found.value > 0, (found.value, 2.0), None)


@pytest.fixture
def registry():
    """Restored after the test."""
    before = dict(METRICS)
    yield
    METRICS.clear()
    METRICS.update(before)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(200, 3))


def brightness(model, inputs, request):
    with torch.no_grad():
        value = float(model(inputs).mean() - inputs.mean())
    request.progress(len(inputs))
    return Brightness(value)


@pytest.mark.parametrize("kept", [None, Bright])
def test_one_entry_is_enough(registry, kept):
    cell = (lambda kept: f"{kept['brightness']:.2f}") if kept is None else (lambda kept: str(kept.bright))
    keys = ("brightness",) if kept is None else ("bright", "values", "other")
    metric(*keys, kept=kept, columns={"brighter": cell}, legend="brighter: by how much")(brightness)
    passed = []
    found = measure_all(net(), NOISE, "c4", generators=["rotation"], progress=passed.append)
    assert sum(passed) == passes(["rotation"]) * len(NOISE) == 12
    assert str(found).endswith(f"brightness\n----------\n{found.found['brightness'].value:.2f}")
    assert found.to_dict()["brightness"] == found.found["brightness"].value
    assert columns()[-1] == "brighter" and legend().endswith("; and brighter: by how much")
    measures = measure(net(), NOISE, Group(4))
    assert measures.cells[-1] == cell(measures.kept["brightness"]) and len(measures.cells) == len(columns())
    fields = measures.to_dict()
    assert set(keys) < set(fields) and Measures.from_dict(fields) == measures
    for key in keys:
        del fields[key]
    earlier = Measures.from_dict(fields)
    assert earlier.cells == (*measures.cells[:-1], "-"), "a record from before the measure existed"
    assert earlier.to_dict() == fields


def test_the_order_does_not_depend_on_what_was_imported_first(registry):
    names, entries = list(METRICS), dict(METRICS)
    METRICS.clear()
    for name in ("brightness", *reversed(names), "angles"):
        entry = entries.get(name)
        register = metric(*(entry.keys if entry else (name,)), columns=entry.columns if entry else {name: str})
        register(entry.measure if entry else type("measure", (), {"__name__": name})())
    assert list(METRICS) == ["element_errors", "local_errors", "layer_errors", "angles", "brightness"]
    assert columns() == ("feature maps", "logits", "LEE turning", "LEE shifting", "angles", "brightness")


def test_two_measures_of_one_name_are_refused(registry):
    metric("brightness")(brightness)
    with pytest.raises(AssertionError, match="there are two measures brightness"):
        metric("brightness")(brightness)


def test_plain_data_are_read_again():
    value = Bright(True, (0.5, 1.5), None)
    assert plain(value) == {"bright": True, "values": [0.5, 1.5], "other": None}
    assert read(Bright, plain(value)) == value
    assert read(Bright, {"bright": True, "values": [1], "other": 3}) == Bright(True, (1.0,), 3)
    with pytest.raises(KeyError, match="values"):
        read(Bright, {"bright": True})
    for wrong in ({"bright": 1}, {"values": ["x"]}, {"other": "3"}):
        with pytest.raises(TypeError, match="is expected"):
            read(Bright, plain(value) | wrong)


def test_a_split_that_fails_is_an_error_or_a_note():
    class NoForwardMode(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return 2 * gradient

    class Layer(nn.Module):
        def forward(self, x):
            return NoForwardMode.apply(x)

    model = nn.Sequential(nn.Conv2d(1, 2, 3), Layer(), nn.Flatten())
    options = {"generators": ["rotation"], "split": ["rotation"]}
    with pytest.raises(Exception, match="cannot be differentiated"):
        measure_all(model, NOISE, **options)
    found = measure_all(model, NOISE, **options, lenient=True)
    assert found.to_dict()["layers"] == [] and found.note.endswith("use method='central', which needs no derivatives")
    assert "Note: layers were not separated along rotation: " in str(found)
