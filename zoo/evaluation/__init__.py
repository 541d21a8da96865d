"""What a model does on images that are moved: accuracies, the gap between seen and unseen elements, invariance.

Images are uint8 (n, C, H, W), brought to the size of the model first and then moved, so that quarter turns and mirrors
are permutations of the very pixels that the model would have seen upright.

    OpenedModel, ImageSet               what `zoo.evaluate` works on
    Report                              what it returns
    accuracy, accuracies, angle_curve   single numbers, for experiments

This file is the list of public names; each is loaded when it is first used.
"""

from typing import TYPE_CHECKING

from symdata.lazy import lazy_names

if TYPE_CHECKING:
    from zoo.evaluation.images import ImageSet as ImageSet
    from zoo.evaluation.opened_model import OpenedModel as OpenedModel
    from zoo.evaluation.report import Report as Report
    from zoo.evaluation.scores import accuracies as accuracies
    from zoo.evaluation.scores import accuracy as accuracy
    from zoo.evaluation.scores import angle_curve as angle_curve

_HOMES = {
    "ImageSet": "images",
    "OpenedModel": "opened_model",
    "Report": "report",
    "accuracies": "scores",
    "accuracy": "scores",
    "angle_curve": "scores",
}
"""Public name -> the module of this package that defines it; no module may be called like a public name."""

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
