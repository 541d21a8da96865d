"""Whether a network is a group convolutional one up to a permutation of its channels: layer by layer, and as a whole.

For an element g of d4, theta is matched with g theta: its filters moved, its channels permuted as the activations on
the same images say. Per layer l there are the correlation of matched channels, the residual of the weights,

    |W_l - P_l (g W_l) P_{l-1}^T| / |W_l|,

and the share of channels with P^n(i) = i, n the order of g. In a group convolutional network they are 1, 0 and 1. The
barrier tells the same of all layers together: with theta_m the mean of theta and the permuted g theta,

    barrier = (acc_a - acc_m) / acc_a,    acc_a the mean accuracy of the two

(Bökman & Kahl 2023, arXiv 2305.17017). An invariant function need not have equivariant layers: |x| is even, and the
layer (ReLU(x), ReLU(x + c)) of |x| = 2 ReLU(x) - ReLU(x + c) + c, for |x| <= c, is not permuted by x -> -x.
"""

from collections.abc import Iterable
from math import isnan
from typing import Any

import torch
from torch import Tensor, nn

from symdata.errors import ShapeError
from symdata.groups import Element, Group
from zoo.alignment.matching import Matching, check_alike, match_activations
from zoo.alignment.merging import merge
from zoo.alignment.permutations import PermutationSpec, permute_
from zoo.alignment.plain_copy import plain_copy
from zoo.alignment.transform import TransformCheck, moved_copy, transform_check
from zoo.exactness.arithmetic import D4
from zoo.exactness.tracer import duplicate
from zoo.inference.forward import classify, device_of
from zoo.inference.sweep import check_width
from zoo.layers.regular import lattice_group
from zoo.measure.alignment_result import MERGES, Alignment, LayerAlignment, PairAlignment
from zoo.measure.model_copy import checked_inputs

BATCH = 250


@torch.no_grad()
def layerwise_alignment(
    model: nn.Module,
    images: Tensor,
    labels: Any,
    elements: Group | str = "d4",
    *,
    against: nn.Module | None = None,
    name: str = "",
    data: str = "",
    against_name: str = "another network",
) -> Alignment:
    """Match every layer of a network with the same layer moved, and merge the two; or with another network.

    Group convolutions become ordinary ones first. Half of the images, drawn once, match channels and measure
    statistics; the others are classified. All is computed in the precision and on the device of the model.

    Args:
        model: images (B, C, H, W) to logits (B, classes); it is copied, never changed.
        images: normalised floats (n, C, H, W), as the model takes them; a barrier of less than 3,000 images has an
            error of about 0.01.
        labels: (n,) class indices.
        elements: a subgroup of d4, or its name; each element but the identity is a pair.
        against: another network of the same architecture, which is one more pair.
        name, data, against_name: for the text.

    Raises:
        ModelError: if the networks differ in shape, weights are shared, no permutation can be found, or scipy is
            missing.
        SymmetryError: for a group that moves pixels off their lattice.
        ShapeError: for less than four images, labels that are not theirs, and rectangles under a quarter turn.

    Example:
        >>> import zoo
        >>> found = layerwise_alignment(zoo.load("p4cnn_28.mnist-none"), torch.rand(8, 1, 28, 28), [3] * 8, "c4")
        >>> found.pairs[0].other, min(layer.correlation for layer in found.pairs[0].layers[:-1]) > 0.999
        ('r90', True)
    """
    group, inputs = lattice_group(elements), checked_inputs(images)
    moves = [g for g in group.elements if g != D4.elements[0]]
    if inputs.shape[-1] != inputs.shape[-2] and any(D4.index(g) % 2 for g in moves):
        side = "x".join(map(str, inputs.shape[-2:]))
        raise ShapeError(
            f"images are {side}, which quarter turns make rectangles of another shape; take elements of d2"
        )
    labels = torch.as_tensor(labels)
    if len(inputs) < 4 or labels.shape != inputs.shape[:1]:
        got = f"{len(inputs)} images and labels {tuple(labels.shape)}"
        raise ShapeError(f"there are {got}, expected four images at least with one class index for each")
    device = device_of(model)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
    half = len(order) // 2
    like = next((p for p in model.parameters() if p.is_floating_point()), inputs)
    inputs = inputs.to(device, like.dtype)
    seen, held, truth = inputs[order[:half]], inputs[order[half:]], labels[order[half:]]
    plain_model = plain_copy(model)
    spec = PermutationSpec.of(plain_model, (inputs.shape[-2], inputs.shape[-1]), inputs.shape[1])
    pairs = []
    for g in moves:
        check = transform_check(plain_model, g, (inputs.shape[-2], inputs.shape[-1]), inputs.shape[1])
        pairs.append(_pair(plain_model, moved_copy(plain_model, g), str(g), (seen, held, truth), spec, g, check))
    if against is not None:
        other = plain_copy(against).to(device, like.dtype)
        pairs.append(_pair(plain_model, other, against_name, (seen, held, truth), spec))
    return Alignment(name or type(model).__name__, data, half, len(held), tuple(pairs), spec.fixed)


def _pair(
    one: nn.Module,
    other: nn.Module,
    name: str,
    images: tuple[Tensor, Tensor, Tensor],
    spec: PermutationSpec,
    element: Element | None = None,
    check: TransformCheck | None = None,
) -> PairAlignment:
    """From images to match, others to classify, and their labels."""
    seen, held, truth = images
    check_alike(one, other)
    matching = match_activations(one, other, seen, spec)
    merged = {
        key: _accuracy(merge(one, other, matching if permuted else None, recalibrate=how, images=seen), held, truth)
        for key, (permuted, how) in MERGES.items()
    }
    order = None if element is None else _order(element)
    both = _accuracy(one, held, truth), _accuracy(other, held, truth)
    return PairAlignment(name, order, check, both, merged, tuple(_layers(one, other, matching, order)))


def _layers(one: nn.Module, other: nn.Module, matching: Matching, order: int | None) -> Iterable[LayerAlignment]:
    """Every parameter with inputs and outputs."""
    aligned = permute_(duplicate(other), matching.spec, matching.permutations)
    theirs, matches = dict(aligned.named_parameters()), {match.name: match for match in matching.layers}
    for name, weight in one.named_parameters():
        if weight.ndim < 2:
            continue
        tied = [t for t in matching.spec.tied if any(p.tensor == name and p.axis == 0 for p in t.places)]
        own = [matches[t.name] for t in tied]
        residual = float((weight - theirs[name]).norm() / weight.norm().clamp_min(1e-30))
        yield LayerAlignment(
            name.removesuffix(".weight"),
            len(weight),
            _mean([match.correlation for match in own if not isnan(match.correlation)]),
            residual,
            min(match.returns(order) for match in own) if own and order else None,
        )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _order(element: Element) -> int:
    """The smallest n with g^n = e."""
    power, n = D4.index(element), 1
    while power:
        power, n = D4.product(power, D4.index(element)), n + 1
    return n


def _accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    right = 0
    for start in range(0, len(images), BATCH):
        logits = classify(model, images[start : start + BATCH])
        if not start:
            check_width(model, logits.shape[1], labels, None)
        right += int((logits.argmax(1).cpu() == labels[start : start + BATCH]).sum())
    return right / len(images)
