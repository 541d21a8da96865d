"""Figures show themselves in a notebook, without pyplot."""

import io
import sys

import numpy as np
from PIL import Image

from symdata.pictures.figure import as_picture, new_figure


def test_a_figure_is_its_own_picture():
    figure = new_figure(2.0, 1.0)
    figure.add_subplot().plot([0, 1], [1, 0])
    shown = Image.open(io.BytesIO(figure._repr_png_()))
    assert np.array_equal(np.asarray(shown), np.asarray(as_picture(figure))) and shown.size == (220, 110)
    other = new_figure(2.0, 1.0)
    assert type(other) is type(figure) and not np.array_equal(np.asarray(as_picture(other)), np.asarray(shown))
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
