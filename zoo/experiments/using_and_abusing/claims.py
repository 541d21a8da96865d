"""The claims of "Using and Abusing Equivariance" as bands B1 ... B15.

B2, that the condition of exactness is an equivalence for single layers, is a test and is not measured here.
"""

import math
from collections.abc import Iterator

from zoo.experiments.harness.bands import Condition

EXACT, NEARS, PLAIN = "p4cnn_28", ("p4cnn_27", "p4cnn_29"), "z2cnn_28"


def _upright() -> Iterator[Condition]:
    """B6 to B9; `quarter` is the lower one of the accuracies at 90 and 270 degrees."""
    yield Condition("B6", f"{EXACT}: 0° >= 97.0", f"{EXACT} 0", low=97.0, budget="paper")
    yield Condition("B6", f"{EXACT}: 0° >= 96.5 (small budget)", f"{EXACT} 0", low=96.5, budget="small")
    for turn in ("90", "180", "270"):
        text, gap = f"{EXACT}: |{turn}° - 0°| <= 0.05, every seed", f"{EXACT} {turn} - {EXACT} 0"
        yield Condition("B6", text, gap, -0.05, 0.05, every=True)
    for near in NEARS:
        yield Condition("B7", f"{near}: 0° >= 98.0", f"{near} 0", low=98.0)
        yield Condition("B7", f"{near} - {EXACT} at 0°: 0.3 to 1.5", f"{near} 0 - {EXACT} 0", 0.3, 1.5)
        for turn, low, high in (("90", 60.0, 92.0), ("270", 60.0, 92.0), ("180", 40.0, 62.0)):
            yield Condition("B8", f"{near}: {turn}° in {low:g} to {high:g}", f"{near} {turn}", low, high)
        text = f"{near}: 180° < min(90°, 270°), every seed"
        yield Condition("B8", text, f"{near} 180 - {near} quarter", high=0.0, every=True)
        text = f"{near}: min(90°, 270°) < 0°, every seed"
        yield Condition("B8", text, f"{near} quarter - {near} 0", high=0.0, every=True)
    yield Condition("B9", f"{PLAIN}: 0° >= 98.0", f"{PLAIN} 0", low=98.0)
    yield Condition("B9", f"{PLAIN}: 90° <= 25", f"{PLAIN} 90", high=25.0)
    yield Condition("B9", f"{PLAIN}: 270° <= 25", f"{PLAIN} 270", high=25.0)
    yield Condition("B9", f"{PLAIN}: 180° in 38 to 50", f"{PLAIN} 180", 38.0, 50.0)


def _angles(band: str, first: str, second: str, low: float, high: float) -> Condition:
    text = f"{first} - {second}, 36 angles: {low:g} to {high:g}"
    return Condition(band, text, f"{first} angles - {second} angles", low, high)


def _uniform() -> Iterator[Condition]:
    for model in (EXACT, *NEARS):
        yield Condition("B10", f"{model}: 36 angles >= 96.0", f"{model} angles", low=96.0)
    for near in NEARS:
        yield _angles("B10", EXACT, near, -0.1, 0.5)
    text = "|p4cnn_27 - p4cnn_29|, 36 angles: <= 0.5"
    yield Condition("B10", text, "p4cnn_27 angles - p4cnn_29 angles", -0.5, 0.5)
    yield _angles("B10", EXACT, PLAIN, 5.0, 10.0)


def _biased() -> Iterator[Condition]:
    for near in NEARS:
        text = f"{near} - {EXACT} at 40° and 50°: >= 0.4"
        yield Condition("B11", text, f"{near} diagonal - {EXACT} diagonal", low=0.4)
        yield _angles("B11", EXACT, near, 12.0, 24.0)


def _biased40() -> Iterator[Condition]:
    for near in NEARS:
        yield _angles("B12", EXACT, near, 4.0, 10.0)
        yield _angles("B12", near, PLAIN, 13.0, 22.0)


def _sizes() -> Iterator[Condition]:
    wrong = {
        "B1": "exact sizes: predicted and measured differ nowhere, and no error lies in between",
        "B3": "30x33, 33x30 and 33x37: exactly the predicted elements are exact",
        "B4": "parameters: none differs from the published count",
        "B13": "ResNet44: exact before its first stride at 96, everywhere at 97; broken after it at 96",
        "B14": "logits at an exact size: invariant with coset pooling, and only with it",
    }
    for band, text in wrong.items():
        yield Condition(band, text, f"{band} wrong", high=0.0)


def _knight() -> Iterator[Condition]:
    layer, ln2 = "3x3 s2 p1", math.log(2)
    yield Condition("B5", "32 px: loss < 0.02, every seed", f"32 px, {layer} loss", high=0.02, every=True)
    yield Condition("B5", "32 px: both images right, every seed", f"32 px, {layer} accuracy", 1.0, 1.0, every=True)
    for size in (33, 31):
        text = f"{size} px: loss = ln 2 to within 0.001, every seed"
        yield Condition("B5", text, f"{size} px, {layer} loss", ln2 - 1e-3, ln2 + 1e-3, every=True)


def _cifar() -> Iterator[Condition]:
    for group in ("p4", "p4m"):
        near, exact = f"{group}resnet44_32", f"{group}resnet44_33"
        yield Condition("B15", f"{near} - {exact}, upright: >= -0.5", f"{near} 0 - {exact} 0", low=-0.5)
        text = f"{exact} - {near}, mean of four quarter turns: >= 10"
        yield Condition("B15", text, f"{exact} quarters - {near} quarters", low=10.0)


CONDITIONS: dict[str, tuple[Condition, ...]] = {
    "knight": tuple(_knight()),
    "sizes": tuple(_sizes()),
    "upright": tuple(_upright()),
    "uniform": tuple(_uniform()),
    "biased": tuple(_biased()),
    "biased40": tuple(_biased40()),
    "cifar": tuple(_cifar()),
}
"""Part -> its bands; in percent and points where accuracies are bounded."""
