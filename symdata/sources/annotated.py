"""Sources of encoded images with masks, boxes or keypoints.

Such a source needs no labels: without them every image has the label 0, of the single class "image".
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import torch

from symdata.annotations import VOID, Annotations, Objects, Schema
from symdata.errors import SourceError
from symdata.sources.base import Ref, check_indices, refusal
from symdata.sources.columns import Columns
from symdata.sources.decode import decode_mask
from symdata.sources.encoded import EncodedSource, Faults, Store
from symdata.sources.extra import NO_EXTRA_COLUMNS, ExtraColumns
from symdata.sources.files import Facts, Labels, fingerprint
from symdata.sources.fit import Fit
from symdata.sources.object_checks import cut_off, placed_objects, problems
from symdata.sources.object_column import read_objects
from symdata.sources.swaps import swaps_of

_BATCH = 256
"""Masks that are in memory at a time while all of them are checked."""


def unlabelled(counts: Mapping[str, int]) -> Labels:
    """The labels of images that have none: all are 0, of the class "image"."""
    return Labels(("image",), {split: np.zeros(count, np.int64) for split, count in counts.items()})


def void_of(ref: Ref) -> int:
    """The value of `,void=N`, by default `VOID`; raises SourceError unless it is from 0 to 255."""
    text = ref.options.get("void", str(VOID))
    if not (text.isascii() and text.isdigit() and int(text) <= 255):
        raise refusal(ref.text, f"void={text}, expected a number of a mask from 0 to 255, as in void=255")
    return int(text)


def open_table(
    ref: Ref,
    facts: Facts,
    labels: Labels,
    fit: Fit,
    columns: Columns,
    store: Callable[[str], Store],
    values: Callable[[str], Mapping[str, pa.ChunkedArray]],
    extra: ExtraColumns,
) -> EncodedSource:
    """The source over a table, with annotations if it has columns of them.

    Args:
        ref, facts, labels, fit: of the source.
        columns: which columns are read.
        store: the encoded images in a column.
        values: the values of a column, by split.
        extra: the other columns, which a dataset keeps.
    """
    images, masks = store(columns.image), store(columns.mask) if columns.mask else None
    if not columns.objects:
        return open_masked(facts, labels, images, fit, ref, masks, extra)
    if masks is None:
        check_no_void(ref)
    schema, objects = read_objects(ref.text, values(columns.objects), columns.categories, images.name)
    schema = replace(schema, masks=masks is not None, void=void_of(ref))

    def name(split: str, row: int) -> str:
        return images.name(split, int(objects[split].image[row]))

    return AnnotatedSource(
        facts, labels, images, fit, ref, schema, masks=masks, objects=objects, name=name, extra=extra
    )


def open_masked(
    facts: Facts, labels: Labels, images: Store, fit: Fit, ref: Ref, masks: Store | None, extra: ExtraColumns
) -> EncodedSource:
    """The source over images that may have masks, one for each."""
    if masks is None:
        check_no_void(ref)
        swaps_of(ref, ())  # refuses the option
        return EncodedSource(facts, labels, images, fit, ref, extra)
    schema = Schema(masks=True, void=void_of(ref))
    return AnnotatedSource(facts, labels, images, fit, ref, schema, masks=masks, extra=extra)


def check_no_void(ref: Ref) -> None:
    """Refuse the option `,void=` where there are no masks."""
    if "void" in ref.options:
        raise refusal(ref.text, "void= is for masks, and there are none; name them with ,mask=NAME")


class AnnotatedSource(EncodedSource):
    """A source whose images have annotations: `annotations(split, indices)` gives them, resized as the images are.

    Opening it decodes every mask and checks every object, so that bad ones are found at once. If bad images may be left
    out, so are images with a bad mask or object.
    """

    fewest_classes = 1

    def __init__(
        self,
        facts: Facts,
        labels: Labels,
        store: Store,
        fit: Fit,
        ref: Ref,
        schema: Schema,
        *,
        masks: Store | None = None,
        objects: Mapping[str, Objects] | None = None,
        in_shares: bool = False,
        hashed: str = "",
        name: Callable[[str, int], str] = lambda split, row: f"{split} object {row}",
        extra: ExtraColumns = NO_EXTRA_COLUMNS,
    ) -> None:
        """Open the source.

        Args:
            facts, labels, store, fit, ref: of the images.
            schema: what is annotated.
            masks: the encoded masks, one for each image.
            objects: of each split, in pixels of the images as they are stored.
            in_shares: whether the objects are in shares of the width and height instead.
            hashed: fingerprint of the files of the annotations, if that of the facts does not cover them.
            name: of an object in a split, for messages.
            extra: columns that a dataset keeps.
        """
        if len(set(schema.categories)) < len(schema.categories):
            twice = next(name for name in schema.categories if schema.categories.count(name) > 1)
            raise refusal(facts.ref, f"two categories are called {twice!r}; give each a name of its own")
        if not schema.swaps:
            schema = replace(schema, swaps=swaps_of(ref, schema.keypoints))
        self.annotation_schema, self._masks, given = schema, masks, objects or {}
        faults = partial(self._annotation_faults, given, in_shares, name)
        super().__init__(facts, labels, store, fit, ref, extra, faults)
        if masks is not None and masks.apart:
            hashed = self._hash_masks(masks)
        if hashed:
            self.fingerprint = fingerprint([f"images {self.fingerprint}", f"annotations {hashed}"])
        self._objects: dict[str, Objects] | None = None
        if objects is not None:
            self._objects = {split: self._placed(split, objects[split], in_shares, name) for split in self.splits}
        self.binary_masks = masks is not None and self._mask_values() == {0, 255}
        """Whether all pixels of masks are 0 or 255, so that 255 may be a class or void."""

    def annotations(self, split: str, indices: np.ndarray) -> Annotations:
        """The annotations of the images that `read(split, indices)` gives."""
        wanted = check_indices(self, split, indices)
        masks = None if self._masks is None else self._read_masks(split, wanted)
        objects = None
        if self._objects is not None:
            sizes = self._stored_sizes[split][wanted].reshape(-1, 2)
            placed = np.array([self._fit.placement(*size) for size in sizes.tolist()]).reshape(-1, 2, 2)
            objects = self._objects[split].of_images(wanted).fitted(placed[:, 0], placed[:, 1])
        return Annotations(self.annotation_schema, len(wanted), self.shape[1:], masks, objects)

    def stored_sizes(self, split: str) -> np.ndarray:
        """Height and width of each image before it is resized, (n, 2)."""
        return self._stored_sizes[split]

    def _read_masks(self, split: str, indices: np.ndarray) -> torch.Tensor:
        """Masks (n, H, W) uint8, resized."""
        out = torch.empty((len(indices), *self.shape[1:]), dtype=torch.uint8)
        for position, mask in enumerate(self._each_mask(split, indices)):
            out[position] = self._fit.masks(torch.from_numpy(mask)[None], self.annotation_schema.void)[0]
        return out

    def _each_mask(self, split: str, indices: np.ndarray) -> list[np.ndarray]:
        """Masks (h, w) of some images, as they are stored."""
        assert self._masks is not None
        stored = self.stored_rows(split, indices)
        found = []
        for index, row, blob in zip(indices.tolist(), stored.tolist(), self._masks.fetch(split, stored), strict=True):
            try:
                found.append(self._mask(blob, split, row, self._stored_sizes[split][index]))
            except SourceError as error:
                raise refusal(self.ref, f"{error}; replace or remove it") from None
        return found

    def _mask(self, blob: bytes, split: str, row: int, size: np.ndarray) -> np.ndarray:
        """A mask (h, w); raises SourceError, with its name and the reason alone, if it is not of its image's size."""
        assert self._masks is not None
        name, (height, width) = self._masks.name(split, row), size.tolist()
        try:
            mask = decode_mask(blob)
        except SourceError as error:
            raise SourceError(f"mask {name} cannot be used: {error}") from None
        if mask.shape != (height, width):
            own, image = "x".join(map(str, mask.shape)), self._store.name(split, row)
            raise SourceError(f"mask {name} is {own}, its image {image} is {height}x{width}")
        return mask

    def _placed(self, split: str, given: Objects, in_shares: bool, name: Callable[[str, int], str]) -> Objects:
        """The objects of the images of a split; raises SourceError for the first that makes no sense."""
        images = self.stored_rows(split, np.arange(self.splits[split]))
        placed = placed_objects(given, images, self._stored_sizes[split], in_shares)
        for row, problem in problems(placed):
            image = f"{self._store.name(split, int(images[placed.objects.image[row]]))} of {placed.size(row)} pixels"
            what = f"{name(split, int(placed.rows[row]))}: {problem}"
            raise refusal(self.ref, f"{what}, {image}; mend or remove it")
        return cut_off(placed)

    def _mask_fault(self, masks: Store, split: str, row: int) -> str:
        """Why a mask cannot be used; empty if it can."""
        try:
            (blob,) = masks.fetch(split, np.array([row]))
            self._mask(blob, split, row, self._stored_sizes[split][row])
        except SourceError as error:
            return str(error)
        return ""

    def _annotation_faults(
        self, given: Mapping[str, Objects], in_shares: bool, name: Callable[[str, int], str], known: Faults
    ) -> Faults:
        """What is wrong with masks and objects of images that can be used themselves; all images are still there."""
        found: dict[tuple[str, int], str] = {}
        for split, count in self.splits.items():
            good = np.array([row for row in range(count) if (split, row) not in known], np.int64)
            if self._masks is not None:
                wrong = ((row, self._mask_fault(self._masks, split, row)) for row in good.tolist())
                found |= {(split, row): fault for row, fault in wrong if fault}
            if split in given:
                placed = placed_objects(given[split], good, self._stored_sizes[split][good], in_shares)
                for row, problem in problems(placed):
                    image = split, int(good[placed.objects.image[row]])
                    found.setdefault(image, f"{name(split, int(placed.rows[row]))}: {problem}")
        return found

    def _hash_masks(self, masks: Store) -> str:
        """Fingerprint of the bytes of all masks."""
        lines = []
        for split, count in self.splits.items():
            for row in self.stored_rows(split, np.arange(count)):
                (blob,) = masks.fetch(split, np.array([row]))
                lines.append(f"{split} {masks.name(split, row)} {hashlib.sha256(blob).hexdigest()}")
        return fingerprint(lines)

    def _mask_values(self) -> set[int]:
        """The numbers that occur in the masks; reads all of them."""
        seen = np.zeros(256, bool)
        for split, count in self.splits.items():
            for start in range(0, count, _BATCH):
                for mask in self._each_mask(split, np.arange(start, min(start + _BATCH, count))):
                    seen[np.unique(mask)] = True
        return set(np.flatnonzero(seen).tolist())
