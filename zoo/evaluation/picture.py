"""The accuracy curves of reports on one dial, and that picture as a small file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from symdata.groups import Group
from symdata.pictures.curves import PolarCurve, accuracy_figure
from symdata.pictures.figure import as_picture, png_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.evaluation.report import Report

MOST_POINTS = 16
"""Elements of the largest group that are drawn as points beside the curve."""
COLOURS = 128
"""Of the palette: no pixel of one curve is more than 6 of 255 off, and the file has a third of the bytes."""


def draw(reports: "Sequence[Report]") -> "Figure":
    """The curves of all reports that have one; of a single report also the elements. Drawn with matplotlib.

    Args:
        reports: the first names the data, and its number of classes gives the ring of chance.
    """
    first, alone = reports[0], len(reports) == 1
    curves = []
    for report in reports:
        elements = Group.parse(report.group).elements
        points = [(e, score.rate.value) for e, score in zip(elements, report.elements, strict=True)]
        shown = points if alone and len(points) <= MOST_POINTS else []
        if report.curve is not None:
            curves.append(PolarCurve(report.name, report.curve.angles, report.curve.accuracies, shown))
        elif alone:
            curves.append(PolarCurve(report.name, (), (), points))
    title = f"{first.name} on {first.data}" if alone else first.data
    return accuracy_figure(curves, chance=1 / len(first.classes), title=title)


def as_png(figure: "Figure") -> bytes:
    """A PNG file with a palette."""
    few = as_picture(figure).quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    return png_bytes(few, optimize=True)
