"""Training under the marginal likelihood: priors whose precisions the training images choose, epoch by epoch."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.errors import ModelError
from zoo.evidence.laplace import Evidence as Found
from zoo.evidence.laplace import LaplaceEvidence
from zoo.models.families.pathcnn import PathCNN
from zoo.objectives.objective import Batches, Objective, register


@register
@dataclass
class EvidenceObjective(Objective):
    """The maximum a posteriori under Gaussian priors, whose precisions follow the evidence (van der Ouderaa, Immer &
    van der Wilk 2023).

    penalty = 1/2 sum over layers of delta |theta|^2 / N, beside the mean cross-entropy; after an epoch every delta goes
    towards gamma / |theta|^2, the maximum of the evidence of `zoo.evidence`. The deltas are buffers of the model, and
    so in its checkpoint. The last epoch should be one of the updates: its numbers are in metrics.jsonl. Weight decay
    would be one more prior, which the evidence leaves out: train without.
    """

    name: ClassVar[str] = "evidence"
    shares_batches: ClassVar[bool] = False

    burn_in: int = 1
    """Epochs before the first update; the penalty begins after it."""
    every: int = 1
    """Epochs between updates."""
    images: int = 2048
    """Training images of an update, the first ones in their order; 0 for all. Their curvature is scaled to N."""
    samples: int = 1
    """Labels drawn for each image in place of the exact sum over the classes; 0 for the exact one."""
    steps: int = 4
    """Of the fixed point, each halfway in log delta."""

    def check(self, model: nn.Module) -> None:
        if not isinstance(model, PathCNN):
            raise ModelError(
                "objective 'evidence' is of networks with paths and without norms, and the model is a "
                f"{type(model).__name__}; train a z2pathcnn_16 with path conv, dense, factored or residual"
            )

    def penalty(self, model: nn.Module) -> Tensor | None:
        assert isinstance(model, PathCNN)
        if not (examples := float(model.examples)):
            return None
        squares = [torch.stack([p.square().sum() for p in m.parameters(False)]).sum() for m in model.layers.values()]
        return (model.precisions * torch.stack(squares)).sum() / (2 * examples)

    def after_epoch(self, model: nn.Module, epoch: int, batches: Batches) -> dict[str, float]:
        assert isinstance(model, PathCNN)
        if epoch < max(self.burn_in, 1) or (epoch - self.burn_in) % max(self.every, 1):
            return {}
        if not float(model.examples):
            model.examples.fill_(sum(len(labels) for _, labels in batches()))
        examples = int(model.examples)
        wanted = min(self.images or examples, examples)
        found = LaplaceEvidence(iterations=self.steps, samples=self.samples or None).fit_batches(
            model,
            first(batches, wanted),
            precisions=dict(zip(model.layer_names, model.precisions.tolist(), strict=True)),
            examples=examples,
        )
        model.precisions.copy_(torch.tensor([layer.precision for layer in found.layers]))
        model.effective_dimensions.copy_(torch.tensor([layer.effective_dimension for layer in found.layers]))
        return numbers(found)


def first(batches: Batches, count: int) -> list[tuple[Tensor, Tensor]]:
    """The first `count` images, in batches of which the last one is cut."""
    found: list[tuple[Tensor, Tensor]] = []
    for images, labels in islice(batches(), count):
        found.append((images[:count], labels[:count]))
        count -= len(labels)
        if count <= 0:
            break
    return found


def numbers(found: Found) -> dict[str, float]:
    """The evidence per image in nats, and the effective dimension of every path, for metrics.jsonl."""
    sums = dimensions((layer.name, layer.effective_dimension) for layer in found.layers)
    return {"evidence": found.log_evidence_per_sample} | {f"dimension_{path}": total for path, total in sums.items()}


def dimensions(layers: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Path -> its effective dimension, the sum over its layers, from their names and dimensions."""
    total: dict[str, float] = {}
    for name, dimension in layers:
        total[path_of(name)] = total.get(path_of(name), 0.0) + dimension
    return total


def path_of(name: str) -> str:
    """`conv`, `dense`, `factored` or `head`: `trunk.block1.factored.paint` is factored."""
    return name.split(".")[2] if name.startswith("trunk.") else name
