"""Letters and digits with exactly known symmetry: the default source, offline, of any size and any count.

Image i of a split is a pure function of (VERSION, split, i). Its label is i mod n; its pixel u (in half image sides
from the centre) shows the coverage of a stroke,

    x(u) = ramp(F(p(u)) + w),        p(u) = sum_jk C_jk T_j(u_1) T_k(u_2),        T_k the Chebyshev polynomials,

where F is the signed distance field of a random face of its class (atlas.py), w a random stroke weight, and the random
map p holds a shift (degree 0), a scale, tilt, stretch and shear (degree 1) and a smooth displacement (degrees 2, 3).

The law of every class is exactly symmetric. For g in d4, with (g x)(u) = x(g^-1 u) and (g F)(p) = F(g^-1 p),

    (g x)(u) = ramp(F(p(g^-1 u)) + w) = ramp((g F)(p'(u)) + w),        p' = g . p . g^-1.

The atlas holds the field of class g.c as g F for every face, bit for bit. And p' has the law of p: a mirror or a turn
only permutes the coefficients C and changes their signs, and they are built from draws which are independent of each
other and of class and face, alike in both axes, and each symmetric about 0. Hence

    law(g x | c) = law(x | g.c),        and        law(g x | c) = law(x | c) for every g in the stabiliser of c.

Rounding does not spoil this: the image rendered from (g F, p') is g applied to the image rendered from (F, p), byte for
byte, and the draws of p' are a signed permutation of those of p (strokes.py). Only d4 is claimed: the O is round to the
eye, but it is not so2-symmetric, nor does it survive 45 degrees.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache

import numpy as np
import torch

from symdata.errors import SourceError
from symdata.keys import split_keys
from symdata.sources.base import check_device, split_order
from symdata.sources.glyphs import atlas
from symdata.sources.glyphs.strokes import Jitter, render

VERSION = "glyphs/1"
"""Part of every key and of the fingerprint: changes whenever the images do."""

ALPHABETS = {
    "default": "OXHINZSbdpq69AFR",
    "digits": atlas.DIGITS,
    "letters": atlas.LETTERS,
    "alnum": atlas.DIGITS + atlas.LETTERS,
}
COUNTS = {"train": 6000, "validation": 1000, "test": 1000}
SIZES = range(8, 1025)

_DRAW = 4096
"""Images whose jitter is drawn at once: numpy's cost per call is spread over them."""
_PIXELS = {"cpu": 1 << 16}
"""Device type -> pixels rendered at once: on a CPU, as many as keep the intermediate results in its cache."""
_PIXELS_ELSEWHERE = 1 << 24


