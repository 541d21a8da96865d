"""Sources whose images are encoded files: decoded on demand, so that memory does not grow with their number."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from symdata.errors import SourceError
from symdata.sources.base import check_indices, check_labels, check_split, fingerprint, split_order
from symdata.sources.decode import Header, decode, probe
from symdata.sources.fit import Fit

_BATCH = 256  # images whose encoded bytes are held at once while all headers are read


class Store(Protocol):
    """Encoded images by split and index."""

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Encoded bytes of the images at `indices`, in that order."""
        ...

    def name(self, split: str, index: int) -> str:
        """What to call one image, relative to the source: its file, or its row."""
        ...


@dataclass(frozen=True)
class Facts:
    """What is known about a source before its images are looked at."""

    ref: str
    name: str
    license: str
    classes: tuple[str, ...]
    labels: dict[str, np.ndarray]
    """Split to int64 (n,)."""
    fingerprint: str | None = None
    """None: take it from the names and bytes of the images."""
    revision: str | None = None


class EncodedSource:
    """A `Source` over a `Store`; opening it reads every image's header, so that bad and mixed images show at once.

    It pickles: worker processes need not open it again.
    """

    def __init__(self, facts: Facts, store: Store, fit: Fit) -> None:
        check_labels(facts.ref, facts.classes, facts.labels)
        self._store, self._fit = store, fit
        self._labels = {split: facts.labels[split] for split in split_order(facts.labels) if len(facts.labels[split])}
        self.ref, self.name, self.classes = facts.ref, facts.name, facts.classes
        self.license, self.revision = facts.license, facts.revision
        self.splits = {split: len(values) for split, values in self._labels.items()}
        headers, digests = self._survey(digest=facts.fingerprint is None)
        self.fingerprint = facts.fingerprint or fingerprint(digests)
        self.shape = (3 if any(header.colour for header in headers) else 1, *self._common_size(headers))

    def labels(self, split: str) -> np.ndarray:
        """Labels of a split, int64 (n,)."""
        return self._labels[check_split(self, split)]

    def read(self, split: str, indices: np.ndarray) -> torch.Tensor:
        """Images at `indices`, uint8 (n, C, H, W); raises SourceError naming an image that cannot be decoded."""
        wanted = check_indices(self, split, indices)
        out = torch.empty((len(wanted), *self.shape), dtype=torch.uint8)
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        images = [
            self._decode(split, index, blob) for index, blob in zip(wanted, self._fetch(split, wanted), strict=True)
        ]
        for position, image in enumerate(images):
            by_size[image.shape[:2]].append(position)
        for size, positions in by_size.items():
            if self._fit.size is None and size != self.shape[1:]:
                name = self._name(split, wanted[positions[0]])
                raise SourceError(
                    f"source {self.ref!r}: {name} changed its size since the source was opened; open it again."
                )
            stack = torch.from_numpy(np.stack([images[i] for i in positions])).permute(0, 3, 1, 2)  # (k, C, h, w)
            out[positions] = self._fit(stack)
        return out

    def _fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        return self._store.fetch(split, indices)

    def _name(self, split: str, index: int) -> str:
        return self._store.name(split, int(index))

    def _decode(self, split: str, index: int, blob: bytes) -> np.ndarray:
        try:
            return decode(blob, self.shape[0])
        except SourceError as error:
            raise self._bad(split, index, error) from None

    def _bad(self, split: str, index: int, error: SourceError) -> SourceError:
        return SourceError(
            f"source {self.ref!r}: {self._name(split, index)} cannot be used: {error}; replace or remove it."
        )

    def _images(self) -> Iterator[tuple[str, int, bytes]]:
        for split, count in self.splits.items():
            for start in range(0, count, _BATCH):
                batch = np.arange(start, min(start + _BATCH, count))
                yield from ((split, int(i), blob) for i, blob in zip(batch, self._fetch(split, batch), strict=True))

    def _survey(self, *, digest: bool) -> tuple[dict[Header, tuple[str, int]], list[str]]:
        """Each kind of header with the first image that has it, and the images' digests if they are asked for."""
        headers: dict[Header, tuple[str, int]] = {}
        digests = []
        for split, index, blob in self._images():
            try:
                headers.setdefault(probe(blob), (split, index))
            except SourceError as error:
                raise self._bad(split, index, error) from None
            if digest:
                digests.append(f"{split} {self._name(split, index)} {hashlib.sha256(blob).hexdigest()}")
        return headers, digests

    def _common_size(self, headers: dict[Header, tuple[str, int]]) -> tuple[int, int]:
        sizes = {(h.height, h.width): where for h, where in headers.items()}
        if self._fit.size is None and len(sizes) > 1:
            (first, where), (last, there) = min(sizes.items()), max(sizes.items())
            raise SourceError(
                f"source {self.ref!r} holds images of {len(sizes)} sizes, such as {first[0]}x{first[1]} "
                f"({self._name(*where)}) and {last[0]}x{last[1]} ({self._name(*there)}); "
                f"give one, as in --size {min(first)}."
            )
        return {self._fit.shape(*size) for size in sorted(sizes)}.pop()
