"""Objectives of training, one file per method; written as `name:field=value,field=value`, as in `augerino:reg=0.05`.

A new objective is a new file in this folder: a dataclass that inherits `Objective`, decorated by `register`.
"""

import dataclasses
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from torch import nn

from symdata.errors import suggest
from zoo.errors import ModelError
from zoo.objectives.objective import OBJECTIVES, Objective, read_value, register, written

__all__ = ["AUTO", "OBJECTIVES", "Objective", "objective_of", "parse_objective", "register"]

AUTO = "auto"

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def parse_objective(text: str) -> Objective:
    """The objective that `text` writes; where it has one field, its value alone will do.

    Raises:
        ModelError: for an unknown name or field, with the nearest one, and for a value that is no number.

    Example:
        >>> parse_objective("augerino:reg=0.1")
        AugerinoObjective(reg=0.1, lr_scale=5.0)
        >>> str(parse_objective("augerino:reg=0.1,lr_scale=5"))
        'augerino:reg=0.1'
        >>> parse_objective("equivariance-penalty:20")
        EquivariancePenalty(gamma=20.0)
    """
    name, _, rest = text.partition(":")
    if name not in OBJECTIVES:
        raise ModelError(f"no objective {name[:80]!r}; {suggest(name, OBJECTIVES)}")
    defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(OBJECTIVES[name])}
    given: dict[str, Any] = {}
    for part in rest.split(",") if rest else ():
        key, equals, value = part.partition("=")
        if not equals and len(defaults) == 1 and not given:
            key, equals, value = *defaults, "=", part
        if key not in defaults or key in given or not equals:
            known = ", ".join(f"{k}={written(v)}" for k, v in defaults.items()) or "none"
            raise ModelError(f"objective {text[:120]!r} says {part[:40]!r}, expected each once of {known}")
        given[key] = read_value(name, key, value, defaults[key])
    return OBJECTIVES[name](**given)


def objective_of(model: nn.Module, text: str) -> Objective:
    """The objective that `text` writes for this model.

    `auto` is the objective of the model's method, with its defaults: that of an average, whatever network is inside,
    otherwise the one that is named after its relaxed convolutions.

    Raises:
        ModelError: as `parse_objective`, and if the model has nothing that the objective acts on.

    Example:
        >>> import zoo
        >>> str(objective_of(zoo.create("p4cnn_12", width=2, relax="banks"), "auto"))
        'banks'
        >>> str(objective_of(zoo.create("p4cnn_12", width=2), "auto"))
        'cross-entropy'
    """
    if text == AUTO:
        architecture = getattr(model, "architecture", {})
        word = "augerino" if architecture.get("form") == "averaged" else architecture.get("relax")
        text = word if word in OBJECTIVES else Objective.name
    objective = parse_objective(text)
    objective.check(model)
    return objective
