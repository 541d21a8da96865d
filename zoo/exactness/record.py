"""What config.json says of a model's equivariance: the verdict of the audit, and what was learned instead of tied."""

from typing import Any

from torch import nn

from zoo.exactness.audits import audit, lattice_part, relaxed
from zoo.exactness.by_size import phi_by_size


def exactness_record(model: nn.Module, size: int, in_chans: int) -> dict[str, Any]:
    """As plain data for JSON.

    size, group, exact, verdict, phi, survivors, nearest: as in `Audit`. tied: whether its weights are
    tied by a group. sizes: phi by input size. And where something was learned, `learned`: `layers`, how many
    convolutions have left their group, and their smallest `degree`; `half_widths` of the augmentations it is averaged
    over.
    """
    found = audit(model, size, in_chans=in_chans)
    said = found.to_dict()
    kept = {key: said[key] for key in ("size", "group", "exact", "verdict", "phi", "survivors", "nearest")}
    sizes = phi_by_size(model, size, in_chans=in_chans)
    tied = lattice_part(model) is not None and not relaxed(model)
    record = kept | {"tied": tied, "sizes": {str(side): phi for side, phi in sizes.items()}}
    learned: dict[str, Any] = {}
    if found.relaxed:
        learned = {"layers": len(found.relaxed), "degree": found.degree}
    if hasattr(model, "half_widths"):
        learned["half_widths"] = model.half_widths()  # type: ignore[operator]
    return record | ({"learned": learned} if learned else {})
