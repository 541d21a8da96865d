"""Where and for which elements exactness breaks: by stage, without coset pooling, on rectangles; and parameters."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from symdata.display import Table
from symdata.groups import Element, Group
from zoo.exactness.audits import audit
from zoo.experiments.using_and_abusing.exactness import acted, calibrated, errors, group_of, noise, relative_error
from zoo.experiments.using_and_abusing.published import PARAMETERS
from zoo.layers.regular import move
from zoo.measure.feature_error import BROKEN_ERROR as BROKEN
from zoo.measure.feature_error import EXACT_ERROR as EXACT
from zoo.models.registry import create

Answer = dict[str, Any]

STAGES = ("stem", "stage1", "stage2", "stage3")
STAGED = ("p4resnet44_96", "p4resnet44_97")
BROKEN_STAGE = 1e-2
"""Least error of a stage that is past a broken stride."""

RECTANGLES = {
    (30, 33): "e r90 m r90m",
    (33, 30): "e r270 r90m r180m",
    (33, 37): "e r90 r180 r270 m r90m r180m r270m",
}
"""(height, width) -> elements under which p4m-ResNet44 is exact, as derived and measured on the authors' layers."""

POOLED = (("p4resnet44_33", True), ("p4resnet44_33", False), ("p4cnn_28", True), ("p4cnn_28", False))
"""Networks at exact sizes, with and without coset pooling."""
WIDTH = 4
"""Fields in the first layer of the networks whose stages and pooling are measured."""


def _stages() -> Answer:
    """The largest error over the quarter turns after each stage."""
    found = {}
    for name in STAGED:
        size = int(name.split("_")[1])
        model, images = calibrated(create(name, width=WIDTH, seed=0), 33), noise(2, 3, (size, size))
        before = _outputs(model, images)
        worst = dict.fromkeys(STAGES, 0.0)
        for e in Group(4).elements[1:]:
            after = _outputs(model, move(images, e))
            for stage in STAGES:
                expected = acted(before[stage], e, group_of(model))
                worst[stage] = max(worst[stage], relative_error(expected, after[stage], before[stage]))
        found[name] = worst
    return found


