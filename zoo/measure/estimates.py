"""Numbers with their standard error over images."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from torch import Tensor

from symdata.display import plain_fields


@dataclass(frozen=True)
class Estimate:
    """A mean over images.

    Example:
        >>> import torch
        >>> print(Estimate.mean(torch.tensor([1.0, 2.0, 6.0])))
        3 +- 2
    """

    value: float
    standard_error: float | None
    """Over the images; None for a single one, which has no spread."""
    count: int
    """Images."""

    @classmethod
    def mean(cls, values: Tensor) -> "Estimate":
        """The mean of one number per image (n,)."""
        n = len(values)
        return cls(float(values.mean()), float(values.std()) / sqrt(n) if n > 1 else None, n)

    @classmethod
    def ratio(cls, above: Tensor, below: Tensor) -> "Estimate":
        """sum(above) / sum(below) of one number per image each (n,): images are weighted by `below`.

        The standard error is that of the ratio estimator, sqrt(sum (a - r b)^2 / (n (n - 1))) / mean b. If `below` is
        all 0, the ratio is 0 where `above` is too, and else 1.
        """
        n, scale = len(below), float(below.mean())
        if not scale:
            return cls(float(bool(above.any())), None, n)
        value = float(above.mean()) / scale
        spread = float((above - value * below).square().sum())
        return cls(value, sqrt(spread / (n * (n - 1))) / scale if n > 1 else None, n)

    @property
    def root(self) -> "Estimate":
        """The square root, its standard error to first order."""
        value = sqrt(self.value)
        error = self.standard_error
        return Estimate(value, None if error is None else error / (2 * value) if value else 0.0, self.count)

    def scaled(self, factor: float) -> "Estimate":
        """In another unit."""
        error = self.standard_error
        return Estimate(self.value * factor, None if error is None else error * abs(factor), self.count)

    def __str__(self) -> str:
        error = "" if self.standard_error is None else f" +- {self.standard_error:.1g}"
        return f"{self.value:.3g}{error}"

    @property
    def cells(self) -> tuple[str, str]:
        """Value and standard error for a table."""
        return f"{self.value:.2e}", "-" if self.standard_error is None else f"{self.standard_error:.0e}"

    @property
    def percent_cells(self) -> tuple[str, str]:
        """The same for a share, in percent."""
        return f"{100 * self.value:.1f}", "-" if self.standard_error is None else f"{100 * self.standard_error:.1f}"

    def to_dict(self) -> dict[str, float | int | None]:
        """As plain data for JSON."""
        return {"value": self.value, "standard_error": self.standard_error, "images": self.count}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Estimate":
        """The inverse of `to_dict`."""
        error = fields["standard_error"]
        return cls(float(fields["value"]), None if error is None else float(error), int(fields["images"]))


def relative(difference: Tensor, size: Tensor) -> Estimate:
    """sqrt(sum(difference) / sum(size)) of squared norms per image (n,): a relative error in the L2 norm."""
    return Estimate.ratio(difference, size).root


def squared(values: Tensor) -> Tensor:
    """Squared L2 norm of every image's values (B, ...): (B,) float64 on the CPU."""
    norm: Tensor = values.detach().flatten(1).norm(dim=1)
    return norm.double().square().cpu()


Z = 1.959963984540054
"""Half-width of a 95 % interval, in standard errors."""


@dataclass(frozen=True)
class Rate:
    """A share that was counted: `correct` of `count`.

    Example:
        >>> low, high = Rate(98, 100).interval
        >>> f"{Rate(98, 100).value:.0%}, between {low:.1%} and {high:.1%}"
        '98%, between 93.0% and 99.4%'
    """

    correct: int
    count: int

    @classmethod
    def of(cls, mask: Tensor) -> "Rate":
        """The share of True in a tensor of bools of any shape.

        Example:
            >>> import torch
            >>> Rate.of(torch.tensor([True, False, True, True]))
            Rate(correct=3, count=4)
        """
        return cls(int(mask.sum()), mask.numel())

    @property
    def value(self) -> float:
        """The share, in [0, 1]; 0 of nothing."""
        return self.correct / self.count if self.count else 0.0

    @property
    def standard_error(self) -> float:
        """Binomial, over the images: sqrt(p (1 - p) / n)."""
        return sqrt(self.value * (1.0 - self.value) / self.count) if self.count else 0.0

    @property
    def cells(self) -> tuple[str, str]:
        """Share and standard error for a table, in percent."""
        return f"{100 * self.value:.2f}", f"{100 * self.standard_error:.2f}"

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, after Wilson (1927): it stays in [0, 1] and does not shrink to a point where all are right."""
        if not self.count:
            return 0.0, 1.0
        n, p = self.count, self.value
        centre, half = p + Z * Z / (2 * n), Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        scale = 1 + Z * Z / n
        return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON: the two counts, and for readers what follows from them."""
        counts, spread = plain_fields(self, "correct", "count"), plain_fields(self, "standard_error", "interval")
        return {**counts, "accuracy": self.value, **spread}
