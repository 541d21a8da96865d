"""Objectives of training, one file per method; written as `name:field=value,field=value`, as in `augerino:reg=0.05`."""

import dataclasses
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from torch import nn

from zoo.errors import ModelError
from zoo.objectives.objective import Objective as Objective
from zoo.objectives.objective import read_number

AUTO = "auto"
OBJECTIVES = {
    "cross-entropy": ("objective", "Objective"),
    "likelihood": ("likelihood", "LikelihoodObjective"),
    "residual": ("residual", "ResidualObjective"),
    "banks": ("banks", "BanksObjective"),
    "partial": ("partial", "PartialObjective"),
    "augerino": ("augerino", "AugerinoObjective"),
    "evidence": ("evidence", "EvidenceObjective"),
}
"""Name -> the module of this package and the class in it; imported when asked for."""


def parse_objective(text: str) -> Objective:
    """The objective that `text` writes.

    >>> str(parse_objective("cross-entropy"))
    'cross-entropy'

    Raises:
        ModelError: for an unknown name or field, with the nearest one, and for a value that is no number.
    """
    name, _, rest = text.partition(":")
    if name not in OBJECTIVES:
        near = get_close_matches(name, OBJECTIVES, n=1, cutoff=0.5)
        mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(OBJECTIVES)}"
        raise ModelError(f"no objective {name[:80]!r}; {mend}")
    kind = _class(name)
    defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(kind)}
    given: dict[str, float] = {}
    for part in rest.split(",") if rest else ():
        key, equals, value = part.partition("=")
        if key not in defaults or key in given or not equals:
            known = ", ".join(f"{k}={v:g}" for k, v in defaults.items()) or "none"
            raise ModelError(f"objective {text[:120]!r} says {part[:40]!r}, expected each once of {known}")
        given[key] = read_number(name, key, value, defaults[key])
    return kind(**given)


def objective_of(model: nn.Module, text: str) -> Objective:
    """The objective that `text` writes for this model; `auto` is that of the model's method, with its defaults: of an
    average, whatever is inside it, else of the relaxed convolutions.

    Raises:
        ModelError: as `parse_objective`, and where the objective has nothing to act on in this model.
    """
    objective = parse_objective(_own(model) if text == AUTO else text)
    objective.check(model)
    return objective


def _own(model: nn.Module) -> str:
    architecture = getattr(model, "architecture", {})
    word = "augerino" if architecture.get("form") == "averaged" else architecture.get("relax", "")
    return word if word in OBJECTIVES else "cross-entropy"


def _class(name: str) -> type[Objective]:
    module, kind = OBJECTIVES[name]
    found: type[Objective] = getattr(import_module(f"zoo.objectives.{module}"), kind)
    return found
