"""Self-supervision for equivariant networks: training a body without labels, so that the group is respected.

tasks.py        pretext tasks, and how the group acts on their labels   heads.py     logits that move with the labels
contrastive.py  the loss between two views of an image                  maps.py      the equivariance of feature maps
objectives.py   both as text                                            config.py    every choice of a run
batches.py      images and labels of a step                             plan.py      a run before its first step
one_call.py     `zoo.pretrain`
"""

from typing import TYPE_CHECKING

from symdata.lazy import lazy_names

if TYPE_CHECKING:
    from zoo.pretraining.config import PretrainConfig as PretrainConfig
    from zoo.pretraining.contrastive import ContrastiveHead as ContrastiveHead
    from zoo.pretraining.contrastive import contrastive_loss as contrastive_loss
    from zoo.pretraining.contrastive import similarity as similarity
    from zoo.pretraining.heads import EquivariantLabelHead as EquivariantLabelHead
    from zoo.pretraining.heads import InvariantLabelHead as InvariantLabelHead
    from zoo.pretraining.maps import MapError as MapError
    from zoo.pretraining.objectives import parse_pretext as parse_pretext
    from zoo.pretraining.one_call import PretrainedModel as PretrainedModel
    from zoo.pretraining.one_call import pretrain as pretrain
    from zoo.pretraining.plan import PretrainPlan as PretrainPlan
    from zoo.pretraining.plan import prepare_pretraining as prepare_pretraining
    from zoo.pretraining.tasks import TASKS as TASKS
    from zoo.pretraining.tasks import ErasedQuadrant as ErasedQuadrant
    from zoo.pretraining.tasks import Jigsaw as Jigsaw
    from zoo.pretraining.tasks import PretextTask as PretextTask
    from zoo.pretraining.tasks import RelativePatch as RelativePatch
    from zoo.pretraining.tasks import RotationPrediction as RotationPrediction
    from zoo.pretraining.tasks import act_on_labels as act_on_labels
    from zoo.pretraining.tasks import label_action as label_action
    from zoo.pretraining.tasks import label_orbits as label_orbits

__getattr__, __dir__, __all__ = lazy_names(__name__)
