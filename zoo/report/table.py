"""Models side by side: the same numbers for the page and for a Markdown table."""

from collections.abc import Sequence

from zoo.report.collect import Entry

HEADER = (
    "model",
    "parameters",
    "at its size",
    "upright",
    "worst element",
    "agreement",
    "mean over angles",
    "worst angle",
)
"""Of `compared`; accuracies and agreement in percent."""


def row(entry: Entry) -> tuple[str, ...]:
    """The cells of one model, in the order of HEADER."""
    report = entry.report
    moved = report.elements[1:] or report.elements
    worst = min(moved, key=lambda score: score.rate.value)
    agree = sum(score.agreement for score in moved) / len(moved)
    mean = angle = "-"
    if (curve := report.curve) is not None:
        mean = f"{100 * curve.mean:.2f}"
        low = min(range(len(curve.angles)), key=lambda i: curve.correct[i])
        angle = f"{100 * curve.accuracies[low]:.2f} at {curve.angles[low]:g}°"
    return (
        entry.name,
        f"{entry.parameters:,}",
        verdict(entry),
        f"{100 * report.upright.value:.2f}",
        f"{100 * worst.rate.value:.2f} under {worst.element}",
        f"{100 * agree:.1f}",
        mean,
        angle,
    )


def verdict(entry: Entry) -> str:
    """What arithmetic says of the network at its input size."""
    if entry.sizes is None:
        return "not tied by a group"
    phi = entry.sizes.get(entry.report.size)
    if phi is None:
        return "not known"
    return f"exact under {entry.group}" if phi == 0 else f"approximate, phi = {phi:g}"


def compared(entries: Sequence[Entry]) -> str:
    """The comparison as a Markdown table, best mean over the angles first."""
    lines = [HEADER, tuple("---" for _ in HEADER), *(row(entry) for entry in ranked(entries))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """By mean accuracy over angles, or over elements where there is no curve; best first, ties in the given order."""
    return sorted(entries, key=lambda entry: -_overall(entry))


def _overall(entry: Entry) -> float:
    report = entry.report
    if report.curve is not None:
        return report.curve.mean
    return sum(score.rate.value for score in report.elements) / len(report.elements)
