"""Two networks averaged in weight space, and the statistics of their activations repaired.

    theta = alpha theta_a + (1 - alpha) P theta_b

Averaged filters correlate less than either parent, so activations lose variance layer by layer. Batch norm measures its
statistics again; REPAIR (Jordan et al. 2023, arXiv 2211.08403) rescales every channel to the mean and the standard
deviation that the parents have, averaged.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from symdata.errors import one_of
from zoo.alignment.matching import BATCH, Matching, check_alike
from zoo.alignment.permutations import permute_
from zoo.errors import ModelError
from zoo.exactness.hooks import module_hooks
from zoo.exactness.tracer import duplicate
from zoo.inference.forward import compute

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
LAYERS = (nn.Conv2d, nn.Linear)
RECALIBRATIONS = ("none", "batch-norm", "repair")


@torch.no_grad()
def merge(
    one: nn.Module,
    other: nn.Module,
    matching: Matching | None = None,
    alpha: float = 0.5,
    recalibrate: str = "none",
    images: Tensor | None = None,
) -> nn.Module:
    """A network in eval mode whose weights lie between those of two networks.

    Args:
        one, other: two networks of one architecture; they are copied, never changed.
        matching: of their channels, from `match_activations`; None to average the weights as they stand.
        alpha: weight of the first network, from 0 to 1.
        recalibrate: `none`; `batch-norm`, the norms measure their statistics on the images; or `repair`, every norm, or
            convolution where there are no norms, gets the parents' mean and standard deviation of every channel.
        images: normalised (n, C, H, W), for the two last.

    Raises:
        ModelError: if the two differ in shape, or recalibration has no images.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
        >>> torch.equal(merge(net, net)[0].weight, net[0].weight)
        True
    """
    check_alike(one, other)
    one_of("recalibrate", recalibrate, RECALIBRATIONS, ModelError)
    if not 0 <= alpha <= 1:
        raise ModelError(f"alpha is {alpha}, expected the weight of the first network, from 0 to 1, such as alpha=0.5")
    if recalibrate != "none" and (images is None or not len(images)):
        raise ModelError(f"recalibrate is {recalibrate!r}, which measures statistics on images; give images=")
    merged, aligned = duplicate(one), duplicate(other)
    if matching is not None:
        permute_(aligned, matching.spec, matching.permutations)
    theirs = aligned.state_dict()
    for name, tensor in merged.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(alpha * tensor + (1 - alpha) * theirs[name].to(tensor))
    if images is not None and recalibrate != "none":
        reset_batch_norm(merged, images)
        if recalibrate == "repair":
            _repair(merged, one, aligned, alpha, images)
    return merged


@torch.no_grad()
def reset_batch_norm(model: nn.Module, images: Tensor) -> None:
    """Measure the running statistics of all batch norms again, in one pass through the images; in place."""
    norms = [module for module in model.modules() if isinstance(module, NORMS) and module.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    for batch in _batches(images):
        compute(model, batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def _repair(merged: nn.Module, one: nn.Module, other: nn.Module, alpha: float, images: Tensor) -> None:
    """Rescale every channel of the merged network to the averaged mean and standard deviation of its parents."""
    sites = _sites(merged)
    ours, theirs = _statistics(one, sites, images), _statistics(other, sites, images)
    goal = {
        name: tuple(alpha * a + (1 - alpha) * b for a, b in zip(ours[name], theirs[name], strict=True)) for name in ours
    }
    raw = _statistics(merged, sites, images, goal)  # every channel is rescaled on the way, as later layers will see it
    modules = dict(merged.named_modules())
    for name, (mean, std) in raw.items():
        scale = goal[name][1] / std.clamp_min(1e-12)
        shift = goal[name][0] - scale * mean
        _rescale(modules[name], torch.where(std > 1e-12, scale, 1.0), torch.where(std > 1e-12, shift, 0.0))


def _sites(model: nn.Module) -> list[str]:
    """The batch norms; in a network without any, all layers with weights but the last."""
    norms = [name for name, module in model.named_modules() if isinstance(module, NORMS) and module.affine]
    return norms or [name for name, module in model.named_modules() if isinstance(module, LAYERS)][:-1]


def _rescale(module: nn.Module, scale: Tensor, shift: Tensor) -> None:
    """Make a module give scale y + shift where it gave y."""
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor)
    assert not isinstance(bias, nn.Module)
    scale, shift = scale.to(weight), shift.to(weight)
    weight.mul_(scale.view(-1, *[1] * (weight.ndim - 1)))
    module.bias = nn.Parameter(shift if bias is None else bias * scale + shift)


Moments = tuple[Tensor, ...]
"""Mean and standard deviation of every channel, (C,) each."""


def _statistics(
    model: nn.Module, sites: list[str], images: Tensor, goal: dict[str, Moments] | None = None
) -> dict[str, Moments]:
    """Moments of the outputs of modules over images; with a goal, outputs get those moments on their way."""
    sums: dict[str, list[Tensor]] = {}

    def look(name: str, module: nn.Module, args: object, out: Tensor) -> Tensor | None:
        if name not in sites:
            return None
        axes = [a for a in range(out.ndim) if a != _channel(out, module)]
        mean, square = out.double().mean(axes), out.double().square().mean(axes)
        old = sums.setdefault(name, [torch.zeros_like(mean), torch.zeros_like(mean), torch.zeros(())])
        sums[name] = [old[0] + mean * len(out), old[1] + square * len(out), old[2] + len(out)]
        if goal is None:
            return None
        column = [-1 if a not in axes else 1 for a in range(out.ndim)]
        std = (square - mean.square()).clamp_min(0).sqrt()
        wanted_mean, wanted_std = goal[name]
        scale = torch.where(std > 1e-12, wanted_std / std.clamp_min(1e-12), 1.0)
        shift = torch.where(std > 1e-12, wanted_mean - scale * mean, 0.0)
        return out * scale.to(out).view(column) + shift.to(out).view(column)

    with module_hooks(model, look):
        for batch in _batches(images):
            compute(model, batch)
    found: dict[str, Moments] = {}
    for name, (mean, square, count) in sums.items():
        mean, square = mean / count, square / count
        found[name] = (mean, (square - mean.square()).clamp_min(0).sqrt())
    return found


def _channel(out: Tensor, module: nn.Module) -> int:
    return out.ndim - 1 if isinstance(module, nn.Linear) else 1


def _batches(images: Tensor) -> Iterator[Tensor]:
    """Of equal sizes as far as possible: a batch of one image has no variance."""
    yield from images.tensor_split(max(1, len(images) // BATCH))
