"""`zoo.evaluate`: any model and any images, by reference or as they are, to one report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch
from torch import nn

from symdata.groups import Group
from zoo.evaluation.images import ImageSet, open_images
from zoo.evaluation.report import Report
from zoo.evaluation.run import PROBED, run_evaluation
from zoo.inference.opened_model import OpenedModel
from zoo.inference.sweep import Progress
from zoo.inference.views import Angles, turns
from zoo.models.code import Arch
from zoo.references.opening import as_opened


class Chosen(TypedDict, total=False):
    """Which images of a reference."""

    split: str
    limit: int | None
    skip_bad: int


def evaluate(
    model: OpenedModel | nn.Module | str | Path,
    data: ImageSet | Sequence[Any] | str | Path,
    *,
    arch: Arch | None = None,
    elements: Group | str = "d4",
    angles: Angles = 36,
    fill: str = "background",
    angle_limit: int | None = None,
    probe: int = PROBED,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    progress: Progress = lambda images: None,
    **chosen: Unpack[Chosen],
) -> Report:
    """Measure what a classifier does on images, upright and moved.

    Images are brought to the size of the model and then moved. Elements of d4 permute pixels; any other element is a
    bilinear look-up, and what it reads outside the image is `fill`. `upright` is the images as they are given.

    Convention:
        Degrees, counter-clockwise as displayed; an element mirrors left-right first, then turns.

    Args:
        model: a reference as for `zoo.open_model`, what that returns, or a module with the attribute `preprocessing`
            (and `classes` and `config`, if known), as `zoo.load` returns it. It is left in the mode, and where, it was.
        data: a dataset folder, any source that `symdata.open_source` opens, an `ImageSet`, or a pair (images, labels):
            uint8 (n, C, H, W) and class indices (n,).
        arch: the code of a network of your own, if `model` is its folder: `package.module:callable`, a callable or a
            module, as for `zoo.load`.
        elements: finite group whose elements get an accuracy each.
        angles: of the curve: how many at equal distances from 0 on, or degrees; 0 for no curve.
        fill: `background` (nearest border pixel) or `zero` (0 after normalisation, as in published curves).
        angle_limit: at most so many images for the curve.
        probe: images on which equivariance is predicted and measured in float64; 0 leaves that out.
        batch_size: images per forward; by default as many as fit the cache.
        device: where to run; by default where the model is.
        progress: called with the number of images that went through the model since the last call.
        chosen: `limit`, at most so many images, the same random choice every time; and of a reference `split`, by
            default test, and `skip_bad`, how many images of a source that cannot be used are left out and listed.

    Raises:
        ModelError: if the model cannot run on these images, its outputs are not the classes, or they are not finite.
        ShapeError: if images or labels are not what they should be.
        SymmetryError: for a group that is not finite, or an unknown fill.

    Example:
        >>> from zoo import evaluate
        >>> report = evaluate("p4cnn_28.mnist-none", "glyphs:digits", elements="c4", angles=4, limit=20, probe=1)
        >>> print(report.structure)
        Exact: at 28x28 its feature maps move with the image under c4.
        Measured in float64 on 1 images:
        ...
        Feature maps agree with the prediction.
    """
    opened = as_opened(model, arch)
    images = images_for(opened, data, **chosen)
    report, _ = run_evaluation(
        opened,
        images,
        Group.parse(elements) if isinstance(elements, str) else elements,
        turns(angles),
        angle_limit=angle_limit,
        probe=probe,
        options={"fill": fill, "batch_size": batch_size, "device": device, "progress": progress},
    )
    return report


def images_for(
    opened: OpenedModel,
    data: ImageSet | Sequence[Any] | str | Path,
    *,
    split: str = "test",
    limit: int | None = None,
    skip_bad: int = 0,
) -> ImageSet:
    """At most `limit` images for a model: of a reference, at its size; others as they are."""
    if isinstance(data, str | Path):
        return open_images(data, split, opened.require_preprocessing(), limit, skip_bad)
    return ImageSet.of(data).limited(limit)
