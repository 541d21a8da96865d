"""Image datasets whose symmetry is known: a symmetry is a probability measure on O(2).

This file is the list of public names and nothing else. Each name is loaded when it is first used, so that
`import symdata` takes milliseconds although torch, kornia and datasets stand behind it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symdata._version import __version__ as __version__

if TYPE_CHECKING:
    from symdata.build import Spec as Spec
    from symdata.errors import SymdataError as SymdataError
    from symdata.groups import Element as Element
    from symdata.groups import Elements as Elements
    from symdata.groups import Group as Group
    from symdata.hub import publish as publish
    from symdata.hub import pull as pull
    from symdata.inspection import inspect as inspect
    from symdata.keys import split_keys as split_keys
    from symdata.learnable import LearnableAffine as LearnableAffine
    from symdata.recipes import Recipe as Recipe
    from symdata.recipes import list_recipes as list_recipes
    from symdata.sources import list_sources as list_sources
    from symdata.sources import open_source as open_source
    from symdata.store import load as load
    from symdata.store import make as make
    from symdata.store import verify as verify
    from symdata.symmetry import Symmetry as Symmetry
    from symdata.transforms import RandomSymmetry as RandomSymmetry
    from symdata.transforms import act as act

_HOMES = {
    "Element": "groups",
    "Elements": "groups",
    "Group": "groups",
    "LearnableAffine": "learnable",
    "RandomSymmetry": "transforms",
    "Recipe": "recipes",
    "Spec": "build",
    "SymdataError": "errors",
    "Symmetry": "symmetry",
    "act": "transforms",
    "inspect": "inspection",
    "list_recipes": "recipes",
    "list_sources": "sources",
    "load": "store",
    "make": "store",
    "open_source": "sources",
    "publish": "hub",
    "pull": "hub",
    "split_keys": "keys",
    "verify": "store",
}
"""Public name -> the module of this package that defines it; no module may be called like a public name."""

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'symdata' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")
    value = getattr(import_module(f"symdata.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
