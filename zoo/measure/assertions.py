"""Assertions for tests of models; when they fail, they say what was measured."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from symdata.groups import Group
from zoo.exactness.arithmetic import EXACT_ERROR
from zoo.inference.sweep import Moves
from zoo.measure.equivariance import OUTPUT, equivariance_error
from zoo.measure.estimates import Estimate
from zoo.measure.invariance import invariance_error
from zoo.measure.model_copy import Measurable


def assert_invariant(
    model: Measurable, inputs: Tensor, elements: Moves = "d4", *, tolerance: float = EXACT_ERROR, **options: Any
) -> None:
    """Raise `AssertionError` if an element changes the output by more than `tolerance` of its norm.

    Arguments are those of `invariance_error`. The default tolerance is rounding in float64, for elements of d4.

    Example:
        >>> import torch
        >>> assert_invariant(lambda x: x.flatten(1).sum(1, keepdim=True), torch.rand(2, 1, 9, 9), "d4")
    """
    found = invariance_error(model, inputs, elements, **options)
    name, error, holds = _worst(found.by_element, tolerance)
    if not error.value <= tolerance:
        changes = f"{name} changes its {found.output} by {error} of its norm ({error.count} images)"
        raise AssertionError(f"{_name(model)} is not invariant: {changes}, more than {tolerance:g}; {holds}")


def assert_equivariant(
    model: Measurable,
    inputs: Tensor,
    group: Group | str | None = None,
    *,
    tolerance: float = EXACT_ERROR,
    **options: Any,
) -> None:
    """Raise `AssertionError` unless every feature map, or with `act=` the output, moves with the images.

    Arguments are those of `equivariance_error`; `tolerance` is relative to the norm of a map.

    Example:
        >>> import torch
        >>> assert_equivariant(torch.nn.AvgPool2d(3, 1, 1), torch.rand(2, 1, 9, 9), "d4", act="image")
    """
    found = equivariance_error(model, inputs, group, **options)
    for number, (name, row) in enumerate(found.errors.items()):
        if max(row) <= tolerance:
            continue
        errors = {str(e): found.estimate(name, e) for e in found.group.elements}
        element, error, holds = _worst(errors, tolerance)
        what = "its output" if name == OUTPUT else f"feature map {name or '(forward)'!r}"
        before = f", the first of {len(found.errors)} that does" if number else ""
        off = f"under {element} {what} is off by {error} of its norm ({error.count} images){before}"
        raise AssertionError(f"{_name(model)} is not equivariant: {off}, and {tolerance:g} is allowed; {holds}")


def _worst(errors: Mapping[str, Estimate], tolerance: float) -> tuple[str, Estimate, str]:
    """The element with the largest error, that error, and a sentence on the elements within the tolerance."""
    name, error = max(errors.items(), key=lambda pair: pair[1].value)
    holds = [e for e, other in errors.items() if other.value <= tolerance]
    return name, error, f"it holds under {', '.join(holds)}" if holds else "it holds under no element"


def _name(model: Measurable) -> str:
    kind = type(model).__name__
    return getattr(model, "__name__", kind) if kind in ("function", "builtin_function_or_method") else kind
