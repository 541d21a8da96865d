"""An image that the reader turns: a slider, a play button, and what each model says at every angle.

The templates are `slider.html.j2`, `slider.css` and `slider.js` in the folder `cards`. Everything is inside: the
pictures are one sprite, and nothing is fetched. Where scripts do not run, the pictures stand side by side.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from math import ceil, sqrt
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image, features

from symdata.display import template
from symdata.errors import ShapeError

STILLS = 12
"""Pictures side by side, at most."""
LARGE = 64 << 10
"""Bytes of a lossless sprite; a larger one, of photographs, is compressed with losses that nobody sees."""
QUALITY = 80
"""Of the WebP of such a sprite."""

Answers = Mapping[str, Sequence[tuple[str, float]]]
"""Name of a model -> its label and the probability of it, in [0, 1], for every picture."""


@cache
def script() -> str:
    """The script of all sliders on a page."""
    return template("slider.js").render().strip()


@cache
def style() -> str:
    """The style of all sliders on a page; it changes nothing else."""
    return template("slider.css").render().strip()


def slider(
    pictures: Any, views: Sequence[str], answers: Answers, label: str | None = None, *, alone: bool = True
) -> str:
    """The HTML of one image that the reader turns.

    Args:
        pictures: uint8 (n, C, h, w) with 1 or 3 channels, tensor or array: a picture for each position of the slider.
        views: what each position is called, as in `90°`.
        answers: what the models say.
        label: the true class, where it is known; answers are then marked as right or wrong.
        alone: whether style and script come with it; a page with several sliders has them once.

    Raises:
        ShapeError: unless there is a picture, a name, and an answer of each model for every position.

    Example:
        >>> import numpy as np
        >>> pictures = np.zeros((2, 1, 8, 8), np.uint8)
        >>> html = slider(pictures, ("0°", "90°"), {"mine": [("cat", 0.9), ("dog", 0.6)]}, "cat")
        >>> html.count("<figure"), "http" in html, "90°: mine says dog, 60.0 %" in html
        (1, False, True)
    """
    array = np.asarray(pictures)
    if array.ndim != 4 or array.dtype != np.uint8 or array.shape[1] not in (1, 3) or not array.size:
        raise ShapeError(f"pictures are {array.dtype} {array.shape}, expected uint8 (n, C, h, w) with 1 or 3 channels")
    for name, rows in (("views", views), *answers.items()):
        if len(rows) != len(array):
            raise ShapeError(f"{name!r} has {len(rows)} entries for {len(array)} pictures, expected one for each")
    count, _, height, width = array.shape
    columns = ceil(sqrt(count))
    sprite = data_uri(tiled(array, columns))
    what = "An image" if label is None else f"An image of class {label}"
    labels = list(
        dict.fromkeys([*([] if label is None else [label]), *(a for row in answers.values() for a, _ in row)])
    )
    said = [[(labels.index(a), round(1000 * p)) for a, p in row] for row in answers.values()]
    facts = {"columns": columns, "size": (width, height), "what": what, "views": list(views)}
    facts |= {"labels": labels, "said": said, "truth": -1 if label is None else 0}
    shown = range(0, count, ceil(count / STILLS))
    spoken = {k: "; ".join(f"{m} says {row[k][0]}, {_percent(row[k][1])}" for m, row in answers.items()) for k in shown}
    return template("slider.html.j2", autoescape=True).render(
        key=f"s{hashlib.sha256((sprite + str(facts)).encode()).hexdigest()[:10]}",
        data=json.dumps(facts, ensure_ascii=False, separators=(",", ":")),
        sprite=sprite,
        what=what,
        width=columns * width,
        height=ceil(count / columns) * height,
        views=views,
        stills=[
            {
                "box": f"{k % columns * width} {k // columns * height} {width} {height}",
                "view": views[k],
                "text": f"{what}, {views[k]}: {spoken[k]}",
            }
            for k in shown
        ],
        models=[{"name": name, "cells": [_cell(*row[k], label) for k in shown]} for name, row in answers.items()],
        style=Markup(style()) if alone else "",
        script=Markup(script()) if alone else "",
    )


def slider_page(title: str, body: str) -> str:
    """A page of sliders, made with `alone=False`, that asks no network for anything and runs no other script.

    Example:
        >>> slider_page("Mine", "<p>none</p>").count("<h1>Mine</h1>")
        1
    """
    styles = "body { margin: 0 auto; max-width: 54rem; padding: 1rem; font-family: system-ui, sans-serif; }\n" + style()
    return template("slider_page.html.j2", autoescape=True).render(
        title=title, body=Markup(body), policy=policy(script(), styles), style=Markup(styles), script=Markup(script())
    )


def policy(scripts: str, styles: str) -> str:
    """The Content-Security-Policy of a page with this one script and this one style: everything else is refused.

    Example:
        >>> policy("", "").partition(";")[0]
        "default-src 'none'"
    """
    code, look = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (scripts, styles))
    return (
        f"default-src 'none'; img-src data:; script-src 'sha256-{code}'; style-src 'sha256-{look}'; "
        "base-uri 'none'; form-action 'none'"
    )


def tiled(pictures: Any, columns: int) -> Image.Image:
    """Pictures uint8 (n, C, h, w) in rows of `columns`."""
    count, channels, height, width = pictures.shape
    rows = ceil(count / columns)
    sheet = np.zeros((rows * columns, channels, height, width), np.uint8)
    sheet[:count] = pictures
    sheet = sheet.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * height, columns * width, channels)
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)


def data_uri(picture: Image.Image) -> str:
    """A picture as a data URI: WebP, or PNG where Pillow has no WebP."""
    kind = "webp" if features.check("webp") else "png"
    content = _saved(picture, kind, lossless=True, method=6) if kind == "webp" else _saved(picture, kind, optimize=True)
    if len(content) > LARGE and kind == "webp":
        content = _saved(picture, kind, quality=QUALITY, method=6)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, format=kind.upper(), **options)
    return file.getvalue()


def _cell(answer: str, probability: float, label: str | None) -> dict[str, str]:
    mark = "" if label is None else "right" if answer == label else "wrong"
    return {"label": answer, "share": _percent(probability), "mark": mark}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
