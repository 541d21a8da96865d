"""Audit the symmetry of the images of any source, whatever is recorded or said about them."""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from symdata.display import Result, Table
from symdata.errors import MixedSizesError, ShapeError, SourceError, StoreError
from symdata.inspection.asymmetry.advice import advice
from symdata.inspection.asymmetry.audit import AsymmetryAudit, audit
from symdata.keys import permutation
from symdata.pictures.figure import Figure
from symdata.sources import Source, open_source
from symdata.sources.files import omission_notes
from symdata.sources.fit import Fit
from symdata.sources.memory import MemoryData
from symdata.store import load, splits
from symdata.store.manifest import is_dataset

LIMIT = 2000
"""Images of an audit: it then takes seconds, and finds differences that a classifier sees with 55 % accuracy."""
_BATCH = 256
"""Images that are decoded at a time."""
_WIDTH = 110
"""Characters of a line of advice."""


@dataclass(frozen=True)
class SourceAudit(Result):
    """How symmetric the images of a source are, and which images those were."""

    place: str
    split: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """(C, H, W)."""
    audit: AsymmetryAudit
    resized: str = ""
    """How the images were brought to one size, in a sentence; empty if they came so."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Images that were left out, by name, with the reason."""

    def parts(self) -> list[str | Table]:
        c, h, w = self.shape
        head = (
            f"Symmetry audit of {self.audit.images:,} images of {self.place} ({self.split}), {c} x {h} x {w}: "
            f"can images moved by {self.audit.group.name} be distinguished from these?"
        )
        item = partial(textwrap.fill, width=_WIDTH, initial_indent="- ", subsequent_indent="  ")
        lines = [head, *([textwrap.fill(self.resized, _WIDTH)] if self.resized else [])]
        lines += omission_notes({"skipped": self.skipped})
        return ["\n".join(lines), *self.audit.parts(), "\n".join(map(item, advice(self.audit)))]

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"audit": self.audit.to_dict() | {"advice": advice(self.audit)}}

    def plot(self) -> Figure:
        """The figure of the audit."""
        return self.audit.plot()


def audit_source(
    place: Any,
    split: str | None = None,
    group: str | None = None,
    limit: int = LIMIT,
    seed: int = 0,
    upright: Any = None,
    size: int | None = None,
    resize: str | None = None,
    skip_bad: int = 0,
) -> SourceAudit:
    """Audit how symmetric images really are: `asymmetry.audit` of a dataset folder or any source.

    Args:
        place: a dataset folder of symdata, or whatever `open_source` opens, images in memory too. The recorded elements
            are not read.
        split: which; None: the first.
        group: as for `asymmetry.audit`.
        limit: most images to examine, drawn at random but always the same ones.
        seed: decides which, and how they are halved.
        upright: a place of upright images of the same kind and classes, of which the first split is read; beside them
            the degree has two ends.
        size: side in pixels that every image is resized to. None: they stay as they are, or, if they have several
            sizes, get the median of all their sides. If some of those are not square, the group is then d2 unless one
            is given, because a quarter turn of a squashed image is not the squashed image of a quarter turn.
        resize: how, as for `open_source`; None: bilinear.
        skip_bad: how many images of each source that cannot be used are left out, and said, before there is an error.

    Raises:
        SourceError, StoreError: if there are no such images.
        ShapeError, SymmetryError: if they are too few, too small, or cannot be moved by the group; if the upright
            images have other classes or another shape.

    Example:
        >>> found = audit_source("glyphs:bd", group="d1", limit=200)
        >>> found.audit.safe, found.audit.labels[0].cycles
        ('none', ((0, 1),))
    """
    if resize is not None and size is None:
        raise SourceError(f"resize is {resize!r}, and there is no size to reach; give one, as in --size 64")
    if skip_bad and is_dataset(place) and (upright is None or is_dataset(upright)):
        raise StoreError(
            f"{str(place)!r} is a dataset folder, which has no bad images; leave skip_bad (--skip-bad) out"
        )
    images = _images(place, split, limit, seed, Fit(size, resize or "bilinear"), skip_bad)
    reference = None
    if upright is not None:
        given = _images(upright, None, limit, seed, images.fit, skip_bad)
        images.skipped.update(given.skipped)
        if lacking := [name for name in images.classes if name not in given.classes]:
            raise ShapeError(f"the upright images have no class {lacking[0]!r}; they have {', '.join(given.classes)}")
        if given.shape != images.shape:
            raise ShapeError(f"the upright images are {given.shape} and the images {images.shape}; give images alike")
        number = [images.classes.index(name) if name in images.classes else -1 for name in given.classes]
        reference = given.chosen(np.asarray(number)[given.labels])
    batches = (images.read(part) for part in _parts(images.rows))
    found = audit(batches, images.labels, images.classes, group or images.group, seed, reference)
    name = str(place) if isinstance(place, str | Path) else MemoryData(place).ref
    return SourceAudit(name, images.split, images.classes, images.shape, found, images.resized, images.skipped)


