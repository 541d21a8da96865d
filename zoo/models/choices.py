"""The choices that several families have: coset pooling, dropout, downsampling, relaxation."""

from reprlib import repr as short
from typing import Any

from zoo.errors import ModelError
from zoo.layers.regular import order
from zoo.layers.relaxed import RELAXATIONS
from zoo.layers.subsampling.downsampling import KINDS, on_torus
from zoo.models.family import Choice
from zoo.models.spec import NetworkSpec


def _coset_pool(spec: NetworkSpec, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ModelError(f"coset_pool is {short(value)}, expected true or false")
    return value


def _dropout(spec: NetworkSpec, rate: Any) -> float:
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise ModelError(f"dropout is {short(rate)}, expected a rate from 0 to below 1, for example 0.3")
    return float(rate)


def _downsample(spec: NetworkSpec, kind: Any) -> str | None:
    if kind is None:
        return None
    name, period = spec.name, spec.family.period
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelError(f"downsample is {short(kind)}, expected one of {', '.join(KINDS)}, or none at all")
    if on_torus(kind) and period is not None and name.size % period:
        mend = f"{name.head}_{-(-name.size // period) * period}"
        raise ModelError(f"downsample is {kind!r} in {name}, expected a multiple of {period}, for example {mend}")
    return kind


def relaxation_word(spec: NetworkSpec, word: Any) -> str:
    """`none`, or a word of `RELAXATIONS`; `ModelError` for others, and for a network that cannot be relaxed."""
    name = spec.name
    if word == "none":
        return "none"
    if not isinstance(word, str) or word not in RELAXATIONS:
        raise ModelError(f"relax is {short(word)}, expected none or one of {', '.join(RELAXATIONS)}")
    if order(spec.group) == 1:
        raise ModelError(f"relax is {word!r} and {name} has no group to leave; take p4{name.architecture}_{name.size}")
    if name.variant:
        mend = f"take {name.head.removeprefix(name.variant)}_{name.size}"
        raise ModelError(f"relax is {word!r} and {name} has separable filters, which are not relaxed; {mend}")
    return word


COSET_POOL = Choice("coset_pool", True, _coset_pool)
"""Whether the maximum over the group is taken before the classifier."""

DROPOUT = Choice("dropout", 0.0, _dropout)
"""A rate, in training; 0 is none."""

DOWNSAMPLE = Choice("downsample", None, _downsample, optional=True)
"""How resolution is lowered, one of `KINDS` of the downsampling layers; None: as the architecture has it."""

RELAX = Choice("relax", "none", relaxation_word, optional=True)
"""How the convolutions may leave the group, one of `zoo.layers.relaxed.RELAXATIONS`, or none."""
