"""The claims of "Using and Abusing Equivariance" as bands B1 ... B15.

B2, that the condition of exactness is an equivalence for single layers, is a test and is not measured here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from zoo.experiments.harness.bands import Condition, Verdict, judge


def _accuracy_bands() -> Iterable[Condition]:
    """B6 to B12; `quarter` is the lower one of the accuracies at 90 and 270 degrees."""
    exact = "p4cnn_28"
    at, minus = "p4cnn_28 0", {"p4cnn_28 0": -1.0}
    yield Condition("B6", "upright", f"{exact}: 0° >= 97.0", {at: 1}, low=97.0, budget="paper")
    yield Condition("B6", "upright", f"{exact}: 0° >= 96.5 (small budget)", {at: 1}, low=96.5, budget="small")
    for turn in ("90", "180", "270"):
        terms, text = {f"{exact} {turn}": 1.0} | minus, f"{exact}: |{turn}° - 0°| <= 0.05, every seed"
        yield Condition("B6", "upright", text, terms, -0.05, 0.05, every=True)
    for near in ("p4cnn_27", "p4cnn_29"):
        yield Condition("B7", "upright", f"{near}: 0° >= 98.0", {f"{near} 0": 1}, low=98.0)
        yield Condition("B7", "upright", f"{near} - {exact} at 0°: 0.3 to 1.5", {f"{near} 0": 1} | minus, 0.3, 1.5)
        for turn, low, high in (("90", 60.0, 92.0), ("270", 60.0, 92.0), ("180", 40.0, 62.0)):
            text = f"{near}: {turn}° in {low:g} to {high:g}"
            yield Condition("B8", "upright", text, {f"{near} {turn}": 1}, low, high)
        order = {f"{near} 180": 1.0, f"{near} quarter": -1.0}
        yield Condition("B8", "upright", f"{near}: 180° < min(90°, 270°), every seed", order, high=0.0, every=True)
        order = {f"{near} quarter": 1.0, f"{near} 0": -1.0}
        yield Condition("B8", "upright", f"{near}: min(90°, 270°) < 0°, every seed", order, high=0.0, every=True)
    plain = "z2cnn_28"
    yield Condition("B9", "upright", f"{plain}: 0° >= 98.0", {f"{plain} 0": 1}, low=98.0)
    yield Condition("B9", "upright", f"{plain}: 90° <= 25", {f"{plain} 90": 1}, high=25.0)
    yield Condition("B9", "upright", f"{plain}: 270° <= 25", {f"{plain} 270": 1}, high=25.0)
    yield Condition("B9", "upright", f"{plain}: 180° in 38 to 50", {f"{plain} 180": 1}, 38.0, 50.0)
    yield from _curve_bands()


def _curve_bands() -> Iterable[Condition]:
    exact, plain = "p4cnn_28 angles", "z2cnn_28 angles"
    nears = ("p4cnn_27", "p4cnn_29")
    yield from (
        Condition("B10", "uniform", f"{model}: 36 angles >= 96.0", {f"{model} angles": 1}, low=96.0)
        for model in ("p4cnn_28", *nears)
    )
    for near in nears:
        gap = {exact: 1.0, f"{near} angles": -1.0}
        yield Condition("B10", "uniform", f"p4cnn_28 - {near}, 36 angles: -0.1 to 0.5", gap, -0.1, 0.5)
    pair = {f"{near} angles": sign for near, sign in zip(nears, (1.0, -1.0), strict=True)}
    yield Condition("B10", "uniform", "|p4cnn_27 - p4cnn_29|, 36 angles: <= 0.5", pair, -0.5, 0.5)
    yield Condition("B10", "uniform", "p4cnn_28 - z2cnn_28, 36 angles: 5 to 10", {exact: 1, plain: -1}, 5.0, 10.0)
    for near in nears:
        win = {f"{near} diagonal": 1.0, "p4cnn_28 diagonal": -1.0}
        yield Condition("B11", "biased", f"{near} - p4cnn_28 at 40° and 50°: >= 0.4", win, low=0.4)
        gap = {exact: 1.0, f"{near} angles": -1.0}
        yield Condition("B11", "biased", f"p4cnn_28 - {near}, 36 angles: 12 to 24", gap, 12.0, 24.0)
        yield Condition("B12", "biased40", f"p4cnn_28 - {near}, 36 angles: 4 to 10", gap, 4.0, 10.0)
        gap = {f"{near} angles": 1.0, plain: -1.0}
        yield Condition("B12", "biased40", f"{near} - z2cnn_28, 36 angles: 13 to 22", gap, 13.0, 22.0)


def _other_bands() -> Iterable[Condition]:
    wrong = {
        "B1": "exact sizes: predicted and measured differ nowhere, and no error lies in between",
        "B3": "30x33, 33x30 and 33x37: exactly the predicted elements are exact",
        "B4": "parameters: none differs from the published count",
        "B13": "ResNet44: exact before its first stride at 96, everywhere at 97; broken after it at 96",
        "B14": "logits at an exact size: invariant with coset pooling, and only with it",
    }
    yield from (Condition(band, "sizes", text, {f"{band} wrong": 1}, high=0.0) for band, text in wrong.items())
    loss = {"32 px, 3x3 s2 p1 loss": 1.0}
    yield Condition("B5", "knight", "32 px: loss < 0.02, every seed", loss, high=0.02, every=True)
    hits = {"32 px, 3x3 s2 p1 accuracy": 1.0}
    yield Condition("B5", "knight", "32 px: both images right, every seed", hits, 1.0, 1.0, every=True)
    for size in (33, 31):
        loss, ln2 = {f"{size} px, 3x3 s2 p1 loss": 1.0}, math.log(2)
        text = f"{size} px: loss = ln 2 to within 0.001, every seed"
        yield Condition("B5", "knight", text, loss, ln2 - 1e-3, ln2 + 1e-3, every=True)
    for group in ("p4", "p4m"):
        near, exact = f"{group}resnet44_32", f"{group}resnet44_33"
        text, terms = f"{near} - {exact}, upright: >= -0.5", {f"{near} 0": 1.0, f"{exact} 0": -1.0}
        yield Condition("B15", "cifar", text, terms, low=-0.5)
        text = f"{exact} - {near}, mean of four quarter turns: >= 10"
        yield Condition("B15", "cifar", text, {f"{exact} quarters": 1.0, f"{near} quarters": -1.0}, low=10.0)


CONDITIONS = (*_other_bands(), *_accuracy_bands())
"""Every band; percent and points where accuracies are meant."""


def verdicts(part: str, series: Mapping[str, Sequence[float]], budget: str) -> tuple[Verdict, ...]:
    """The verdicts on the bands of a part."""
    return tuple(judge(part, series, budget, CONDITIONS))
