"""Letters and digits with exactly known symmetry: the default source, offline, of any size and any number.

Image i of a split is a pure function of (VERSION, split, i). Its label is i mod n. Its pixel at u (in half image sides
from the centre) is the coverage by a stroke,

    x(u) = ramp(F(p(u)) + w),        p(u) = sum_jk C_jk T_j(u_1) T_k(u_2),        T_k the Chebyshev polynomials,

where F is the signed distance field of a random face of its class (atlas.py), w a random stroke weight, and p a random
map with a shift (degree 0), scale, tilt, stretch and shear (degree 1) and a smooth displacement (degrees 2 and 3).

The distribution of every class is exactly symmetric. For g in d4, with (g x)(u) = x(g^-1 u) and (g F)(p) = F(g^-1 p),

    (g x)(u) = ramp(F(p(g^-1 u)) + w) = ramp((g F)(p'(u)) + w),        p' = g . p . g^-1.

In the atlas the field of class g.c is g F for every face, bit for bit. And p' has the distribution of p: a mirror or a
rotation only permutes the coefficients C and changes their signs, and these come from draws that are independent of
each other and of class and face, identically distributed in both axes, and each symmetric about 0. Hence

    law(g x | c) = law(x | g.c),        and        law(g x | c) = law(x | c) for every g in the stabiliser of c.

This holds with rounding: the image rendered from (g F, p') is g applied to the image rendered from (F, p), byte for
byte, and the draws of p' are a signed permutation of those of p (strokes.py). Only d4 is claimed: the O looks round,
but it is not symmetric under so2, nor under 45 degrees.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache

import numpy as np
import torch

from symdata.errors import SourceError, is_whole, whole
from symdata.keys import split_keys
from symdata.sources.base import Ref, check_device, check_split, split_order
from symdata.sources.fit import Fit
from symdata.sources.glyphs import atlas
from symdata.sources.glyphs.strokes import Jitter, render

VERSION = "glyphs/1"
"""Part of every key and of the fingerprint; it changes whenever the images do."""

ALPHABETS = {
    "default": "OXHINZSbdpq69AFR",
    "digits": atlas.DIGITS,
    "letters": atlas.LETTERS,
    "alnum": atlas.DIGITS + atlas.LETTERS,
}
COUNTS = {"train": 6000, "validation": 1000, "test": 1000}
SIZES = range(8, 1025)

_DRAW = 4096
"""Images whose jitter is drawn at once, to share the overhead of numpy's calls."""
_PIXELS = {"cpu": 1 << 16}
"""Device type -> pixels rendered at once; on a CPU the intermediate results fit into its cache."""
_PIXELS_ELSEWHERE = 1 << 24


