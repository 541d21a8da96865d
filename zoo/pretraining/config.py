"""Everything that decides a pretraining, as one value."""

import dataclasses
from dataclasses import dataclass

from symdata.fields import declare, text
from zoo.errors import ModelError
from zoo.training.config import TrainConfig

OF_TRAININGS = (
    "size", "init", "start_from", "freeze", "augment", "augment_per", "coset_pool", "relax", "average", "copies",
    "path", "label_smoothing", "class_weights", "monitor", "monitor_every",
)  # fmt: skip
"""Fields of a training that a pretraining has not."""


def _pretext(words: str) -> str:
    from zoo.pretraining.objectives import parse_pretext

    return str(parse_pretext(words))


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(TrainConfig):
    """A pretraining: as `TrainConfig`, without the fields `OF_TRAININGS`, and the labels of the data are not used.

    Example:
        >>> PretrainConfig(data="mnist-none", model="p4cnn_28", objective="contrastive:over=max").objective
        'contrastive'
    """

    kind = "pretrain"

    objective: str = declare(
        "contrastive",
        text(_pretext),
        "What is learned: contrastive:over=max|mean|norm|plain,temperature=0.07,erase=0.4, or erased-quadrant, "
        "relative-patch, jigsaw, rotation with head=equivariant|invariant; maps=W adds the error of the feature maps.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in OF_TRAININGS and value != field.default:
                raise ModelError(
                    f"{field.name} is {value!r}, which a pretraining has not; leave it out, and give it to "
                    "`symdata train --init` afterwards"
                )
