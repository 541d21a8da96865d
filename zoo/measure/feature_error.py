"""The measured side of exactness: the equivariance error of every feature map, on noise or on images, in float64."""

from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.exactness.arithmetic import BROKEN_ERROR as BROKEN_ERROR
from zoo.exactness.arithmetic import EXACT_ERROR as EXACT_ERROR
from zoo.exactness.audits import Audit, audit
from zoo.exactness.model_groups import checked_group, defines_fields, layers_group
from zoo.exactness.tracer import duplicate, input_channels
from zoo.measure.equivariance import FeatureError as FeatureError
from zoo.measure.equivariance import compared_maps
from zoo.measure.isotropic import IsotropicFilters


def feature_error(
    model: nn.Module,
    size: int | tuple[int, int] | None = None,
    group: Group | str | None = None,
    images: int = 8,
    in_chans: int | None = None,
    seed: int = 0,
    inputs: Tensor | None = None,
    output: bool = False,
) -> FeatureError:
    """Measure how far the feature maps of `model` are from moving with its input.

    A model made of our layers is measured as it is, its feature maps under the regular representation: those of its
    layers, and those that operations without weights make of them, such as the sum that ends a residual block. Networks
    on finer groups define what an element does to their last feature map, and only that is measured. Any other model is
    measured with every filter averaged over d4, so that what remains is the error of its grids;
    `zoo.measure.equivariance_error` measures it with the filters that it has.

    Args:
        model: any module that takes an image batch; it is copied, never changed, and runs in eval mode and float64.
        size: pixels, or (height, width); the model must run at (width, height) too. Not needed with `inputs`.
        group: subgroup of the model's own; by default that one, and d4 for a model without our layers.
        images: how many images of white noise; a single one may hide an error.
        in_chans: channels of the images; by default read from the first convolution.
        seed: of the noise.
        inputs: images to measure on instead of noise, as the model takes them: normalised floats (B, C, H, W).
        output: whether the output of a model that is not ours counts too: a map has to move, a vector not to change.

    Raises:
        ModelError: if the model cannot run in float64 at this size, has no feature maps, or has a smaller group.

    Example:
        >>> import zoo
        >>> model = zoo.create("p4cnn_28", width=2, seed=0)
        >>> [bool(feature_error(model, size, images=2).worst < EXACT_ERROR) for size in (27, 28)]
        [False, True]
    """
    return _measured(model, size, checked_group(model, group), images, in_chans, seed, inputs, output)


def checked_audit(
    model: nn.Module,
    size: int | tuple[int, int] | None = None,
    group: Group | str | None = None,
    in_chans: int | None = None,
    *,
    name: str = "",
) -> Audit:
    """`zoo.audit` with the error of the feature maps on noise beside it; arguments are the same.

    The output of a model that is not ours is measured too: a map has to move with the image, a vector not to change.

    Raises:
        ModelError: if the model cannot run in float64 at this size, or is built on a group without this one.
        SymmetryError: for a group that moves pixels off their lattice.

    Example:
        >>> found = checked_audit(nn.Conv2d(3, 8, 3, stride=2, padding=1), 33)
        >>> found.exact, found.agrees
        (True, True)
    """
    prediction = audit(model, size, group, in_chans, name=name)
    return replace(
        prediction, measured=_measured(model, prediction.size, prediction.group, 8, in_chans, 0, None, output=True)
    )


def _measured(
    model: nn.Module,
    size: int | tuple[int, int] | None,
    group: Group,
    images: int,
    in_chans: int | None,
    seed: int,
    inputs: Tensor | None,
    output: bool,
) -> FeatureError:
    own = layers_group(model)
    if inputs is None:
        inputs = _noise(model, size, images, in_chans, seed)
    model_copy = duplicate(model).double()  # before the filters are averaged, for averages are rounded too
    ours = own is not None or defines_fields(model)
    with nullcontext() if ours else IsotropicFilters():
        return compared_maps(model_copy, inputs, group, own, output=output and not ours)


def _noise(
    model: nn.Module, size: int | tuple[int, int] | None, images: int, in_chans: int | None, seed: int
) -> Tensor:
    if size is None:
        raise ModelError("neither a size nor images were given; say size=28, or inputs= with normalised images")
    h, w = (size, size) if isinstance(size, int) else size
    shape = (images, input_channels(model) if in_chans is None else in_chans, h, w)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
