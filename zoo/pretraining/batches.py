"""Batches of a pretraining: images that were augmented, and then changed by the objective, which knows the labels."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from symdata.groups import Group
from symdata.keys import split_keys
from zoo.preprocessing import Preprocessing
from zoo.pretraining.config import PretrainConfig
from zoo.pretraining.objectives import Pretext, parse_pretext
from zoo.training.batches import Batch, Batches, make_augmentation
from zoo.training.data import Share, TrainingData
from zoo.training.shifts import draw_shifts, shift_images


class PretextBatches(Batches):
    """Like `Batches`, in the same order; the labels are those of the objective.

    What is drawn follows from (seed, epoch, step, place in the batch), so that a resumed run draws the same.
    """

    def __init__(
        self, config: PretrainConfig, share: Share, preprocessing: Preprocessing, device: torch.device, group: Group
    ) -> None:
        super().__init__(replace(config, symmetry="none", shift=0), share, preprocessing, device, (0, 1))
        self.pretext: Pretext = parse_pretext(config.objective)
        self.group, self.moves, self.draw = group, config, make_augmentation(config)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        for step, batch in enumerate(super().epoch(epoch)):
            images, labels = self._made(batch.images, batch.labels, f"pretext-{epoch}-{step}", augment=True)
            yield Batch(images, labels, self.pretext.views * batch.size, float(len(labels)))

    def plain(self, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order with the same choices every time; views are augmented, other images are not."""
        size = size or self.config.batch_size
        for step, (images, labels) in enumerate(super().plain(size)):
            yield self._made(images, labels, f"pretext-plain-{step}", augment=self.pretext.views > 1)

    def _made(self, images: Tensor, labels: Tensor, purpose: str, augment: bool) -> tuple[Tensor, Tensor]:
        def keys(what: str) -> Tensor:
            return split_keys(self.config.seed, "train", f"{purpose}-{what}", torch.arange(len(images))).to(self.device)

        views = [images] * self.pretext.views
        if augment:
            views = [self._view(images, labels, keys(f"turn-{k}"), keys(f"shift-{k}")) for k in range(len(views))]
        return self.pretext.made(views, keys("labels"), self.group)

    def _view(self, images: Tensor, labels: Tensor, turns: Tensor, shifts: Tensor) -> Tensor:
        """Normalised images, moved: the border of an image is the same before and after normalisation."""
        if self.draw is not None:
            images = self.draw(images, labels=labels, keys=turns)
        if not self.moves.shift:
            return images
        padding = "border" if self.moves.fill == "background" else "zeros"
        return shift_images(images, draw_shifts(shifts, self.moves.shift), padding)


def make_pretext_batches(
    config: PretrainConfig, data: TrainingData, preprocessing: Preprocessing, group: Group, device: Any
) -> tuple[PretextBatches, PretextBatches | None]:
    """The batches to train on, and those of the held out images."""
    shares = (data.train, data.validation)
    train, held = (
        None if share is None else PretextBatches(config, share, preprocessing, device, group) for share in shares
    )
    assert train is not None
    return train, held
