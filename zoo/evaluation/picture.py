"""The accuracy curves of reports on one dial, and that picture as a small file."""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from symdata.groups import Group
from symdata.pictures.curves import PolarCurve, accuracy_curves
from symdata.pictures.figure import Picture
from zoo.evaluation.report import Report

MOST_POINTS = 16
"""Elements of the largest group that are drawn as points beside the curve."""
COLOURS = 128
"""In the palette of the file: no pixel of one curve is more than 6 of 255 off, and a file has a third of the bytes."""


def picture(reports: Sequence[Report]) -> Picture:
    """The curves of all reports that have one; of a single report, also the elements. Drawn with matplotlib.

    Args:
        reports: the first names the data, and its classes give the ring of chance.
    """
    first, curves = reports[0], []
    for report in reports:
        elements = Group.parse(report.group).elements
        points = [(e, score.rate.value) for e, score in zip(elements, report.elements, strict=True)]
        if report.curve is not None:
            shown = points if len(reports) == 1 and len(points) <= MOST_POINTS else []
            curves.append(PolarCurve(report.name, report.curve.angles, report.curve.accuracies, shown))
    title = f"{first.name} on {first.data}" if len(reports) == 1 else first.data
    return accuracy_curves(curves, chance=1 / len(first.classes), title=title)


def as_png(drawn: Picture) -> bytes:
    """A PNG file with a palette."""
    file = BytesIO()
    few = drawn.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(file, format="PNG", optimize=True)
    return file.getvalue()
