"""The model side of symdata: group-equivariant networks that are exact, approximate or plain, and what they learned.

This file is the list of public names and nothing else; each is loaded when it is first used. The layers are in
`zoo.layers`. The package imports the public names of `symdata`; `symdata` never imports it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.checkpoint import read_checkpoint as read_checkpoint
    from zoo.checkpoint import save_checkpoint as save_checkpoint
    from zoo.errors import ModelError as ModelError
    from zoo.evaluation import Report as Report
    from zoo.evaluation import accuracy as accuracy
    from zoo.evaluation import angle_curve as angle_curve
    from zoo.evaluation import evaluate as evaluate
    from zoo.exactness import Audit as Audit
    from zoo.exactness import Mend as Mend
    from zoo.exactness import audit as audit
    from zoo.exactness import exact_sizes as exact_sizes
    from zoo.features import FeatureError as FeatureError
    from zoo.features import feature_error as feature_error
    from zoo.grid import Subsampling as Subsampling
    from zoo.hub import pull as pull
    from zoo.hub import push as push
    from zoo.layers import act_on_features as act_on_features
    from zoo.listing import list_models as list_models
    from zoo.loading import info as info
    from zoo.loading import load as load
    from zoo.mixin import HubModel as HubModel
    from zoo.models.registry import create as create
    from zoo.models.registry import export as export
    from zoo.preprocessing import Preprocessing as Preprocessing
    from zoo.reference import open_model as open_model
    from zoo.training import DivergedError as DivergedError
    from zoo.training import TrainConfig as TrainConfig
    from zoo.training import train as train

_HOMES = {
    "Audit": "exactness",
    "DivergedError": "training",
    "FeatureError": "features",
    "HubModel": "mixin",
    "Mend": "exactness",
    "ModelError": "errors",
    "Preprocessing": "preprocessing",
    "Report": "evaluation",
    "Subsampling": "grid",
    "TrainConfig": "training",
    "accuracy": "evaluation",
    "act_on_features": "layers",
    "angle_curve": "evaluation",
    "audit": "exactness",
    "create": "models.registry",
    "evaluate": "evaluation",
    "exact_sizes": "exactness",
    "export": "models.registry",
    "feature_error": "features",
    "info": "loading",
    "list_models": "listing",
    "load": "loading",
    "open_model": "reference",
    "pull": "hub",
    "push": "hub",
    "read_checkpoint": "checkpoint",
    "save_checkpoint": "checkpoint",
    "train": "training",
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
