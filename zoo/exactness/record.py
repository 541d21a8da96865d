"""What config.json holds of a model's equivariance: the verdict of the audit, and what was learned instead of tied."""

from typing import Any

from torch import nn

from zoo.exactness.audits import audit
from zoo.exactness.by_size import phi_by_size


def exactness_record(model: nn.Module, size: int, in_chans: int) -> dict[str, Any]:
    """As plain data for JSON.

    size, group, exact, outcome, verdict, phi, survivors, nearest: as in `Audit`. tied: whether a group ties all
    weights. sizes: phi by input size. `learned`, if something was learned: `layers`, how many convolutions have left
    their group, and their smallest `degree`; `half_widths` of the augmentations that the model is averaged over.
    """
    report = audit(model, size, in_chans=in_chans)
    fields = report.to_dict()
    kept = {key: fields[key] for key in ("size", "group", "exact", "outcome", "verdict", "phi", "survivors", "nearest")}
    # What is unknown at its own size is unknown at all.
    by_size = {} if report.outcome == "unknown" else phi_by_size(model, size, in_chans=in_chans)
    sizes = {str(side): phi for side, phi in by_size.items()}
    record = kept | {"tied": report.tied and not report.relaxed, "sizes": sizes}
    learned: dict[str, Any] = {}
    if report.relaxed:
        learned = {"layers": len(report.relaxed), "degree": report.degree}
    if hasattr(model, "half_widths"):
        learned["half_widths"] = model.half_widths()  # type: ignore[operator]
    return record | ({"learned": learned} if learned else {})
