"""What a classifier says about a few images: a label and a probability for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from symdata.display import Result, Table
from symdata.errors import SourceError
from zoo.errors import ModelError
from zoo.inference.forward import classify, eval_mode
from zoo.inference.opened_model import OpenedModel
from zoo.preprocessing import GRAY, as_images

BATCH = 64
"""Images that are classified at a time."""
SHOWN = 20
"""Images that get a row in the text."""


@dataclass(frozen=True, eq=False)
class Predictions(Result):
    """Labels and probabilities of some images.

    Example:
        >>> import torch, zoo
        >>> found = zoo.load("p4cnn_28.mnist-none").predict(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
        >>> len(found.labels), found.probabilities.shape
        (2, torch.Size([2, 10]))
    """

    classes: tuple[str, ...]
    """Names of the logits; their numbers if the model has no names."""
    probabilities: Tensor
    """(n, classes) float32, on the CPU."""
    names: tuple[str, ...]
    """Of the images: paths, or numbers."""
    notes: tuple[str, ...] = field(default=())
    """What was done to the images that is worth knowing."""

    @property
    def index(self) -> Tensor:
        """(n,) int64: the most probable class of each image."""
        return self.probabilities.argmax(1)

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the most probable class of each image."""
        return tuple(self.classes[k] for k in self.index.tolist())

    def top(self, count: int = 5) -> list[list[tuple[str, float]]]:
        """The most probable classes of each image, with their probabilities."""
        best = self.probabilities.topk(min(count, len(self.classes)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [[(self.classes[k], p) for k, p in zip(*pair, strict=True)] for pair in pairs]

    def scores(self, top_k: int = 5) -> list[list[dict[str, Any]]]:
        """For each image its most probable classes, as `label` and `score`: the form of transformers' pipelines.

        Example:
            >>> import torch, zoo
            >>> found = zoo.load("p4cnn_28.mnist-none").predict(torch.zeros(1, 28, 28, dtype=torch.uint8))
            >>> [sorted(best) for best in found.scores(top_k=1)[0]]
            [['label', 'score']]
        """
        return [[{"label": label, "score": score} for label, score in best] for best in self.top(top_k)]

    def parts(self) -> Iterable[Table]:
        rows = [
            (name, *[f"{label} {p:.1%}" for label, p in best])
            for name, best in list(zip(self.names, self.top(2), strict=True))[:SHOWN]
        ]
        more = [f"and {len(self.names) - SHOWN} more images"] if len(self.names) > SHOWN else []
        header = ("image", "label", "second")[: 1 + min(2, len(self.classes))]
        yield Table(header, rows, notes=[*self.notes, *more])

    def data_rows(self) -> list[dict[str, Any]]:
        """A row for each image: its label, and the probability of every class."""
        each = zip(self.names, self.labels, self.probabilities.tolist(), strict=True)
        return [{"image": n, "label": label} | dict(zip(self.classes, p, strict=True)) for n, label, p in each]

    def to_dict(self) -> dict[str, Any]:
        each = zip(self.names, self.labels, self.probabilities.tolist(), strict=True)
        images = [{"image": name, "label": label, "probabilities": p} for name, label, p in each]
        return {"classes": list(self.classes), "images": images, "notes": list(self.notes)}


def classify_images(model: OpenedModel | nn.Module, images: Any) -> Predictions:
    """Classify one image or several: `.predict` of a loaded model, and `zoo.predict` of any, are this function.

    Args:
        model: a classifier whose preprocessing is known, as `zoo.load` returns it.
        images: the path of an image, a picture of Pillow, an array (H, W[, C]) or a tensor ([B,] C, H, W), uint8 or
            floats in [0, 1]; or a list of any of them, which may differ in size. They are resized and normalised as
            the model says.

    Raises:
        ModelError: if the preprocessing is not known, or the outputs are not finite logits.
        ShapeError, SourceError: for images that do not fit, or cannot be read.

    Example:
        >>> import zoo
        >>> from PIL import Image
        >>> Image.new("L", (40, 30)).save("black.png")
        >>> found = classify_images(zoo.load("p4cnn_28.mnist-none"), "black.png")
        >>> found.names, found.labels[0] in found.classes
        (('black.png',), True)
    """
    opened = OpenedModel.of(model)
    known = opened.require_preprocessing()
    given: Sequence[Any] = images if isinstance(images, list | tuple) else [images]
    batches = [as_images(opened_image(image)) for image in given]
    if not batches or not sum(map(len, batches)):
        raise ModelError("there are no images to classify; give one or more")
    inputs = torch.cat([known(batch) for batch in batches])
    with torch.no_grad(), eval_mode(opened.model) as device:
        logits = torch.cat([classify(opened.model, part.to(device)).cpu() for part in torch.split(inputs, BATCH)])
    classes = opened.classes or tuple(map(str, range(logits.shape[1])))
    if len(classes) != logits.shape[1]:
        raise ModelError(f"{opened.name!r} has {logits.shape[1]} outputs and {len(classes)} names of classes")
    names = [
        str(image) if isinstance(image, str | Path) else ""
        for image, batch in zip(given, batches, strict=True)
        for _ in batch
    ]
    gray = known.channels == 3 and any(batch.shape[1] == 1 for batch in batches)
    numbered = tuple(name or str(k) for k, name in enumerate(names))
    return Predictions(classes, logits.float().softmax(1), numbered, (GRAY,) if gray else ())


def opened_image(image: Any) -> Any:
    """The image at a path as a tensor (C, H, W); anything else as it is."""
    if not isinstance(image, str | Path):
        return image
    try:
        from symdata.sources.decode import decode  # a checkpoint loads without Pillow

        return torch.from_numpy(decode(Path(image).read_bytes()).transpose(2, 0, 1).copy())
    except OSError as error:
        raise SourceError(f"{str(image)!r} cannot be read: {error.strerror or error}; name an image file") from None
    except SourceError as error:
        raise SourceError(f"{str(image)!r} cannot be used: {error}") from None
