"""The model side of symdata: group-equivariant networks that are exact, approximate or plain, and what they learned.

This file is the list of public names and nothing else; each is loaded when it is first used. The layers are in
`zoo.layers`. The package imports the public names of `symdata`; `symdata` never imports it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.errors import ModelError as ModelError
    from zoo.exactness import Audit as Audit
    from zoo.exactness import Mend as Mend
    from zoo.exactness import audit as audit
    from zoo.exactness import exact_sizes as exact_sizes
    from zoo.features import FeatureError as FeatureError
    from zoo.features import feature_error as feature_error
    from zoo.grid import Subsampling as Subsampling
    from zoo.layers import act_on_features as act_on_features

_HOMES = {
    "Audit": "exactness",
    "FeatureError": "features",
    "Mend": "exactness",
    "ModelError": "errors",
    "Subsampling": "grid",
    "act_on_features": "layers",
    "audit": "exactness",
    "exact_sizes": "exactness",
    "feature_error": "features",
}
"""Public name -> the module of this package that defines it; no module may be called like a public name."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")
    value = getattr(import_module(f"zoo.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
