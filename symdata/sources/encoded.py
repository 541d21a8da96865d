"""Sources of encoded images, which are decoded when they are read: memory does not grow with their number."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import torch

from symdata.errors import SourceError
from symdata.sources.base import check_indices, check_split, refusal
from symdata.sources.decode import Header, decode, probe
from symdata.sources.extra import NO_EXTRA_COLUMNS, ExtraColumns
from symdata.sources.files import Facts, FileSource, Labels, fingerprint
from symdata.sources.fit import Fit

T = TypeVar("T")

_BATCH = 256
"""Images whose encoded bytes are in memory at a time while all headers are read."""


class Store(Protocol):
    """Encoded images by split and index."""

    def fetch(self, split: str, indices: np.ndarray) -> list[bytes]:
        """Encoded bytes of the images at `indices`, in that order."""

    def name(self, split: str, index: int) -> str:
        """Name of an image within the source, for messages: its file or its row."""


class EncodedSource(FileSource):
    """A `Source` over a `Store`. Opening it reads the header of every image, so that bad images are found at once.

    It can be pickled: worker processes need not open it again.
    """

    def __init__(
        self, facts: Facts, labels: Labels, store: Store, fit: Fit, extra: ExtraColumns = NO_EXTRA_COLUMNS
    ) -> None:
        super().__init__(facts, labels, fit)
        self._store, self._extra = store, extra
        self._stored_sizes: dict[str, np.ndarray] = {}  # (n, 2): height and width of each image as it is stored
        headers, digests = self._survey()
        self.fingerprint = facts.fingerprint or fingerprint(digests)
        self.shape = (3 if any(header.colour for header in headers) else 1, *self._common_size(headers))

    def read(self, split: str, indices: np.ndarray) -> torch.Tensor:
        """Images at `indices`, uint8 (n, C, H, W); raises SourceError for an image that cannot be decoded."""
        wanted = check_indices(self, split, indices)
        images, by_size = list(self._each(partial(decode, channels=self.shape[0]), split, wanted)), defaultdict(list)
        for position, image in enumerate(images):
            by_size[image.shape[:2]].append(position)
        out = torch.empty((len(wanted), *self.shape), dtype=torch.uint8)
        for size, positions in by_size.items():
            if self._fit.size is None and size != self.shape[1:]:
                name = self._store.name(split, wanted[positions[0]])
                raise refusal(self.ref, f"{name} changed its size since the source was opened; open it again")
            stack = torch.from_numpy(np.stack([images[i] for i in positions])).permute(0, 3, 1, 2)  # (k, C, h, w)
            out[positions] = self._fit(stack)
        return out

    def extra_columns(self, split: str) -> pa.Table:
        """The columns of a split beside image and label that a dataset keeps; row i belongs to image i."""
        check_split(self, split)
        return self._extra.table(split)

    @property
    def left_out_columns(self) -> dict[str, str]:
        """Columns that a dataset does not keep -> the reason."""
        return dict(self._extra.left_out)

    def _each(self, function: Callable[[bytes], T], split: str, indices: np.ndarray) -> Iterator[T]:
        """A function of the encoded bytes of some images; its SourceError is completed by the image's name."""
        for index, blob in zip(indices, self._store.fetch(split, indices), strict=True):
            try:
                yield function(blob)
            except SourceError as error:
                name = self._store.name(split, index)
                raise refusal(self.ref, f"{name} cannot be used: {error}; replace or remove it") from None

    def _survey(self) -> tuple[dict[Header, tuple[str, int]], list[str]]:
        """Each kind of header with the first image that has it, and lines `name digest` if they are needed."""
        headers: dict[Header, tuple[str, int]] = {}
        digests = []
        for split, count in self.splits.items():
            self._stored_sizes[split] = np.empty((count, 2), np.int32)
            for start in range(0, count, _BATCH):
                batch = np.arange(start, min(start + _BATCH, count))
                for index, (header, digest) in zip(batch.tolist(), self._each(self._look, split, batch), strict=True):
                    headers.setdefault(header, (split, index))
                    self._stored_sizes[split][index] = header.height, header.width
                    if digest:
                        digests.append(f"{split} {self._store.name(split, index)} {digest}")
        return headers, digests

    def _look(self, blob: bytes) -> tuple[Header, str]:
        return probe(blob), "" if self.fingerprint else hashlib.sha256(blob).hexdigest()

    def _common_size(self, headers: dict[Header, tuple[str, int]]) -> tuple[int, int]:
        sizes = {(h.height, h.width): where for h, where in headers.items()}
        if self._fit.size is None and len(sizes) > 1:
            (first, one), (last, other) = min(sizes.items()), max(sizes.items())
            raise SourceError(
                f"source {self.ref!r} holds images of {len(sizes)} sizes, such as {first[0]}x{first[1]} "
                f"({self._store.name(*one)}) and {last[0]}x{last[1]} ({self._store.name(*other)}); "
                f"give one, as in --size {min(first)}"
            )
        return {self._fit.shape(*size) for size in sorted(sizes)}.pop()
