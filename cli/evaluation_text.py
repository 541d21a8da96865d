"""The report of `symdata evaluate` as text."""

from typing import TYPE_CHECKING

from cli.options.basic import table

if TYPE_CHECKING:
    from zoo.evaluation import Report
    from zoo.evaluation.structure import Structure

MAX_ROWS = 16
"""Elements or classes that get a row each; of more, the worst."""


def text(report: "Report") -> str:
    """The report for a reader."""
    parts = [_head(report), _elements(report), _summary(report), _structure(report.structure), _classes(report)]
    return "\n\n".join(part for part in [*parts, report.note and f"Note: {report.note}."] if part)


def _head(report: "Report") -> str:
    low, high = report.upright.interval
    size = f"{report.size}x{report.size}"
    return (
        f"{report.name} on {report.data}: {report.count:,} images at {size}, {len(report.classes)} classes\n"
        f"upright {_percent(report.upright.value)} (95 %: {100 * low:.2f} to {100 * high:.2f})"
    )


def _elements(report: "Report") -> str:
    worst = sorted(report.elements[1:], key=lambda score: score.rate.value)[: MAX_ROWS - 1]
    shown = [report.elements[0], *(score for score in report.elements[1:] if score in worst)]
    rows = [
        [
            score.element,
            f"{100 * score.rate.value:.2f}",
            f"{100 * score.rate.standard_error:.2f}",
            f"{100 * score.agreement:.2f}",
            f"{score.invariance:.1e}",
            f"{score.invariance_error:.0e}",
        ]
        for score in shown
    ]
    lines = table(rows, ["element", "accuracy %", "+-", "same answer %", "logits moved by", "+-"])
    more = len(report.elements) - len(shown)
    return lines + (f"\n({len(report.elements)} elements of {report.group}; the worst)" if more else "")


def _summary(report: "Report") -> str:
    """Angles and the gap, a line each."""
    lines = []
    if (curve := report.curve) is not None:
        low = min(range(len(curve.angles)), key=lambda k: curve.correct[k])
        lowest = f"lowest {_percent(curve.accuracies[low])} at {curve.angles[low]:g} degrees"
        asked = f"{len(curve.angles)} angles on {curve.count:,} images, fill {report.fill}"
        lines.append(f"angles   {_percent(curve.mean)} on average, {lowest} ({asked})")
    gap = report.gap
    trained = "" if gap is None else "upright alone" if gap.symmetry == "none" else gap.symmetry
    if gap is None:
        lines.append("gap      not known: the model does not say what it was trained on")
    elif gap.value is None:
        which = "no element is" if not gap.seen.count else "every element is"
        lines.append(f"gap      none to speak of: {which} among those seen in training ({trained})")
    else:
        seen, unseen = _percent(gap.seen.value), _percent(gap.unseen.value)
        lines.append(
            f"gap      {100 * gap.value:.2f} points: {seen} on elements seen in training ({trained}), "
            f"{unseen} on the others"
        )
    return "\n".join(lines)


def _structure(found: "Structure | None") -> str:
    if found is None:
        return ""
    from zoo.evaluation.structure import FOREIGN, RELAXED

    measured, unknown = found.by_element, found.verdict.startswith("unknown")
    rows = [
        [
            element,
            "unknown" if unknown else "exact" if element in found.survivors else "broken",
            f"{measured[element]:.1e}" if measured else "-",
            f"{moved:.1e}",
        ]
        for element, moved in zip(found.elements, found.logits, strict=True)
    ]
    what = "Its grids" if found.note == FOREIGN else "Feature maps"
    agree = {True: f"{what} agree with the prediction.", False: f"{what} DISAGREE with the prediction."}
    verdict = " ".join(
        part for part in (agree.get(found.agrees) if found.agrees is not None else "", found.note) if part
    )
    said = f"its grids are {found.verdict}" if found.note == FOREIGN else found.verdict
    head = f"{said[0].upper()}{said[1:]}.\nMeasured in float64 on {found.images} images:"
    alone = found.note in (FOREIGN, RELAXED)  # what is predicted is said of the grids, whatever the filters do
    maps = "maps of its grids" if found.note == FOREIGN else "feature maps"
    header = ["element", "grids" if alone else "predicted", maps, "logits"]
    return f"{head}\n{table(rows, header)}\n{verdict}".rstrip()


def _classes(report: "Report") -> str:
    known = [(name, rate) for name, rate in zip(report.classes, report.by_class, strict=True) if rate.count]
    shown = sorted(known, key=lambda pair: pair[1].value)[:MAX_ROWS]
    rows = [[name, f"{rate.count:,}", f"{100 * rate.value:.2f}"] for name, rate in known if (name, rate) in shown]
    more = f"\n({len(known)} classes; the worst)" if len(known) > len(shown) else ""
    return table(rows, ["class", "images", "upright %"]) + more


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"
