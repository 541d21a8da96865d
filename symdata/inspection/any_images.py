"""Inspect any images: a dataset folder by what is recorded in it, any other source by its pixels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from symdata.errors import StoreError
from symdata.inspection.report import InspectionReport, inspect_folder
from symdata.inspection.source_audit import LIMIT, SourceAudit, audit_source
from symdata.store.manifest import is_dataset


def inspect(
    place: Path | str | Any,
    splits: str | Sequence[str] | None = None,
    *,
    audit: bool = False,
    group: str | None = None,
    limit: int | None = None,
    upright: Any = None,
    size: int | None = None,
    resize: str | None = None,
    skip_bad: int | None = None,
) -> InspectionReport | SourceAudit:
    """What `symdata inspect` prints: of a dataset folder the counts, tests and traces; of other images the audit.

    Args:
        place: a dataset folder, or whatever `open_source` opens.
        splits: names of splits, or one; None: all of a dataset folder, the first of another source.
        audit: whether the pixels of a dataset folder are tested too; those of any other source always are.
        group: of the audit: d4, c4, d2, c2 or d1; None: d4, or d2 if images are not square.
        limit: most images that the audit examines; None: 2000.
        upright: a place of upright images of the same kind, for the audit.
        size, resize: of the audit: the side that images are resized to, and how; see `audit_source`.
        skip_bad: of the audit of a source: how many bad images are left out, and said; None: 0.

    Raises:
        StoreError: if the folder is not a complete dataset or has no such split, or an option has no effect.
        SourceError, ShapeError, SymmetryError: as for an audit.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs", "turned", symmetry="c4", count=160, size=8)
        >>> report = symdata.inspect("turned", "train")
        >>> report.agrees, report.splits[0].degree
        (True, 1.0)
        >>> symdata.inspect("glyphs:bd", group="d1", limit=200).audit.safe
        'none'
    """
    names = None if splits is None else [splits] if isinstance(splits, str) else list(splits)
    options = {"group": group, "limit": limit, "upright": upright, "size": size, "resize": resize, "skip_bad": skip_bad}
    ours = is_dataset(place)
    if ours and not audit and (given := [name for name, value in options.items() if value is not None]):
        raise StoreError(f"{given[0]} is of the audit of a dataset folder; ask for it with audit=True (--audit)")
    if not ours and names is not None and len(names) > 1:
        raise StoreError(f"an audit is of one split, and {len(names)} were named; run it once for each")
    report = inspect_folder(place, names) if ours else None
    if report is not None and not audit:
        return report
    most, first = LIMIT if limit is None else limit, names[0] if names else None
    found = audit_source(place, first, group, most, 0, upright, size, resize, skip_bad or 0)
    return found if report is None else replace(report, audit=found)
