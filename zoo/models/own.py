"""A network of the user's own, as config.json describes it: by the names of its class and its code, which is not there.

The folder of such a model holds weights, preprocessing and golden logits, and no code. Whoever loads it names the code.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from reprlib import repr as short
from typing import Any

from torch import nn

from symdata.groups import Group
from zoo.errors import CodeNeededError, ModelError
from zoo.exactness.model_groups import tied_group
from zoo.models.averaged import InvarianceAverage
from zoo.models.code import is_code
from zoo.models.network import Network

FORM = "own"
"""The word in `form` of an architecture that no name of the zoo describes."""
GIVEN = "module "
"""Begins the name of a model that was given in Python as a module: `module Net`."""
LONGEST = 200
"""Characters of a name."""


@dataclass(frozen=True)
class OwnArchitecture:
    """What a file says about a network of one's own.

    Example:
        >>> own = OwnArchitecture("Net", "mynet:build")
        >>> own.to_dict()
        {'form': 'own', 'class_name': 'Net', 'code': 'mynet:build'}
        >>> OwnArchitecture.from_dict(own.to_dict()) == own
        True
    """

    class_name: str
    code: str | None = None
    """`package.module:callable`, for a person to read; never imported. None: it was given as a module."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"form": FORM, **asdict(self)}

    @classmethod
    def from_dict(cls, architecture: Mapping[str, Any]) -> "OwnArchitecture":
        """The inverse of `to_dict`; `ModelError` for anything else, so that files from elsewhere may be read."""
        found = dict(architecture)
        found.pop("form", None)
        name, code = found.get("class_name"), found.get("code")
        named = isinstance(name, str) and name.isidentifier() and len(name) <= LONGEST
        coded = code is None or (isinstance(code, str) and len(code) <= LONGEST and is_code(code))
        if found.keys() != {"class_name", "code"} or not named or not coded:
            raise ModelError(
                f"the architecture is {short(dict(architecture))}, expected form 'own', class_name (a name) and code "
                "(package.module:callable or null)"
            )
        return cls(**found)

    def needs_code(self, name: str) -> CodeNeededError:
        """The error for a model that is loaded without its code."""
        if self.code is None:
            made, arch = "was given as a module", "package.module:callable"
            python = "arch=module"
        else:
            made, arch, python = f"was made by {self.code}", self.code, f"arch={self.code!r}"
        return CodeNeededError(
            f"{name!r} is a network of somebody's own: its class {self.class_name} {made}, and the folder has no code; "
            f"if you have that code and trust it, name it: --arch {arch}, or zoo.load(..., {python}) in Python"
        )


def is_own(architecture: Any) -> bool:
    """Whether an architecture is that of a network of one's own."""
    return isinstance(architecture, Mapping) and architecture.get("form") == FORM


def zoo_architecture(model: nn.Module) -> dict[str, Any] | None:
    """The architecture from which `zoo.models.registry.build` makes the same module; None for a network of one's own.

    Example:
        >>> from zoo.models.registry import create
        >>> zoo_architecture(create("p4cnn_28"))["name"], zoo_architecture(nn.Flatten())
        ('p4cnn_28', None)
    """
    return (model.architecture or None) if isinstance(model, Network | InvarianceAverage) else None


def own_group(model: nn.Module) -> str:
    """The subgroup of d4 that ties the weights of a network of one's own; c1 if none does.

    Example:
        >>> own_group(nn.Conv2d(1, 1, 3))
        'c1'
    """
    return str(tied_group(model) or Group(1))
