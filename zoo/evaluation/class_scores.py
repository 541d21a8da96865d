"""What accuracy does not say where classes differ in size: balanced accuracy, F1, AUC and the confusion matrix.

The definitions are those of scikit-learn, which the tests compare with: `balanced_accuracy_score`, `f1_score` with
`average="macro"`, and `roc_auc_score` with `average="macro", multi_class="ovr"`. The mean of the AUC leaves out a class
that does not occur, where `roc_auc_score` gives no number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from symdata.display import PlainData, Table
from symdata.errors import one_line

MATRIX_CLASSES, MATRIX_WIDTH = 12, 7
"""The confusion matrix is printed as such for so many classes at most, whose names head its columns if no name is
longer; of more classes the most frequent confusions are printed."""
SHOWN = 10
"""Confusions in that list."""
MOST_CLASSES = 256
"""Of more classes no confusion matrix is kept: the file would be larger than all the rest."""


@dataclass(frozen=True)
class ClassScores(PlainData):
    """Scores of a classifier that do not depend on how many images a class has.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.0, 3.0]])
        >>> scores = ClassScores.of(logits, torch.tensor([0, 0, 1, 1]))
        >>> scores.confusion, scores.balanced_accuracy, scores.auc
        (((2, 0), (1, 1)), 0.75, 1.0)
    """

    balanced_accuracy: float
    """The mean over the classes that occur of the share of their images that are right, in [0, 1]."""
    macro_f1: float
    """The mean of the F1 of every class that occurs or is predicted, in [0, 1]."""
    auc: float | None
    """Area under the ROC curve, one class against the rest, mean over the classes that occur, in [0, 1]: how often an
    image of the class gets a higher probability of it than an image of another. None if only one class occurs."""
    confusion: tuple[tuple[int, ...], ...] | None
    """Images by true class (rows) and predicted class (columns); None for more than `MOST_CLASSES`."""

    def __post_init__(self) -> None:
        for value in (self.balanced_accuracy, self.macro_f1, self.auc):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"a score of {value}")
        if (rows := self.confusion) is None:
            return
        if {*map(len, rows)} != {len(rows)} or min(map(min, rows)) < 0:
            raise ValueError("a confusion matrix that is not square, or has counts below 0")
        matrix = torch.tensor(rows)
        found = balanced_accuracy(matrix), macro_f1(matrix)
        if max(abs(found[0] - self.balanced_accuracy), abs(found[1] - self.macro_f1)) > 1e-9:
            raise ValueError("scores of another confusion matrix")

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> Self:
        """From logits (n, classes) and labels (n,)."""
        classes = logits.shape[1]
        found = confusion(logits.argmax(1), labels, classes)
        rows = tuple(map(tuple, found.tolist())) if classes <= MOST_CLASSES else None
        return cls(balanced_accuracy(found), macro_f1(found), auc(logits, labels), rows)

    @property
    def cells(self) -> tuple[str, str, str]:
        """Balanced accuracy and macro F1 in percent, and AUC, for a table."""
        area = "-" if self.auc is None else f"{self.auc:.4f}"
        return f"{100 * self.balanced_accuracy:.2f}", f"{100 * self.macro_f1:.2f}", area

    def __str__(self) -> str:
        balanced, f1, area = self.cells
        return f"balanced accuracy {balanced} %, macro F1 {f1} %, AUC {area}"

    def tables(self, names: Sequence[str]) -> Iterator[Table]:
        """The confusion matrix under the names of the classes; of many classes the most frequent confusions."""
        if self.confusion is None:
            return
        names = [one_line(name) for name in names]
        if len(names) <= MATRIX_CLASSES:
            short = max(map(len, names)) <= MATRIX_WIDTH
            heads = names if short else list(map(str, range(len(names))))
            sides = names if short else [f"{k} {name}" for k, name in enumerate(names)]
            rows = [(side, *map(str, row)) for side, row in zip(sides, self.confusion, strict=True)]
            yield Table(("true", *heads), rows, title="Upright images by true class (rows) and predicted class:")
            return
        found = [
            (count, i, j) for i, row in enumerate(self.confusion) for j, count in enumerate(row) if count and i != j
        ]
        most = sorted(found, key=lambda cell: (-cell[0], cell[1:]))[:SHOWN]
        rows = [(names[i], names[j], f"{n:,}", f"{100 * n / sum(self.confusion[i]):.2f}") for n, i, j in most]
        notes = [f"({len(found):,} pairs of classes are confused; the most frequent)"] if len(found) > len(rows) else []
        title = "Upright images that are most often confused:"
        yield Table(("true", "predicted", "images", "% of the class"), rows, title, notes)


def confusion(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Images by true class (rows) and predicted class (columns): (classes, classes) int64."""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).view(classes, classes)


def balanced_accuracy(matrix: Tensor) -> float:
    """Of a confusion matrix: the mean recall of the classes that occur."""
    images = matrix.sum(1)
    there = images > 0
    return float((matrix.diagonal()[there] / images[there].double()).mean())


def macro_f1(matrix: Tensor) -> float:
    """Of a confusion matrix: the mean F1, 2 TP / (2 TP + FP + FN), of the classes that occur or are predicted."""
    either = matrix.sum(1) + matrix.sum(0)
    there = either > 0
    return float((2 * matrix.diagonal()[there] / either[there].double()).mean())


def auc(logits: Tensor, labels: Tensor) -> float | None:
    """The area under the ROC curve, one class against the rest, mean over the classes that occur; ties count half."""
    odds, found = _log_odds(logits), []
    for k in torch.unique(labels).tolist():
        here = labels == k
        others = odds[~here, k].sort().values
        if not len(others):
            return None
        below, up_to = (torch.searchsorted(others, odds[here, k].contiguous(), right=right) for right in (False, True))
        found.append(float((below + up_to).sum()) / (2 * len(others) * int(here.sum())))
    return sum(found) / len(found)


def _log_odds(logits: Tensor) -> Tensor:
    """log(p / (1 - p)) of every probability, (n, classes) float32: it orders images as p does, and does not round to 1
    where a model is certain. float32 is the precision of the logits, so that equal probabilities stay ties."""
    logits = logits.double()
    best = logits.argmax(1, keepdim=True)
    of_best = logits.gather(1, best) - logits.scatter(1, best, -torch.inf).logsumexp(1, keepdim=True)
    share = logits.log_softmax(1).scatter(1, best, -1.0)  # the others have p <= 1/2, where this is precise
    return (share - torch.log1p(-share.exp())).scatter(1, best, of_best).float()
