"""Draws docs/orbits.png, the picture of the README: `python docs/orbits.py`."""

from pathlib import Path

import numpy as np
from PIL import Image

from symdata import open_source
from symdata.pictures.contact_sheet import orbit_picture


def main() -> None:
    """R under d4 (pixels permuted), F under c8 (every image resampled alike)."""
    source = open_source("glyphs:RF", size=84)
    r, f = source.read("train", np.array([6, 11]))
    pictures = [orbit_picture(r, "d4"), orbit_picture(f, "c8")]
    width = max(picture.width for picture in pictures)
    sheet = Image.new("RGB", (width, sum(picture.height for picture in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, ((width - picture.width) // 2, top))
        top += picture.height
    sheet.save(Path(__file__).with_name("orbits.png"))


if __name__ == "__main__":
    main()
