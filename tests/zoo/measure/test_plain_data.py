"""Results to plain data and back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from symdata.display import plain
from zoo.measure.plain_data import read


@dataclass(frozen=True)
class Inner:
    name: str
    share: float


@dataclass(frozen=True)
class Outer:
    count: int
    pair: tuple[float, str]
    every: tuple[Inner, ...]
    by_size: Mapping[int, float]
    maybe: Inner | None = None


VALUE = Outer(3, (0.5, "a"), (Inner("x", 1.0), Inner("y", 2.0)), {28: 0.0, 29: 1.0}, Inner("z", 0.0))


@pytest.mark.parametrize("value", [VALUE, Outer(0, (1.0, ""), (), {})])
def test_what_is_written_is_what_is_read(value):
    assert read(Outer, json.loads(json.dumps(plain(value)))) == value


def test_a_whole_number_is_read_as_a_float_where_one_is_expected():
    found = read(Inner, {"name": "x", "share": 1, "more": "is ignored"})
    assert found == Inner("x", 1.0) and isinstance(found.share, float)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"count": 1.0}, TypeError),
        ({"count": True}, TypeError),
        ({"count": "3"}, TypeError),
        ({"pair": [0.5]}, ValueError),
        ({"pair": {"a": 1}}, TypeError),
        ({"every": [{"name": "x"}]}, KeyError),
        ({"every": "xy"}, TypeError),
        ({"every": [3]}, TypeError),
        ({"by_size": {"many": 0.0}}, ValueError),
        ({"by_size": []}, TypeError),
        ({"maybe": "none"}, TypeError),
    ],
)
def test_data_of_another_shape_are_refused(change, error):
    with pytest.raises(error):
        read(Outer, plain(VALUE) | change)