@dataclass(frozen=True)
class _Images:
    """Some images of a split."""

    split: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    rows: np.ndarray
    labels: np.ndarray
    """Of the rows."""
    read: Callable[[np.ndarray], Tensor]
    fit: Fit
    """How they were brought to one size."""
    resized: str = ""
    """The same in a sentence."""
    group: str | None = None
    """The group to audit, if not that of the shape."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Images that were left out, by name, with the reason."""

    def chosen(self, labels: np.ndarray) -> tuple[Iterator[Tensor], np.ndarray]:
        """Batches of those images whose label is not negative, and the labels."""
        kept = labels >= 0
        return (self.read(part) for part in _parts(self.rows[kept])), labels[kept]


def _images(place: Any, split: str | None, limit: int, seed: int, fit: Fit, skip_bad: int) -> _Images:
    """So many images of a place, drawn at random but always the same ones."""
    read: Callable[[np.ndarray], Tensor]
    resized, group = f"Resized to {fit.size}x{fit.size} ({fit.how})." if fit.size is not None else "", None
    skipped: dict[str, str] = {}
    if is_dataset(place):
        name = split if split is not None else splits(place)[0]
        dataset = load(place, name)
        classes, labels = dataset.classes, dataset.labels.numpy()
        shape = (dataset.shape[0], *fit.shape(*dataset.shape[1:]))
        read = lambda rows: fit(dataset.images(rows))  # noqa: E731
    else:
        try:
            source: Source = open_source(place, size=fit.size, resize=fit.how, skip_bad=skip_bad)
        except MixedSizesError as error:
            fit, resized, group = _chosen_size(error.sizes)
            source = open_source(place, size=fit.size, resize=fit.how, skip_bad=skip_bad)
        skipped |= getattr(source, "omitted", {}).get("skipped", {})
        name = split if split is not None else next(iter(source.splits))
        classes, shape, labels, read = source.classes, source.shape, source.labels(name), partial(source.read, name)
    rows = np.sort(permutation(seed, name, "audit", len(labels))[:limit])
    return _Images(name, classes, shape, rows, labels[rows], read, fit, resized, group, skipped)


def _chosen_size(sizes: dict[tuple[int, int], int]) -> tuple[Fit, str, str | None]:
    """A size for images of several sizes, how to reach it, a sentence about it, and the group that it leaves."""
    sides = np.repeat([side for size in sizes for side in size], np.repeat(list(sizes.values()), 2))
    side = max(2, round(float(np.median(sides))))
    first, last = min(sizes), max(sizes)
    text = (
        f"The images have {len(sizes):,} sizes, such as {first[0]}x{first[1]} and {last[0]}x{last[1]}; all were "
        f"resized to {side}x{side} (bilinear), the median of their sides. Choose another size with --size and --resize."
    )
    if all(h == w for h, w in sizes):
        return Fit(side), text, None
    text += " Some are not square and were squashed, so quarter turns are left out unless --group asks for them."
    return Fit(side), text, "d2"


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return np.split(rows, range(_BATCH, len(rows), _BATCH))
