"""Anything a person can put into a file is a sentence or what Pillow, by a path of its own, says it is.

SYMDATA_FUZZ=20000 tries each property that often; the default suits every run of the tests.
"""

import io
import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from symdata.errors import SourceError
from symdata.sources import open_source
from symdata.sources.decode import BACKGROUNDS, Decoding, decode, probe
from tests.support.images import encoded, noise, png_bytes, tiff_bytes
from tests.symdata.sources.test_table import BLOBS, write_table

T = TypeVar("T")
TRIES = settings(
    max_examples=int(os.environ.get("SYMDATA_FUZZ", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow warns about damage that it can read

FORMATS = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "MPO": ("L", "RGB"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("1", "L", "P", "RGB"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "PPM": ("1", "L", "RGB", "I", "F"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"),
    "AVIF": ("RGB", "RGBA"),
    "TGA": ("L", "LA", "P", "RGB", "RGBA"),
    "PCX": ("1", "L", "P", "RGB"),
    "QOI": ("RGB", "RGBA"),
    "SGI": ("L", "RGB", "RGBA"),
}
DEEP = ("I;16", "I", "F")


def attempt(function: Callable[[], T]) -> T | SourceError:
    """What a function returns, or how it refuses; anything else that it raises fails the test."""
    try:
        return function()
    except SourceError as error:
        return error


def picture(mode: str, height: int, width: int, seed: int) -> Image.Image:
    if mode in DEEP:
        values = np.random.default_rng(seed).integers(0, 4096, (height, width))
        return Image.fromarray(values.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    image = Image.fromarray(noise(height, width, 4, seed=seed))
    opaque = seed % 2
    if opaque:
        image.putalpha(255)
    return image.convert("RGB").convert(mode) if mode not in ("LA", "RGBA") else image.convert(mode)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """An image file of any format and mode, perhaps with an orientation or transparency."""
    kind = draw(st.sampled_from(sorted(FORMATS)))
    mode = draw(st.sampled_from(FORMATS[kind]))
    height, width, seed = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(0, 99))
    if kind in ("PNG", "TIFF") and draw(st.integers(0, 5)) == 0:
        channels = draw(st.sampled_from([1, 2, 3, 4] if kind == "PNG" else [1, 3, 4]))
        values = np.random.default_rng(seed).integers(0, 4096, (height, width, channels)).astype(np.uint16)
        return png_bytes(values) if kind == "PNG" else tiff_bytes(values, deflate=bool(seed % 2))
    options: dict[str, Any] = {}
    if kind in ("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "MPO") and draw(st.booleans()):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = draw(st.integers(1, 8) if kind == "TIFF" else st.integers(0, 9))
    if (kind, mode) in (("PNG", "P"), ("GIF", "P")) and draw(st.booleans()):
        options["transparency"] = draw(st.integers(0, 255))
    if (kind, mode) == ("PNG", "L") and draw(st.booleans()):
        options["transparency"] = draw(st.integers(0, 255))
    if (kind, mode) == ("PNG", "RGB") and draw(st.booleans()):
        options["transparency"] = tuple(map(int, noise(height, width, 4, seed=seed)[0, 0, :3]))
    if kind == "TIFF" and draw(st.booleans()) and mode not in ("YCbCr", "LAB"):
        options["compression"] = draw(st.sampled_from(["tiff_lzw", "tiff_deflate", "packbits"]))
    out = io.BytesIO()
    picture(mode, height, width, seed).save(out, kind, **options)
    return out.getvalue()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An image file, cut, with other bytes in it, or joined from two."""
    blob = bytearray(draw(files()))
    how = draw(st.sampled_from(["whole", "cut", "bytes", "bits", "joined"]))
    if how == "cut":
        del blob[draw(st.integers(0, len(blob))) :]
    for _ in range(draw(st.integers(1, 4)) if how in ("bytes", "bits") else 0):
        place = draw(st.integers(0, len(blob) - 1))
        blob[place] = draw(st.integers(0, 255)) if how == "bytes" else blob[place] ^ (1 << draw(st.integers(0, 7)))
    if how == "joined":
        other = draw(files())
        place = draw(st.integers(0, min(len(blob), len(other))))
        blob[place:] = other[place:]
    return bytes(blob)


HOW = st.builds(Decoding, st.sampled_from([None, 12, 16, 32]), st.sampled_from([None, *BACKGROUNDS]))


def theirs(blob: bytes, how: Decoding, channels: int) -> np.ndarray:
    """What Pillow decodes: upright, over the background, as gray or RGB; of deep PNG and TIFF, the high bytes alone."""
    with Image.open(io.BytesIO(blob)) as opened:
        seen = ImageOps.exif_transpose(opened)
        if how.background == "alpha":
            return np.asarray(seen.convert("RGBA"))[..., 3:]
        if how.background in (None, "none"):
            if seen.mode == "P" and "transparency" in seen.info:
                seen = seen.convert("RGBA")
            return np.asarray(seen.convert("RGB"))[..., :channels]
        over = Image.new("RGBA", seen.size, how.background)
        return np.asarray(Image.alpha_composite(over, seen.convert("RGBA")))[..., :channels]


@TRIES
@given(damaged(), HOW)
def test_an_image_is_refused_or_what_pillow_decodes(blob: bytes, how: Decoding) -> None:
    pixels = attempt(lambda: decode(blob, how=how))
    if isinstance(pixels, SourceError):
        assert str(pixels)
        return
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (1, 3) and pixels.size
    header = probe(blob, how)
    assert header == (*pixels.shape[:2], pixels.shape[2] == 3)
    with Image.open(io.BytesIO(blob)) as opened:
        opened.load()
        deep = opened.mode in DEEP or opened.format in ("PPM", "JPEG2000")
        deep = deep or (opened.format == "PNG" and blob[24] == 16)
        deep = deep or (opened.format == "TIFF" and max(opened.tag_v2.get(258, (8,))) > 8)
    if not (deep and how.bits):
        wanted = theirs(blob, how, pixels.shape[2])
        assert wanted.shape == pixels.shape
        slack = 1 if how.background in ("white", "black") else 0  # Pillow composites to the nearest but one
        assert np.abs(wanted.astype(int) - pixels).max() <= slack


@TRIES
@given(files(), HOW)
def test_whole_files_are_read_or_refused_for_a_reason(blob: bytes, how: Decoding) -> None:
    """A file that nothing has damaged is never called damaged."""
    header, pixels = attempt(lambda: probe(blob, how)), attempt(lambda: decode(blob, how=how))
    assert isinstance(header, SourceError) == isinstance(pixels, SourceError)
    if isinstance(pixels, SourceError):
        assert str(header) == str(pixels) and "damaged" not in str(pixels) and "not an image" not in str(pixels)


NAMES = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.binary(min_size=1, max_size=8).filter(lambda raw: not set(raw) & {0, 47}).map(os.fsdecode),
    st.sampled_from(["é", "e\u0301", "train", "val", "a.png", "-1", "\n", " ", "Ω", "Ω", "x,label=y", "caf\\xe9"]),
).filter(lambda name: name not in (".", "..") and len(os.fsencode(name)) < 200)


@TRIES
@given(st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=5), st.booleans())
def test_a_folder_is_refused_or_its_images_have_its_names(entries: list[tuple[str, str]], split: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        shades = {}
        for shade, (folder, name) in enumerate(entries):
            path = Path(place, *(["train"] if split else []), folder, f"{name}.png")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encoded(np.full((2, 2), shade, np.uint8)))
            except OSError:
                return
            if not folder.startswith((".", "__MACOSX")) and not name.startswith((".", "__MACOSX")):
                shades[shade] = folder
        source = attempt(lambda: open_source(place))
        if isinstance(source, SourceError):
            str(source).encode("utf-8", "surrogateescape")
            return
        images = source.read("train", np.arange(source.splits["train"]))[:, 0, 0, 0].tolist()
        got = {shade: source.classes[label] for shade, label in zip(images, source.labels("train"), strict=True)}
        assert len(got) == len(images) == sum(1 for _ in Path(place).rglob("*.png") if not _hidden(_, place))
        for shade, name in got.items():
            raw = os.fsencode(shades[shade]).decode("utf-8", "backslashreplace")
            assert name == unicodedata.normalize("NFC", raw)
        assert len(set(source.classes)) == len(source.classes)
        "".join(source.classes).encode()


def _hidden(path: Path, place: str) -> bool:
    return path.is_dir() or any(part.startswith((".", "__MACOSX")) for part in path.relative_to(place).parts)


NUMBERS = st.one_of(st.integers(-2, 3), st.integers(-(2**63), 2**63 - 1))
WORDS = st.one_of(st.sampled_from(["a", "b", "é", "e\u0301", "", "-1", "0", "1"]), st.text(max_size=4))
WORDS = WORDS.filter(lambda text: text.isprintable() and not any(0xD800 <= ord(c) < 0xE000 for c in text))
COLUMNS: dict[str, tuple[st.SearchStrategy[Any], Callable[[list[Any]], pa.Array]]] = {
    "int64": (NUMBERS, lambda values: pa.array(values, pa.int64())),
    "int8": (st.integers(-2, 3), lambda values: pa.array(values, pa.int8())),
    "uint64": (st.integers(0, 2**64 - 1) | st.integers(0, 2), lambda values: pa.array(values, pa.uint64())),
    "bool": (st.booleans(), lambda values: pa.array(values, pa.bool_())),
    "string": (WORDS, lambda values: pa.array(values, pa.string())),
    "large_string": (WORDS, lambda values: pa.array(values, pa.large_string())),
    "dictionary": (WORDS, lambda values: pa.array(values, pa.string()).dictionary_encode()),
    "float": (st.floats(), lambda values: pa.array(values, pa.float64())),
    "list": (st.lists(NUMBERS, max_size=2), lambda values: pa.array(values, pa.list_(pa.int64()))),
    "null": (st.none(), lambda values: pa.array(values, pa.null())),
}


@st.composite
def columns(draw: st.DrawFn) -> tuple[list[Any], pa.Array]:
    values, make = COLUMNS[draw(st.sampled_from(sorted(COLUMNS)))]
    found = draw(st.lists(values | st.none() if draw(st.integers(0, 7)) == 0 else values, min_size=4, max_size=4))
    return found, make(found)


@TRIES
@given(st.lists(columns(), min_size=1, max_size=3), st.booleans())
def test_labels_are_refused_or_the_values_of_their_column(tables: list[tuple[list[Any], pa.Array]], one: bool) -> None:
    names = [f"train-{i}" for i in range(3)] if one else ["train", "test", "val"]
    with tempfile.TemporaryDirectory() as place:
        for name, (_, column) in zip(names, tables, strict=False):
            write_table(Path(place) / f"{name}.parquet", image=BLOBS[:4], label=column)
        source = attempt(lambda: open_source(place))
        if isinstance(source, SourceError):
            assert "label" in str(source) or "one class" in str(source) or "differ" in str(source)
            return
        mixed = len({column.type for _, column in tables}) > 1
        splits = ["train"] * 3 if one else ["train", "test", "validation"]
        got = {split: [source.classes[label] for label in source.labels(split)] for split in source.splits}
        for split, (values, _) in zip(splits, tables, strict=False):
            for value in values:
                plain = int(value) if isinstance(value, bool) and mixed else value
                assert got[split].pop(0) == unicodedata.normalize("NFC", str(plain))
