"""An audit beside a measurement: what arithmetic predicts, and the error of the feature maps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from symdata.display import Result, Table
from symdata.groups import Group
from zoo.exactness.audits import Audit, audit
from zoo.measure.equivariance import BROKEN_ERROR, EXACT_ERROR, FeatureError
from zoo.measure.feature_error import feature_error


@dataclass(frozen=True)
class CheckedAudit(Result):
    """A prediction and a measurement of one model at one input size.

    Example:
        >>> import zoo
        >>> found = checked_audit(zoo.create("p4cnn_28", width=2, seed=0), 27)
        >>> found.exact, found.agrees
        (False, True)
    """

    prediction: Audit
    measured: FeatureError

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input."""
        return self.prediction.size

    @property
    def agrees(self) -> bool:
        """Whether each element is at rounding if it is predicted to survive, and far above it if not."""
        alive = {str(e) for e in self.prediction.survivors}
        errors = self.measured.by_element.items()
        return all(error < EXACT_ERROR if name in alive else error > BROKEN_ERROR for name, error in errors)

    @property
    def exact(self) -> bool:
        """Whether the model is predicted to be exact, and measured so."""
        return self.prediction.exact and self.agrees

    def parts(self) -> Iterable[str | Table]:
        """Those of the audit, and a table of predicted and measured."""
        yield from self.prediction.parts()
        alive = {str(e) for e in self.prediction.survivors}
        errors = self.measured.by_element.items()
        rows = [(name, "exact" if name in alive else "broken", f"{error:.2e}") for name, error in errors]
        title = "Error of the feature maps in float64, |F(g x) - g F(x)| / |F(x)|:"
        note = "The two DISAGREE. Something other than subsampling distinguishes positions or orientations."
        notes = ["The two agree." if self.agrees else note]
        yield Table(("element", "predicted", "measured"), rows, title, notes)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        more = {"by_element": self.measured.by_element, "agrees": self.agrees}
        return self.prediction.to_dict() | {"measured": self.measured.to_dict() | more}


def checked_audit(
    model: nn.Module,
    size: int | tuple[int, int],
    group: Group | str | None = None,
    in_chans: int | None = None,
    *,
    name: str = "",
) -> CheckedAudit:
    """`zoo.audit`, and the error of the feature maps on noise beside it.

    Args:
        model: any module that takes an image batch (B, C, H, W); it is copied, never changed.
        size: pixels, or (height, width).
        group: subgroup of d4 to analyse; by default that of the model, and d4 for a model without any.
        in_chans: C; by default read from the first convolution.
        name: of the model, for the text.

    Raises:
        ModelError: if the model cannot run in float64 at this size, or is built on a group without this one.
        SymmetryError: for a group that moves pixels off their lattice.

    Example:
        >>> print(checked_audit(nn.Conv2d(3, 8, 3, stride=2, padding=1), 33))
        Conv2d: exact: at 33x33 every subsampling maps to itself under d4.
        ...
        The two agree.
    """
    prediction = audit(model, size, group, in_chans, name=name)
    return CheckedAudit(prediction, feature_error(model, size, group, 8, in_chans))
