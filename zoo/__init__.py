"""The model side of symdata: group-equivariant networks, their training, evaluation and measures.

This file is the list of public names and nothing else; each is loaded when it is first used. The layers are in
`zoo.layers`. The package imports the public names of `symdata`; `symdata` never imports it.
"""

from typing import TYPE_CHECKING

from symdata.lazy import lazy_names

if TYPE_CHECKING:
    from zoo.checkpoint.folder import read_checkpoint as read_checkpoint
    from zoo.checkpoint.folder import save_checkpoint as save_checkpoint
    from zoo.deployment.formats import export_pipeline as export_pipeline
    from zoo.deployment.pipeline import pipeline as pipeline
    from zoo.errors import ModelError as ModelError
    from zoo.evaluation.images import ImageSet as ImageSet
    from zoo.evaluation.images import open_images as open_images
    from zoo.evaluation.report import Report as Report
    from zoo.evaluation.scores import accuracy as accuracy
    from zoo.evaluation.scores import angle_curve as angle_curve
    from zoo.exactness.arithmetic import Subsampling as Subsampling
    from zoo.exactness.audits import Audit as Audit
    from zoo.exactness.audits import audit as audit
    from zoo.exactness.audits import exact_sizes as exact_sizes
    from zoo.exactness.mends import Mend as Mend
    from zoo.hub.mixin import HubModel as HubModel
    from zoo.hub.repository import pull as pull
    from zoo.hub.repository import push as push
    from zoo.inference.image_orbit import ImageOrbit as ImageOrbit
    from zoo.inference.opened_model import OpenedModel as OpenedModel
    from zoo.layers import act_on_features as act_on_features
    from zoo.measure.feature_error import FeatureError as FeatureError
    from zoo.measure.feature_error import feature_error as feature_error
    from zoo.models.registry import export as export
    from zoo.preprocessing import Preprocessing as Preprocessing
    from zoo.pretraining import PretrainConfig as PretrainConfig
    from zoo.pretraining.one_call import pretrain as pretrain
    from zoo.references.comparing import compare as compare
    from zoo.references.cost import Cost as Cost
    from zoo.references.cost import cost as cost
    from zoo.references.creating import create as create
    from zoo.references.evaluating import evaluate as evaluate
    from zoo.references.listing import list_models as list_models
    from zoo.references.loading import info as info
    from zoo.references.loading import load as load
    from zoo.references.opening import open_model as open_model
    from zoo.references.predicting import predict as predict
    from zoo.references.turning import orbit as orbit
    from zoo.report import report as report
    from zoo.training import DivergedError as DivergedError
    from zoo.training import TrainConfig as TrainConfig
    from zoo.training import train_seeds as train_seeds
    from zoo.training.one_call import train as train

__getattr__, __dir__, __all__ = lazy_names(__name__)
