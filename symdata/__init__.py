"""Image datasets whose symmetry is known: a symmetry is a probability measure on O(2).

This file is only the list of public names. Each is imported when it is first used, so that `import symdata` takes
milliseconds and does not load torch, kornia and datasets.
"""

from typing import TYPE_CHECKING

from symdata._version import __version__ as __version__
from symdata.lazy import lazy_names

if TYPE_CHECKING:
    from symdata.errors import SymdataError as SymdataError
    from symdata.groups import Element as Element
    from symdata.groups import Elements as Elements
    from symdata.groups import Group as Group
    from symdata.hub import publish as publish
    from symdata.hub import pull as pull
    from symdata.inspection.any_images import inspect as inspect
    from symdata.keys import split_keys as split_keys
    from symdata.recipes.catalog import Recipe as Recipe
    from symdata.recipes.catalog import list_recipes as list_recipes
    from symdata.recipes.spec import Spec as Spec
    from symdata.sources import list_sources as list_sources
    from symdata.sources import open_source as open_source
    from symdata.store import load as load
    from symdata.store import make as make
    from symdata.store import verify as verify
    from symdata.symmetry import Symmetry as Symmetry
    from symdata.transforms.action import act as act
    from symdata.transforms.augmentation import RandomSymmetry as RandomSymmetry
    from symdata.transforms.learnable import LearnableAffine as LearnableAffine

__getattr__, __dir__, __all__ = lazy_names(__name__)