def _outputs(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The output of each stage of a ResNet."""
    x, found = images, {}
    with torch.no_grad():
        for name, module in model.trunk.named_children():  # type: ignore[union-attr]
            x = module(x)
            found[name] = x
    return found


def _pooling() -> Answer:
    """The relative change of the logits, and of the feature map turned back, under a quarter turn."""
    rows = []
    for name, pooled in POOLED:
        size, turn = int(name.split("_")[1]), Element(90.0)
        model = calibrated(create(name, width=WIDTH, coset_pool=pooled, seed=0), size)
        images = noise(8, 3, (size, size))
        with torch.no_grad():
            before, after = model(images), model(move(images, turn))
        change = relative_error(before, after, before)
        rows.append({"network": name, "pooled": pooled, "logits": change, "features": errors(model, images, [turn])[0]})
    return {"rows": rows}


def _rectangles() -> Answer:
    """The error of p4m-ResNet44 under every element of d4, and the elements that survive by arithmetic."""
    model, found = calibrated(create("p4mresnet44_33", width=2, seed=0), 33), {}
    for size in RECTANGLES:
        elements = group_of(model).elements
        measured = dict(zip(map(str, elements), errors(model, noise(4, 3, size), elements), strict=True))
        predicted = [str(e) for e in audit(model, size).survivors]
        found[f"{size[0]}x{size[1]}"] = {"errors": measured, "predicted": predicted}
    return found


def _parameters() -> Answer:
    """Parameters with coset pooling, and without where that is published."""
    return {
        name: [_count(name, True)] + ([_count(name, False)] if without is not None else [])
        for name, (_, without) in PARAMETERS.items()
    }


def _count(name: str, coset_pool: bool) -> int:
    return sum(p.numel() for p in create(name, coset_pool=coset_pool).parameters())


QUESTIONS: dict[str, tuple[dict[str, Any], Callable[[], Answer]]] = {
    "stages": ({"networks": list(STAGED), "width": WIDTH}, _stages),
    "pooling": ({"networks": [name for name, _ in POOLED], "width": WIDTH}, _pooling),
    "rectangles": (
        {"network": "p4mresnet44_33", "width": 2, "sizes": [list(size) for size in RECTANGLES]},
        _rectangles,
    ),
    "parameters": ({"networks": list(PARAMETERS)}, _parameters),
}
"""Key of the run -> its request, and what answers it."""


def series(results: Mapping[str, Answer]) -> dict[str, list[float]]:
    """The number of wrong answers to each of the four, for the bands."""
    checks = {
        "B3 wrong": [_exact_of(entry) != set(words.split()) for entry, words in _rectangle_rows(results)],
        "B4 wrong": [
            list(results["parameters"][name]) != [count for count in counts if count is not None]
            for name, counts in PARAMETERS.items()
        ],
        "B13 wrong": [
            not (error > BROKEN_STAGE if name == STAGED[0] and stage in STAGES[2:] else error < EXACT)
            for name in STAGED
            for stage, error in results["stages"][name].items()
        ],
        "B14 wrong": [
            row["features"] > EXACT or not (row["logits"] < EXACT if row["pooled"] else row["logits"] > BROKEN)
            for row in results["pooling"]["rows"]
        ],
    }
    return {name: [float(sum(wrong))] for name, wrong in checks.items()}


def _rectangle_rows(results: Mapping[str, Answer]) -> list[tuple[Answer, str]]:
    return [(results["rectangles"][f"{h}x{w}"], words) for (h, w), words in RECTANGLES.items()]


def _exact_of(entry: Answer) -> set[str]:
    """The elements that are exact where prediction and measurement agree; none where they do not."""
    measured = {e for e, error in entry["errors"].items() if error < EXACT}
    between = any(EXACT <= error <= BROKEN for error in entry["errors"].values())
    return measured if measured == set(entry["predicted"]) and not between else set()


def tables(results: Mapping[str, Answer]) -> tuple[Table, ...]:
    """The tables of the four answers."""
    stages = [(name, *(f"{results['stages'][name][stage]:.1e}" for stage in STAGES)) for name in STAGED]
    note = "Relative error of the feature map in float64, the largest of three turns. The first stride is in stage2."
    first = Table(("network", *STAGES), stages, "Error after each stage of P4-ResNet44", (note,))
    rows = [
        (row["network"], "yes" if row["pooled"] else "no", f"{row['features']:.1e}", f"{row['logits']:.1e}")
        for row in results["pooling"]["rows"]
    ]
    note = "Relative change under a quarter turn, at exact sizes: without coset pooling logits weigh orientations."
    second = Table(("network", "coset pooling", "features", "logits"), rows, "With and without coset pooling", (note,))
    return first, second, _rectangle_table(results), _parameter_table(results)


def _rectangle_table(results: Mapping[str, Answer]) -> Table:
    rows = []
    for (h, w), (entry, words) in zip(RECTANGLES, _rectangle_rows(results), strict=True):
        exact = " ".join(e for e, error in entry["errors"].items() if error < EXACT)
        rest = [error for error in entry["errors"].values() if error >= EXACT]
        least = f"{min(rest):.1e}" if rest else "-"
        rows.append((f"{h} x {w}", words, " ".join(entry["predicted"]), exact, least))
    header = ("height x width", "published", "predicted", "measured", "others, at least")
    note = "Elements of d4 under which P4M-ResNet44 is exact: m mirrors left and right, then r turns."
    return Table(header, rows, "Rectangles", (note,))


def _parameter_table(results: Mapping[str, Answer]) -> Table:
    rows = []
    for name, (pooled, without) in PARAMETERS.items():
        ours = [f"{count:,}" for count in results["parameters"][name]]
        rows.append((name, f"{pooled:,}", ours[0], "-" if without is None else f"{without:,}", (*ours, "-")[1]))
    header = ("network", "published", "ours", "published, no coset pooling", "ours")
    return Table(header, rows, "Parameters", ("10 classes and 3 channels; knight 2 and 1, PCam 2 and 3.",))
