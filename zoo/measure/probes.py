"""Probes: how good the features of a network are, by a small classifier on some labels; the network itself is kept.

    linear  multinomial logistic regression on standardised features, with a penalty on its weights
    knn     a vote of the nearest labelled images by cosine, of standardised features

Both are plain torch and give the same result every time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symdata.display import Result
from symdata.errors import ShapeError, suggest, whole
from symdata.keys import permutation
from zoo.errors import ModelError
from zoo.inference.forward import compute, eval_mode
from zoo.inference.opened_model import OpenedModel
from zoo.layers.regular import LATTICE, fields
from zoo.measure.estimates import Rate
from zoo.models.network import Network
from zoo.preprocessing import Preprocessing

PROBES = ("linear", "knn")
LABELS = 300
"""Labelled images that a probe learns from, by default."""
NEIGHBOURS = 5
PENALTY = 1e-3
"""Times the sum of the squared weights of the linear probe."""
ITERATIONS = 200
"""Of L-BFGS, at most."""
BATCH = 256


@dataclass(frozen=True)
class Probe(Result):
    """The accuracy of a probe on images that it has not learned from.

    Example:
        >>> print(Probe("linear", 300, 40, Rate(1580, 2000)))
        linear probe of 40 features, 300 labels: 79.00 %, between 77.16 and 80.73 % (95 %), on 2,000 images
    """

    kind: str
    labels: int
    """Labelled images that it learned from."""
    features: int
    """Numbers that it reads of each image."""
    accuracy: Rate

    def parts(self) -> Iterable[str]:
        """One line."""
        low, high = self.accuracy.interval
        yield (
            f"{self.kind} probe of {self.features} features, {self.labels} labels: {100 * self.accuracy.value:.2f} %, "
            f"between {100 * low:.2f} and {100 * high:.2f} % (95 %), on {self.accuracy.count:,} images"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        low, high = self.accuracy.interval
        counts = {"correct": self.accuracy.correct, "images": self.accuracy.count}
        found = {"accuracy": self.accuracy.value, "interval": [low, high], **counts}
        return {"probe": self.kind, "labels": self.labels, "features": self.features, **found}


def probe(
    model: OpenedModel | nn.Module,
    train: Any,
    test: Any,
    kind: str = "linear",
    *,
    labels: int = LABELS,
    seed: int = 0,
    neighbours: int = NEIGHBOURS,
    progress: Callable[[int], None] = lambda images: None,
) -> Probe:
    """Learn a small classifier on the features of a network, and measure its accuracy.

    The features are what the classifier of the network reads. Regular fields that it does not pool yet are replaced by
    their maximum over the group, so that features, and probes, are invariant where the network is equivariant.

    Args:
        model: a network of the zoo with the attribute `preprocessing`, as `zoo.load` returns it, or an `OpenedModel` of
            any network with `forward_features` and `forward_head(..., pre_logits=True)`, as those of timm.
        train: images to learn from, uint8 (n, C, H, W), and their labels (n,): a pair, or a `zoo.ImageSet`; floats are
            taken for normalised images.
        test: images to be tested on, in the same form.
        kind: `linear` or `knn`.
        labels: how many of the training images it learns from, the first of a shuffle.
        seed: of the shuffle.
        neighbours: k of knn; of two classes with as many votes the nearer one wins.
        progress: called with the number of images that were run since the last call.

    Raises:
        ModelError: for another kind, fewer images than labels, or a network whose features are not known.
        ShapeError: if images and labels do not fit.

    Example:
        >>> import symdata, zoo
        >>> model, digits = zoo.load("p4cnn_28.mnist-none"), symdata.open_source("glyphs:digits")
        >>> train = digits.read("train", range(100)), digits.labels("train")[:100]
        >>> test = digits.read("test", range(50)), digits.labels("test")[:50]
        >>> found = zoo.measure.probe(model, train, test, labels=60)
        >>> found.labels, found.features, found.accuracy.count, found.accuracy.value > 0.5
        (60, 10, 50, True)
    """
    if kind not in PROBES:
        raise ModelError(f"no probe {kind!r}; {suggest(kind, PROBES)}")
    opened = OpenedModel.of(model)
    whole("neighbours", neighbours, 1, 1000, ModelError)
    known, wanted = (_pair(name, data, opened) for name, data in (("train", train), ("test", test)))
    whole("labels", labels, 2, 10**9, ModelError)
    if labels > len(known[0]):
        raise ModelError(
            f"labels is {labels} and there are {len(known[0])} training images; use labels {len(known[0])}, or more "
            "images"
        )
    rows = torch.from_numpy(permutation(seed, "train", "probe", len(known[0]))[:labels])
    some = (known[0][rows], known[1][rows], known[2])
    with eval_mode(opened.model) as device, torch.no_grad():
        learned, tested = (_features(opened, x, fit, device, progress) for x, _, fit in (some, wanted))
    mean, std = learned.mean(0), learned.std(0).clamp(min=1e-6)
    learned, tested = (learned - mean) / std, (tested - mean) / std
    predicted = _linear(learned, some[1], tested) if kind == "linear" else _knn(learned, some[1], tested, neighbours)
    return Probe(kind, labels, learned.shape[1], Rate.of(predicted == wanted[1]))


def _pair(name: str, data: Any, opened: OpenedModel) -> tuple[Tensor, Tensor, Preprocessing | None]:
    """Images, labels, and what makes the input of the model of images that are uint8."""
    given = hasattr(data, "labels")
    images, labels = (data.images, data.labels) if given else data
    images, labels = torch.as_tensor(images), torch.as_tensor(labels).long()
    if images.ndim != 4 or labels.shape != images.shape[:1] or not len(labels):
        raise ShapeError(
            f"{name} has images {tuple(images.shape)} and labels {tuple(labels.shape)}, expected (n, C, H, W) and (n,)"
        )
    if images.is_floating_point():
        return images, labels, None
    return images, labels, data.preprocessing(opened) if given else opened.require_preprocessing()


def _features(
    opened: OpenedModel,
    images: Tensor,
    fit: Preprocessing | None,
    device: torch.device,
    progress: Callable[[int], None],
) -> Tensor:
    """(n, features) float64 on the CPU."""
    model: Any = opened.model
    if not hasattr(model, "forward_features") or not hasattr(model, "forward_head"):
        raise ModelError(
            f"{opened.name!r} does not say what its features are; give it forward_features and forward_head, as in timm"
        )
    group = str(model.group) if isinstance(model, Network) and isinstance(model.pool, nn.Identity) else ""
    features = _Features(model)
    found = []
    for part in torch.split(images, BATCH):
        x = part if fit is None else fit(part)
        z = compute(features, x.to(device)).flatten(1)
        found.append((fields(z, group).amax(1) if group in LATTICE else z).cpu().double())
        progress(len(part))
    return torch.cat(found)


class _Features(nn.Module):
    """A network without its classifier."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        return self.network.forward_head(self.network.forward_features(x), pre_logits=True)


def _linear(x: Tensor, y: Tensor, tested: Tensor) -> Tensor:
    """The classes that a logistic regression of (x, y) predicts."""
    weight = torch.zeros(int(y.max()) + 1, x.shape[1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(len(weight), dtype=x.dtype, requires_grad=True)
    lbfgs = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        lbfgs.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), y) + PENALTY * weight.square().sum()
        torch.autograd.backward(loss)
        return loss

    with torch.enable_grad():
        lbfgs.step(closure)  # type: ignore[no-untyped-call]
    return F.linear(tested, weight.detach(), bias.detach()).argmax(1)


def _knn(x: Tensor, y: Tensor, tested: Tensor, neighbours: int) -> Tensor:
    """The class of most of the nearest."""
    nearest = (F.normalize(tested) @ F.normalize(x).t()).topk(min(neighbours, len(x)))
    votes = F.one_hot(y[nearest.indices], int(y.max()) + 1).double()  # (n, k, classes)
    closeness = nearest.values[..., None].clamp(min=-1) + 1  # in [0, 2]; it decides between equal votes alone
    return (votes.sum(1) + 1e-6 * (votes * closeness).sum(1)).argmax(1)
