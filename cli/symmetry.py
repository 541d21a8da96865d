"""The text of a symmetry audit, which `symdata inspect` prints."""

import textwrap
from typing import TYPE_CHECKING

from cli.options.basic import table

if TYPE_CHECKING:
    from symdata.inspection.asymmetry.audit import AsymmetryAudit
    from symdata.inspection.asymmetry.degree import Degree
    from symdata.inspection.report import SourceAudit

MAX_CLASSES = 20
"""Classes that get a row each; of more, those that differ in the most elements."""
WIDTH = 110


def audit_text(found: "SourceAudit") -> str:
    """What was audited, a table of elements and views, one of elements and labels, one of classes, and the advice."""
    from symdata.inspection.asymmetry.advice import advice

    audit = found.audit
    c, h, w = found.shape
    head = (
        f"Symmetry audit of {audit.images:,} images of {found.place} ({found.split}), {c} x {h} x {w}: "
        f"can images moved by {audit.group.name} be told from these?"
    )
    sentences = [textwrap.fill(line, WIDTH, initial_indent="- ", subsequent_indent="  ") for line in advice(audit)]
    return "\n\n".join([head, _tests(audit), _labels(audit), _classes(audit), "\n".join(sentences)])


def _tests(audit: "AsymmetryAudit") -> str:
    rows = [
        [
            test.element,
            test.view,
            f"{test.accuracy:.3f}",
            f"{test.low:.3f}-{test.high:.3f}",
            _p(test.p_value),
            _p(test.corrected),
            "DIFFERS" if test.differs else "-",
        ]
        for test in audit.tests
    ]
    return table(rows, ["element", "view", "accuracy", "95 %", "p", "p (Holm)", "verdict"])


def _labels(audit: "AsymmetryAudit") -> str:
    rows = [
        [
            test.element,
            f"{test.unmoved:.3f}",
            f"{test.moved:.3f}",
            f"{test.drop_low:+.3f} to {test.drop_high:+.3f}",
            ", ".join("/".join(audit.classes[c].name for c in cycle) for cycle in test.cycles) or "-",
        ]
        for test in audit.labels
    ]
    text = table(rows, ["element", "unmoved", "moved", "loss, 95 %", "labels exchanged"])
    return f"Accuracy of a kernel classifier of images as they came\n{text}"


def _classes(audit: "AsymmetryAudit") -> str:
    shown = sorted(range(len(audit.classes)), key=lambda c: -len(audit.classes[c].differs))[:MAX_CLASSES]
    rows = []
    for c in sorted(shown):
        row = audit.classes[c]
        rows.append([row.name, str(row.images), *_degree(row.degree), ", ".join(row.differs) or "-"])
    rows.append(["all", str(audit.images), *_degree(audit.degree), ", ".join(audit.differing) or "-"])
    text = table(rows, ["class", "images", "degree", "95 %", "differs under"])
    left = len(audit.classes) - len(shown)
    views = ", ".join(f"{view} {degree.value:.2f}" for view, degree in audit.by_view.items())
    return (
        f"Degree of symmetry under {audit.group.name}: 0 upright, 1 as good as moved at random\n{text}"
        + (f"\n({left} more classes differ less)" if left else "")
        + f"\nby view: {views}"
    )


def _degree(degree: "Degree | None") -> list[str]:
    return ["-", "-"] if degree is None else [f"{degree.value:.2f}", f"{degree.low:.2f}-{degree.high:.2f}"]


def _p(value: float) -> str:
    return "<1e-9" if value < 1e-9 else f"{value:.2g}"