class GlyphSource:
    """Letters and digits from the fonts that come with matplotlib; every class knows its stabiliser within d4.

    A `Source` that generates: `read` gives any index >= 0 of its splits, and `splits` only says how many are asked for.
    """

    name = "glyphs"
    license = atlas.LICENSE

    def __init__(self, alphabet: str, size: int = 28, counts: Mapping[str, int] = COUNTS, device: str = "cpu") -> None:
        """One class per character of `alphabet`, images of size x size, `counts` of them, rendered on `device`."""
        _check_alphabet(alphabet)
        check_device(device)
        if isinstance(size, bool) or size not in SIZES:
            raise SourceError(f"size {size!r} is out of range; glyphs come in sizes {SIZES[0]} to {SIZES[-1]}")
        known = next((name for name, characters in ALPHABETS.items() if characters == alphabet), alphabet)
        self.ref = "glyphs" if known == "default" else f"glyphs:{known}"
        self.revision: str | None = None
        self.classes = tuple(alphabet)
        self.shape = (1, int(size), int(size))
        self.splits = _checked(counts)
        self.device = device

    @cached_property
    def fingerprint(self) -> str:
        """`sha256:` of the version, the alphabet and its fields: other fonts or another FreeType give another one."""
        content = "\n".join((VERSION, *self.classes, atlas.build_atlas(self.classes).digest))
        return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"

    def with_counts(self, **counts: int) -> "GlyphSource":
        """The same source with other numbers of images, as in `with_counts(train=60000)`; 0 drops a split.

        Image i of a split stays what it was.
        """
        return GlyphSource("".join(self.classes), self.shape[1], {**self.splits, **counts}, self.device)

    def stabiliser(self, label: int) -> tuple[int, ...]:
        """The d4 indices under which the law of this class is exactly invariant, sorted."""
        return atlas.stabiliser(self.classes[label])

    def stabiliser_name(self, label: int) -> str:
        """The same in words: `d4`, `d2`, `c2`, `d1 (left-right mirror)`, ..., `c1`."""
        return atlas.stabiliser_name(self.classes[label])

    def image_of(self, label: int, element: int) -> int | None:
        """The class that `label` becomes under the d4 element with this index; None if it leaves the alphabet."""
        image = atlas.image_of(self.classes[label], element, self.classes)
        return None if image is None else self.classes.index(image)

    def labels(self, split: str) -> np.ndarray:
        """(n,) int64: i mod the number of classes."""
        self._check_split(split)
        return np.arange(self.splits[split], dtype=np.int64) % len(self.classes)

    def read(self, split: str, indices: np.ndarray) -> torch.Tensor:
        """Images as (len(indices), 1, size, size) uint8 on the device; any index >= 0, in any order."""
        self._check_split(split)
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
        for part in _slices(len(indices), _PIXELS.get(images.device.type, _PIXELS_ELSEWHERE) // size**2):
            images[part] = render(fields, torch.from_numpy(which[part]).to(fields.device), jitter[part], size)

    def _check_split(self, split: str) -> None:
        if split not in self.splits:
            raise SourceError(f"source {self.ref!r} has no split {split!r}; it has {', '.join(self.splits)}")


def _slices(n: int, step: int) -> Iterator[slice]:
    step = max(1, step)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


@lru_cache(maxsize=8)
def _on_device(classes: tuple[str, ...], device: str) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """The fields of an alphabet on a device, and where the faces of each class start and how many they are."""
    drawn = atlas.build_atlas(classes)
    return torch.from_numpy(drawn.fields).to(device), drawn.starts, drawn.counts


def open_glyphs(
    ref: str, *, size: int | None = None, device: str = "cpu", counts: Mapping[str, int] | None = None
) -> GlyphSource:
    """The glyph source that `ref` names.

    Args:
        ref: `glyphs` (16 classes), `glyphs:digits`, `glyphs:letters`, `glyphs:alnum`, or characters: `glyphs:OXNZ`.
        size: pixels per side, 8 to 1024; None is 28.
        device: where the images are rendered and stay.
        counts: split -> number of images, where it differs from 6000 train, 1000 validation, 1000 test.

    Raises:
        SourceError: a character that is unknown or there twice, fewer than two, or a bad size, count or device.
    """
    kind, _, text = ref.partition(":")
    if kind != "glyphs" or ref == "glyphs:":
        named = ", ".join(f"glyphs:{name}" for name in ALPHABETS if name != "default")
        raise SourceError(f"{ref!r} names no glyphs; expected glyphs, {named} or characters as in glyphs:OXNZ")
    alphabet = ALPHABETS.get(text or "default", text)
    return GlyphSource(alphabet, 28 if size is None else size, {**COUNTS, **(counts or {})}, device)


def _check_alphabet(alphabet: str) -> None:
    unknown = [c for c in alphabet if c not in atlas.CHARACTERS]
    twice = [c for c in alphabet if alphabet.count(c) > 1]
    if unknown:
        named = ", ".join(name for name in ALPHABETS if name != "default")
        raise SourceError(
            f"alphabet {alphabet!r} has {unknown[0]!r}, which is no glyph; "
            f"glyphs are {atlas.CHARACTERS}, and {named} name whole alphabets"
        )
    if twice:
        raise SourceError(f"alphabet {alphabet!r} has {twice[0]!r} more than once; each character is one class")
    if len(alphabet) < 2:
        raise SourceError(f"alphabet {alphabet!r} is one class only; add a second character, as in glyphs:OX")


def _checked(counts: Mapping[str, int]) -> dict[str, int]:
    for split, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
            raise SourceError(f"split {split!r} has count {count!r}; expected a whole number, at least 0")
    kept = {split: int(counts[split]) for split in split_order(counts) if counts[split]}
    if not kept:
        raise SourceError("every split has count 0; ask for at least one image, as in with_counts(train=6000)")
    return kept
