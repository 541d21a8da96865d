"""Assertions for tests of models: thin judges over the numbers, which say what was measured when they fail."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from symdata.groups import Element, Group
from zoo.exactness.arithmetic import EXACT_ERROR
from zoo.measure.equivariance import OUTPUT, FeatureError, equivariance_error
from zoo.measure.estimates import Estimate
from zoo.measure.invariance import invariance_error
from zoo.measure.model_copy import Measurable


def assert_invariant(
    model: Measurable,
    inputs: Tensor,
    elements: Group | str | Sequence[Element] = "d4",
    *,
    tolerance: float = EXACT_ERROR,
    **options: Any,
) -> None:
    """`AssertionError` unless no element changes the output by more than `tolerance` of its norm.

    Arguments are those of `invariance_error`. The default tolerance is rounding in float64, for elements of d4.
    """
    found = invariance_error(model, inputs, elements, **options)
    name, error = max(found.by_element.items(), key=lambda pair: pair[1].value)
    if not error.value <= tolerance:
        holds = [e for e, other in found.by_element.items() if other.value <= tolerance]
        raise AssertionError(
            f"{_name(model)} is not invariant: {name} changes its {found.output} by {_size(error)}, more than "
            f"{tolerance:g}; {_survivors(holds)}"
        )


def assert_equivariant(
    model: Measurable,
    inputs: Tensor,
    group: Group | str | None = None,
    *,
    tolerance: float = EXACT_ERROR,
    **options: Any,
) -> None:
    """`AssertionError` unless every feature map, or with `act=` the output, moves with the images up to `tolerance`.

    Arguments are those of `equivariance_error`.
    """
    found = equivariance_error(model, inputs, group, **options)
    broken = [name for name, row in found.errors.items() if not max(row) <= tolerance]
    if broken:
        raise AssertionError(f"{_name(model)} is not equivariant: {_where(found, broken[0], tolerance)}")


def _where(found: FeatureError, first: str, tolerance: float) -> str:
    """The first map that does not move as it should, under which element, and what comes before it."""
    error, element = max(((found.estimate(first, e), e) for e in found.group.elements), key=lambda pair: pair[0].value)
    holds = [str(e) for e in found.group.elements if found.estimate(first, e).value <= tolerance]
    what = "its output" if first == OUTPUT else f"feature map {first or '(forward)'!r}"
    number = list(found.errors).index(first)
    before = f", the first of {len(found.errors)} that does" if number and first != OUTPUT else ""
    return f"under {element} {what} is off by {_size(error)}{before}, and {tolerance:g} is allowed; {_survivors(holds)}"


def _survivors(holds: list[str]) -> str:
    return f"it holds under {', '.join(holds)}" if holds else "it holds under no element"


def _size(error: Estimate) -> str:
    return f"{error} of its norm ({error.count} images)"


def _name(model: Measurable) -> str:
    kind = type(model).__name__
    return getattr(model, "__name__", kind) if kind in ("function", "builtin_function_or_method") else kind
