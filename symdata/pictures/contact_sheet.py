"""Contact sheets and orbits of images, drawn with Pillow alone in a fraction of a second.

Every picture is a Pillow image, a pure function of its arguments.

Convention:
    Images are (B, C, H, W) uint8, C being 1 or 3. Captions name elements: `e`, `r90`, `m`, `r90m` (mirror left-right,
    then turn 90 degrees counter-clockwise as displayed); an angle that is not a whole number is rounded, `37°`.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from symdata.errors import ShapeError, one_line
from symdata.groups import Element, Elements, Group
from symdata.pictures.figure import INK, LINE, MIRRORED, PALE, PAPER, TURNED, Picture
from symdata.transforms.action import act

CELL = 84
"""Side of a tile in pixels, roughly: images are enlarged or reduced by a whole factor."""
GAP, MARGIN, LABEL, CAPTION = 6, 16, 150, 17


def choose(labels: np.ndarray, n_classes: int, rows: int = 12, columns: int = 10) -> np.ndarray:
    """Choose images for a contact sheet: the first `columns` of each of at most `rows` classes, spread over all."""
    present = np.flatnonzero(np.bincount(labels, minlength=n_classes))
    shown = present[np.unique(np.linspace(0, len(present) - 1, min(rows, len(present))).round().astype(int))]
    return np.concatenate([np.flatnonzero(labels == c)[:columns] for c in shown] or [np.empty(0, np.int64)])


def contact_sheet(
    images: Tensor | np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    elements: Elements | Sequence[Element],
    *,
    originals: Tensor | None = None,
    rows: int = 12,
    columns: int = 10,
) -> Picture:
    """Draw a grid of images, one row per class, each with the element that moved it.

    Args:
        images: (n, C, H, W) uint8; those that `choose` chooses are enough.
        labels: (n,) class of each image.
        classes: class names.
        elements: n elements.
        originals: (n, C, H, W) the upright images, if known: each row then begins with that of its first image.
        rows: most classes shown.
        columns: most images in a row.
    """
    images, labels = torch.as_tensor(images), np.asarray(labels)
    batch = Elements.of(elements).cpu()
    if not len(images) == len(labels) == len(batch):
        raise ShapeError(
            f"{len(images)} images, {len(labels)} labels and {len(batch)} elements; pass one of each per image"
        )
    picked = choose(labels, len(classes), rows, columns)
    by_class = [(one_line(classes[c]), picked[labels[picked] == c]) for c in dict.fromkeys(labels[picked].tolist())]
    w, h = _tile(images.new_zeros(images.shape[1:])).size
    left = MARGIN + min(LABEL, max((_width(name, 14) for name, _ in by_class), default=0)) + 14
    lead = 0 if originals is None else w + 3 * GAP
    across = max((len(rows) for _, rows in by_class), default=0)
    size = (left + lead + across * (w + GAP) - GAP + MARGIN, 2 * MARGIN + len(by_class) * (h + CAPTION + GAP) - GAP)
    sheet, pen = _blank(size)
    for r, (name, members) in enumerate(by_class):
        y = MARGIN + r * (h + CAPTION + GAP)
        pen.text((left - 14, y + h / 2), _short(name, 14), fill=INK, font=_font(14), anchor="rm")
        if originals is not None:
            _cell(sheet, pen, (left, y), originals[members[0]], "source", PALE)
        for c, i in enumerate(members):
            _cell(sheet, pen, (left + lead + c * (w + GAP), y), images[i], *_caption(batch.one(i)))
    return sheet


def orbit_picture(image: Tensor, group: Group | str, *, resample: str = "auto", mask: str = "auto") -> Picture:
    """Draw one image under every element of a finite group: rotations in the first row, mirrored ones in the second.

    Args:
        image: (C, H, W) uint8.
        group: a finite group, or its name.
        resample, mask: as for `act`.
    """
    if image.ndim != 3:
        raise ShapeError(f"image has shape {tuple(image.shape)}, expected (C, H, W); pass one image, images[0]")
    group = Group.parse(group) if isinstance(group, str) else group
    orbit = act(image[None].expand(len(group.elements), -1, -1, -1), group.elements, resample=resample, mask=mask)
    n, rows, (w, h) = group.rotations or 1, 1 + group.flips, _tile(image).size
    sheet, pen = _blank((2 * MARGIN + n * (w + GAP) - GAP, 2 * MARGIN + rows * (h + CAPTION + GAP) - GAP))
    for k, element in enumerate(group.elements):
        at = MARGIN + k % n * (w + GAP), MARGIN + k // n * (h + CAPTION + GAP)
        _cell(sheet, pen, at, orbit[k], *_caption(element))
    return sheet


def save(picture: Picture, path: Path | str) -> Path:
    """Write a picture as PNG, and return its path."""
    picture.save(path, format="PNG")
    return Path(path)


def _blank(size: tuple[int, int]) -> tuple[Picture, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", size, PAPER)
    return sheet, ImageDraw.Draw(sheet)


def _cell(
    sheet: Picture, pen: ImageDraw.ImageDraw, at: tuple[int, int], image: Tensor, caption: str, colour: str
) -> None:
    tile = _tile(image)
    sheet.paste(tile, at)
    # A thin frame, so that the edge of an image with a white background can be seen.
    pen.rectangle((at[0] - 1, at[1] - 1, at[0] + tile.width, at[1] + tile.height), outline=LINE)
    where = (at[0] + tile.width / 2, at[1] + tile.height + CAPTION / 2 + 1)
    pen.text(where, caption, fill=colour, font=_font(11), anchor="mm")


def _tile(image: Tensor) -> Picture:
    """An image (C, H, W) enlarged by repeating pixels, or reduced by averaging them, by a whole factor."""
    c, h, w = image.shape
    pixels = image.permute(1, 2, 0).cpu().numpy()
    tile = Image.fromarray(pixels[..., 0] if c == 1 else pixels).convert("RGB")
    grow, shrink = max(1, round(CELL / max(h, w))), max(1, round(max(h, w) / CELL))
    return tile.resize((w * grow, h * grow), Image.Resampling.NEAREST) if shrink == 1 else tile.reduce(shrink)


def _caption(element: Element) -> tuple[str, str]:
    """Text under an image, and its colour."""
    whole = abs(element.angle - round(element.angle)) < 1e-3
    text = str(element) if whole else f"{round(element.angle) % 360}°{' m' if element.flip else ''}"
    return text, MIRRORED if element.flip else TURNED if element.angle else PALE


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    """DejaVu Sans from the files of matplotlib, which is not imported."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _width(text: str, size: int) -> int:
    length: float = _font(size).getlength(text)
    return math.ceil(length)


def _short(text: str, size: int) -> str:
    """The text, or as much of it as fits into the column of labels."""
    shorter = (text[:n].rstrip() + "…" for n in range(len(text), -1, -1))
    return next(line for line in (text, *shorter) if _width(line, size) <= LABEL)
