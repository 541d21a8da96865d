"""The marginal likelihood of a classifier by Laplace's method: how well a model explains its training labels, less the
cost of fixing its weights that precisely. It needs training data only, and compares models of the same images.

With a Gaussian prior of precision delta_l on the weights and biases of layer l, and the blocks H_l of
`zoo.evidence.kfac` at the trained weights (van der Ouderaa, Immer & van der Wilk 2023; MacKay 1992):

    log q(D) = log p(D | theta) - 1/2 sum_l [delta_l |theta_l|^2 + log det(H_l + delta_l I) - P_l log delta_l]
    gamma_l = sum of lambda / (lambda + delta_l) over the eigenvalues lambda of H_l
    d log q / d log delta_l = 1/2 (gamma_l - delta_l |theta_l|^2), which is 0 at delta_l = gamma_l / |theta_l|^2

gamma_l is the effective dimension: how many of the layer's P_l numbers the data determine. A path whose precision
grows without bound has none left, and contributes nothing to the network.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from zoo.errors import ModelError
from zoo.evidence.kfac import Batch, Curvature, LayerCurvature, curvature

LOWEST, HIGHEST = 1e-6, 1e8
"""Bounds of a precision: a layer of zeros would have none."""


@dataclass(frozen=True)
class LayerEvidence:
    """The part of one layer.

    Example:
        >>> LayerEvidence("head", parameters=10, squared_norm=4.0, precision=0.5, effective_dimension=2.0)
        LayerEvidence(name='head', parameters=10, squared_norm=4.0, precision=0.5, effective_dimension=2.0)
    """

    name: str
    parameters: int
    squared_norm: float
    """|theta|^2."""
    precision: float
    """delta, of the prior."""
    effective_dimension: float
    """gamma, between 0 and the number of parameters."""


@dataclass(frozen=True)
class Evidence(Result):
    """The evidence of a model.

    Example:
        >>> layer = LayerEvidence("head", parameters=10, squared_norm=4.0, precision=0.5, effective_dimension=2.0)
        >>> print(Evidence(-0.61, -0.42, 1000, (layer,)))
        Log evidence -0.6100 nats per image, log likelihood -0.4200; 1,000 images.
        <BLANKLINE>
        layer  parameters  precision of the prior  effective dimension
        -----  ----------  ----------------------  -------------------
        head   10          0.5                     2.0
    """

    log_evidence_per_sample: float
    """log q(D) / N, nats."""
    log_likelihood_per_sample: float
    """log p(D | theta) / N, nats: minus the training loss."""
    examples: int
    """N."""
    layers: tuple[LayerEvidence, ...]

    def parts(self) -> Iterable[str | Table]:
        """The evidence, and a table of the layers."""
        evidence, likelihood = f"{self.log_evidence_per_sample:.4f}", f"{self.log_likelihood_per_sample:.4f}"
        yield f"Log evidence {evidence} nats per image, log likelihood {likelihood}; {self.examples:,} images."
        header = ("layer", "parameters", "precision of the prior", "effective dimension")
        rows = [
            (x.name, f"{x.parameters:,}", f"{x.precision:.3g}", f"{x.effective_dimension:.1f}") for x in self.layers
        ]
        yield Table(header, rows)


@dataclass(frozen=True)
class LaplaceEvidence:
    """Laplace's approximation with Kronecker factors and one prior precision for each layer.

    Example:
        >>> from torch import manual_seed, nn
        >>> _ = manual_seed(0)
        >>> images = torch.randn(200, 2)
        >>> labels = (images.sum(1) > 0).long()
        >>> found = LaplaceEvidence().fit(nn.Linear(2, 2), images, labels)
        >>> 0 < found.layers[0].effective_dimension < found.layers[0].parameters
        True
    """

    precision: float = 1.0
    """Start of the precisions, unless `fit` is given others."""
    iterations: int = 20
    """Steps of the fixed point, each halfway in log delta; 0 leaves the precisions as they are. The weights and their
    curvature stay the same, so that the result is a maximum over precisions only, not over weights."""
    samples: int | None = None
    """Labels drawn for each image in place of the exact sum over the classes."""
    seed: int = 0
    """Of those draws."""
    batch_size: int = 256

    def fit(
        self, model: nn.Module, images: Tensor, labels: Tensor, precisions: Mapping[str, float] | None = None
    ) -> Evidence:
        """The evidence of a trained model.

        Args:
            model: of layers that `zoo.evidence.kfac.curvature` has rules for; it is not changed.
            images: all training images, normalised, (N, C, H, W).
            labels: (N,) int64.
            precisions: start of the fixed point, name of a layer -> delta.

        Raises:
            ModelError: for a layer without a rule, or no images.
        """
        if not len(images) or len(images) != len(labels):
            raise ModelError(f"there are {len(images)} images and {len(labels)} labels; expected as many, at least one")
        batches = zip(torch.split(images, self.batch_size), torch.split(labels, self.batch_size), strict=True)
        return self.fit_batches(model, batches, precisions=precisions)

    def fit_batches(
        self,
        model: nn.Module,
        batches: Iterable[Batch],
        *,
        precisions: Mapping[str, float] | None = None,
        examples: int | None = None,
    ) -> Evidence:
        """`fit` with batches of images; `examples` is N if they are a part of all."""
        found = curvature(model, batches, samples=self.samples, seed=self.seed, examples=examples)
        start = [(precisions or {}).get(block.name, self.precision) for block in found.blocks]
        return summarise(found, fixed_point(found.blocks, start, self.iterations))


def log_evidence(found: Curvature, log_precisions: Tensor) -> Tensor:
    """log q(D) in nats, a scalar, differentiable in log delta (L,)."""
    penalty = torch.zeros((), dtype=torch.float64)
    for block, log_delta in zip(found.blocks, log_precisions.double(), strict=True):
        delta = log_delta.exp()
        # log det(H + delta) - P log delta, without the cancellation where H is far below delta
        volume = torch.log1p(block.eigenvalues / delta).sum()
        penalty = penalty + delta * block.squared_norm + volume
    return found.log_likelihood - penalty / 2


def effective_dimension(block: LayerCurvature, precision: float) -> float:
    """gamma: the sum of lambda / (lambda + delta)."""
    return float((block.eigenvalues / (block.eigenvalues + precision)).sum())


def fixed_point(blocks: Sequence[LayerCurvature], precisions: Sequence[float], iterations: int) -> list[float]:
    """Move precisions towards delta = gamma / |theta|^2, halfway in log delta at each step, within the bounds."""
    now = [min(max(delta, LOWEST), HIGHEST) for delta in precisions]
    for _ in range(iterations):
        wanted = [
            effective_dimension(block, delta) / max(block.squared_norm, 1e-24)
            for block, delta in zip(blocks, now, strict=True)
        ]
        now = [min(max((a * b) ** 0.5, LOWEST), HIGHEST) for a, b in zip(now, wanted, strict=True)]
    return now


def summarise(found: Curvature, precisions: Sequence[float]) -> Evidence:
    """The evidence at these precisions."""
    value = float(log_evidence(found, torch.tensor(precisions, dtype=torch.float64).log()))
    layers = tuple(
        LayerEvidence(b.name, b.parameters, b.squared_norm, delta, effective_dimension(b, delta))
        for b, delta in zip(found.blocks, precisions, strict=True)
    )
    return Evidence(value / found.examples, found.log_likelihood / found.examples, found.examples, layers)
