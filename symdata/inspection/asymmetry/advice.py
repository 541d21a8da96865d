"""What an audit means and what to do about it, in sentences."""

from symdata.inspection.asymmetry.audit import TOGETHER, AsymmetryAudit
from symdata.inspection.asymmetry.two_sample import BY_CLASS

WEAK = 0.1
"""A distance between distributions, or a loss of accuracy, below this is small."""
MEANING = {
    "gray": "the shapes or the shading have an upright (or the crops are off their centre)",
    BY_CLASS: "within the classes the shapes have an upright",
    "colour": "colours lie unevenly: sky above, light from one side, a fringe of the lens",
    "planes": "the colour planes are shifted against one another by part of a pixel, or sharpened apart",
    "texture": "one axis is sharper, more blurred or noisier than another, or strokes run along it",
    "border": "the outermost pixels differ by side: a frame, a scale bar, a vignette, or what the crop cut off",
}
"""View -> what a difference in it means."""
MENDS = {
    "planes": "register the planes or train on gray images, if the camera must not be learned",
    "texture": "if it comes from the scanner and not from what is shown, blur until both axes are alike",
    "border": "crop the border or mask a disk",
}
"""View -> what helps against an artefact of the camera."""


def advice(found: AsymmetryAudit) -> list[str]:
    """Explain an audit in a few sentences, the most important first."""
    return [_verdict(found), *_labels(found), *_unsure(found), *_classifier(found), *_where(found), _degree(found)]


def _verdict(found: AsymmetryAudit) -> str:
    name, n = found.group.name, f"{found.images:,} images"
    if found.is_symmetric:
        most = max(test.high for test in found.tests)
        return (
            f"Augmenting with {name} is safe as far as {n} can tell: no view tells moved images from images as they "
            f"came (with 95 % confidence each of them at most {most:.0%} right, where guessing is 50 %)."
        )
    lost = ", ".join(found.differing)
    if found.safe == "none":
        return (
            f"Augmenting with {name} changes what a classifier sees: images moved by {lost} can be distinguished "
            "from these."
        )
    return (
        f"Augmenting with {found.safe} is safe as far as {n} can tell, with {name} it is not: images moved by {lost} "
        "can be distinguished from these."
    )


def _labels(found: AsymmetryAudit) -> list[str]:
    moving = [test for test in found.labels if test.cycles and test.element in found.differing]
    if not moving:
        return []
    swaps = "; ".join(
        f"{test.element} seems to turn {' and '.join(_cycle(found, cycle) for cycle in test.cycles)}" for test in moving
    )
    classes = sorted({c for test in moving for cycle in test.cycles for c in cycle})
    named = ",".join(f"{c}:none" for c in classes)
    if len(classes) < len(found.classes):
        mend = f"keep these classes upright ('{named},rest:{found.group.name}')"
    else:
        mend = "do not augment" if found.safe == "none" else f"augment with '{found.safe}' only"
    return [f"{swaps}: augmenting would teach wrong labels; {mend}, or turn the label with the image."]


def _unsure(found: AsymmetryAudit) -> list[str]:
    """Elements of which too few images say whether they exchange labels."""
    reasons: dict[str, list[str]] = {}
    for test in found.labels:
        if test.unsure and test.element in found.differing:
            reasons.setdefault(test.unsure, []).append(test.element)
    return [
        f"Not enough images to tell whether labels are exchanged by {', '.join(elements)}: {reason}."
        for reason, elements in reasons.items()
    ]


def _cycle(found: AsymmetryAudit, cycle: tuple[int, ...]) -> str:
    """`6 into 9 and back`."""
    names = [found.classes[c].name for c in cycle]
    return f"{names[0]} into {' into '.join(names[1:])} and back"


def _classifier(found: AsymmetryAudit) -> list[str]:
    """What a classifier of unmoved images loses on moved ones, for elements that do not exchange labels."""
    tests = [test for test in found.labels if test.element in found.differing and not test.cycles]
    if not tests:
        return []
    worst = max(tests, key=lambda test: test.drop_low)
    if worst.drop_low > WEAK:
        return [
            f"A kernel classifier of images as they came falls from {worst.unmoved:.0%} to {worst.moved:.0%} on images "
            f"moved by {worst.element}: the upright tells it something, which augmenting takes away."
        ]
    elements, most = ", ".join(test.element for test in tests), max(test.drop_high for test in tests)
    return [
        f"The labels hardly depend on {elements}: a kernel classifier of images as they came loses at most "
        f"{most:.0%} (95 % confidence) on moved ones. Augmenting does the labels no harm, but shows "
        "images that were never taken, and accuracy on moved images is accuracy on another camera."
    ]


def _where(found: AsymmetryAudit) -> list[str]:
    """The strongest element of each view that differs, in the order of their distance."""
    found_by = [test for tests in found.differing.values() for test in tests]
    views = dict.fromkeys(test.view for test in found_by)
    if "gray" in views:
        views.pop(BY_CLASS, None)
    best = [max((test for test in found_by if test.view == view), key=lambda test: test.low) for view in views]
    out = []
    for test in sorted(best, key=lambda test: -test.low):
        how = "strong" if test.distance > 0.5 else "clear" if test.distance > WEAK else "faint"
        mend = f" Mend: {MENDS[test.view]}." if test.view in MENDS else ""
        out.append(
            f"{test.view}: {MEANING[test.view]} ({how}: {test.element} is told with {test.accuracy:.0%} accuracy, "
            f"total variation at least {test.distance:.2f}).{mend}"
        )
    return out


def _degree(found: AsymmetryAudit) -> str:
    if (exact := found.compared) is not None:
        return (
            f"Degree of symmetry under {found.group.name}, beside upright images: {exact.bound:.2f} "
            f"(95 %: {exact.interval}), if those are of the same kind."
        )
    d, closest = found.degree, found.by_view[TOGETHER]
    text = f"Degree of symmetry under {found.group.name}: by shapes at most {d.at_most}"
    if d.upper < WEAK:
        return f"{text} (95 %): the images are upright."
    text += f", by all views together at most {closest.at_most} (95 %)"
    if min(d.upper, closest.upper) >= 1.0:
        return f"{text}: no upright was found."
    return f"{text}. No images bound it from below; upright ones to compare with would (--upright)."
