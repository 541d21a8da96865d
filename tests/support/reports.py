"""Evaluations made up for cards, and what may stand on a card: no number but theirs."""

import json
import re
from collections.abc import Iterator
from typing import Any

from symdata.groups import Group
from zoo.evaluation.report import AngleCurve, ElementScore, Gap, Report
from zoo.measure.estimates import Rate

DIGEST = "ab" * 32
"""Stands for the sha256 of a dataset's manifest."""
FIXED = ("uint8", "[0, 1]", "apache-2.0", "torch.zeros(1,", "(1, ")
"""What the template says of itself: a type, an interval, a licence, and the shape of one image."""


def report(group: str = "d4", angles: int = 4, **changes: Any) -> Report:
    """1,234 images of four classes; under element k and at angle k some are missed, the more the larger k is."""
    rates = [Rate(1205 - 31 * k, 1234) for k in range(len(Group.parse(group).elements))]
    parts: dict[str, Any] = {
        "name": "p4cnn_20.squares-none",
        "data": "squares-none, test",
        "classes": ("a", "b", "c", "d"),
        "size": 20,
        "fill": "background",
        "upright": rates[0],
        "by_class": (Rate(301, 308), Rate(302, 309), Rate(301, 308), Rate(301, 309)),
        "group": group,
        "elements": tuple(
            ElementScore(str(e), rate, rate.correct, 0.1 * k, 0.01)
            for k, (e, rate) in enumerate(zip(Group.parse(group).elements, rates, strict=True))
        ),
        "curve": AngleCurve(
            tuple(360 * k / angles for k in range(angles)), tuple(190 - 5 * k for k in range(angles)), 200
        )
        if angles
        else None,
        "gap": Gap("none", rates[0], Rate(7000, 8638), None),
        "structure": None,
        "logits": ((0.1, 0.2, 0.3, 0.4),),
        "split": "test",
        "manifest_sha256": DIGEST,
    }
    return Report(**parts | changes)


def evaluation(**changes: Any) -> dict[str, Any]:
    """The same as evaluation.json has it."""
    said: dict[str, Any] = json.loads(json.dumps(report(**changes).to_dict()))
    return said


def strange_numbers(card: str, *known: dict[str, Any] | None) -> set[str]:
    """The numbers on a card that neither its configuration nor its evaluation says, nor follow by counting."""
    for text in FIXED:
        card = card.replace(text, "")
    said = {form for source in known if source is not None for form in _forms(source)}
    return {number for number in _numbers(card) if number not in said}


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text)


def _forms(value: Any) -> Iterator[str]:
    """Every way in which a card may write what is in `value`; logits and the like are not told on it."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from _numbers(str(key))
                if key not in ("logits", "structure", "versions"):
                    yield from _forms(inner)
        case list():
            yield f"{len(value):,}"
            for inner in value:
                yield from _forms(inner)
        case bool() | None:
            pass
        case int() | float():
            yield from (f"{value:,}", f"{value:g}", f"{value:.4g}", repr(value), f"{100 * value:.2f}")
        case str():
            yield from _numbers(value)
