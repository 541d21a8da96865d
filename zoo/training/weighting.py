"""Class weights of the cross-entropy: given, or balanced by the training images."""

import torch
from torch import Tensor

from symdata.errors import one_line
from zoo.errors import ModelError
from zoo.training.config import TrainConfig
from zoo.training.data import TrainingData


def class_weights(config: TrainConfig, data: TrainingData) -> Tensor | None:
    """The weight of each class, (classes,) float64 on the CPU; None for equal weights.

    `balanced` is images / (classes x images of the class), as in scikit-learn, of the images that are trained on: the
    mean weight of an image is 1.

    Raises:
        ModelError: for another number of weights than classes, and if a class that is to be balanced has no image.
    """
    if config.class_weights == "none":
        return None
    names = data.classes
    if config.class_weights != "balanced":
        if len(config.class_weights) != len(names):
            raise ModelError(
                f"class_weights has {len(config.class_weights)} numbers and {config.data!r} has {len(names)} classes "
                f"({', '.join(map(one_line, names[:4]))}{', ...' if names[4:] else ''}); give one for each, in order"
            )
        return torch.tensor(config.class_weights, dtype=torch.float64)
    counts = torch.bincount(data.train.labels, minlength=len(names)).double()
    if missing := (counts == 0).nonzero().flatten().tolist():
        raise ModelError(
            f"class {one_line(names[missing[0]])!r} has no image among the {len(data.train)} that are trained on, so "
            "it has no balanced weight; train on more images, or give each class a number: --class-weights 1,1,2.5"
        )
    return counts.sum() / (len(names) * counts)