class GlyphSource:
    """Letters and digits from the fonts of matplotlib, with the stabiliser in d4 of every class.

    A `Source` that generates its images: `read` accepts any index >= 0, whatever the numbers in `splits`.
    """

    name = "glyphs"
    license = atlas.LICENSE

    def __init__(self, alphabet: str, size: int = 28, counts: Mapping[str, int] = COUNTS, device: str = "cpu") -> None:
        """One class per character of `alphabet`, images of size x size, so many per split, rendered on `device`."""
        _check_alphabet(alphabet)
        check_device(device)
        whole("size", size, SIZES[0], SIZES[-1], SourceError, " pixels, the sizes of glyphs")
        known = next((name for name, characters in ALPHABETS.items() if characters == alphabet), alphabet)
        self.ref = "glyphs" if known == "default" else f"glyphs:{known}"
        self.revision: str | None = None
        self.classes = tuple(alphabet)
        self.shape = (1, int(size), int(size))
        self.splits = _checked(counts)
        self.device = device

    @cached_property
    def fingerprint(self) -> str:
        """`sha256:` of the version, the alphabet and its fields; it depends on the fonts and on FreeType."""
        content = "\n".join((VERSION, *self.classes, atlas.build_atlas(self.classes).digest))
        return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"

    def with_counts(self, **counts: int) -> "GlyphSource":
        """The same source with other numbers of images, as in `with_counts(train=60000)`; 0 removes a split.

        Image i of a split stays the same.
        """
        return GlyphSource("".join(self.classes), self.shape[1], {**self.splits, **counts}, self.device)

    def stabiliser(self, label: int) -> tuple[int, ...]:
        """The indices of the elements of d4 under which the distribution of this class is invariant, sorted."""
        return atlas.stabiliser(self.classes[label])

    def stabiliser_name(self, label: int) -> str:
        """The name of the stabiliser: `d4`, `d2`, `c2`, `d1 (left-right mirror)`, ..., `c1`."""
        return atlas.stabiliser_name(self.classes[label])

    def image_of(self, label: int, element: int) -> int | None:
        """The class that `label` becomes under the element of d4 with this index; None if it is not in the alphabet."""
        image = atlas.image_of(self.classes[label], element, self.classes)
        return None if image is None else self.classes.index(image)

    def labels(self, split: str) -> np.ndarray:
        """(n,) int64: i mod the number of classes."""
        check_split(self, split)
        return np.arange(self.splits[split], dtype=np.int64) % len(self.classes)

    def read(self, split: str, indices: np.ndarray) -> torch.Tensor:
        """Images (len(indices), 1, size, size) uint8 on the device, at any indices >= 0."""
        check_split(self, split)
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size and wanted.min() < 0:
            raise SourceError(f"index {wanted.min()} of split {split!r} is negative; indices start at 0")
        images = torch.empty((len(wanted), *self.shape), dtype=torch.uint8, device=self.device)
        for part in _slices(len(wanted), _DRAW):
            self._render_into(images[part], split, wanted[part])
        return images

    def _render_into(self, images: torch.Tensor, split: str, indices: np.ndarray) -> None:
        fields, starts, counts = _on_device(self.classes, self.device)
        jitter = Jitter.draw(split_keys(0, split, VERSION, indices))
        label = indices % len(self.classes)
        which = starts[label] + np.floor(jitter.face * counts[label]).astype(np.int64)
        size = self.shape[1]
        step = max(1, _PIXELS.get(images.device.type, _PIXELS_ELSEWHERE) // size**2)
        for part in _slices(len(indices), step):
            images[part] = render(fields, torch.from_numpy(which[part]).to(fields.device), jitter[part], size)


def _slices(n: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


@lru_cache(maxsize=8)
def _on_device(classes: tuple[str, ...], device: str) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """The fields of an alphabet on a device, and the first face and the number of faces of each class."""
    drawn = atlas.build_atlas(classes)
    return torch.from_numpy(drawn.fields).to(device), drawn.starts, drawn.counts


def open_ref(ref: Ref, fit: Fit, device: str) -> GlyphSource:
    """Open the glyphs that a reference names; they are rendered at the target size, not resized."""
    ref.only()
    return open_glyphs(ref.place, size=fit.size, device=device)


def open_glyphs(
    ref: str, *, size: int | None = None, device: str = "cpu", counts: Mapping[str, int] | None = None
) -> GlyphSource:
    """The glyph source that `ref` names.

    Args:
        ref: `glyphs` (16 classes), `glyphs:digits`, `glyphs:letters`, `glyphs:alnum`, or characters: `glyphs:OXNZ`.
        size: pixels per side, 8 to 1024; None is 28.
        device: where the images are rendered and stay.
        counts: split -> number of images, if it differs from 6000 train, 1000 validation, 1000 test.

    Raises:
        SourceError: for an unknown or repeated character, fewer than two, or a bad size, count or device.

    Example:
        >>> source = open_glyphs("glyphs:OXNZ")
        >>> [source.stabiliser_name(label) for label in range(4)], source.image_of(2, element=1)
        (['d4', 'd4', 'c2', 'c2'], 3)
    """
    kind, _, text = ref.partition(":")
    if kind != "glyphs" or ref == "glyphs:":
        named = ", ".join(f"glyphs:{name}" for name in ALPHABETS if name != "default")
        raise SourceError(f"{ref!r} names no glyphs; expected glyphs, {named} or characters as in glyphs:OXNZ")
    alphabet = ALPHABETS.get(text or "default", text)
    return GlyphSource(alphabet, 28 if size is None else size, {**COUNTS, **(counts or {})}, device)


def _check_alphabet(alphabet: str) -> None:
    if unknown := [c for c in alphabet if c not in atlas.CHARACTERS]:
        named = ", ".join(name for name in ALPHABETS if name != "default")
        raise SourceError(
            f"alphabet {alphabet!r} has {unknown[0]!r}, which is no glyph; "
            f"glyphs are {atlas.CHARACTERS}, and {named} name whole alphabets"
        )
    if twice := [c for c in alphabet if alphabet.count(c) > 1]:
        raise SourceError(f"alphabet {alphabet!r} has {twice[0]!r} more than once; each character is one class")
    if len(alphabet) < 2:
        raise SourceError(f"alphabet {alphabet!r} is one class only; add a second character, as in glyphs:OX")


def _checked(counts: Mapping[str, int]) -> dict[str, int]:
    for split, count in counts.items():
        if not is_whole(count, 0, sys.maxsize):
            raise SourceError(f"split {split!r} has count {count!r}; expected a whole number, at least 0")
    kept = {split: int(counts[split]) for split in split_order(counts) if counts[split]}
    if not kept:
        raise SourceError("every split has count 0; ask for at least one image, as in with_counts(train=6000)")
    return kept
