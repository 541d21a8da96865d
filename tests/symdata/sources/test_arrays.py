"""Arrays of images: layouts, dtypes, and the line that converts what is refused."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from symdata.errors import SourceError
from symdata.sources.arrays import image_stack, label_values
from tests.support.images import noise

COLOUR = noise(4, 5, 7, 3)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (COLOUR, COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR[..., 0], COLOUR[:, None, :, :, 0]),
        (COLOUR[..., :1], COLOUR[:, None, :, :, 0]),
        (np.asfortranarray(COLOUR), COLOUR.transpose(0, 3, 1, 2)),
    ],
)
def test_layouts(values: np.ndarray, wanted: np.ndarray) -> None:
    stack = image_stack(values, "x")
    assert stack.shape == wanted.shape
    found = stack[np.array([3, 0])]
    assert np.array_equal(found, wanted[[3, 0]])
    assert found.flags.c_contiguous


@pytest.mark.parametrize(
    "values",
    [
        COLOUR / 255,
        COLOUR.astype(np.float32),
        COLOUR.astype(np.int64),
        COLOUR.astype(np.uint16) * 257,
        COLOUR.astype(np.int32) * 5000,
        COLOUR > 100,
    ],
)
def test_other_dtypes_are_refused_with_a_line_that_converts_them(values: np.ndarray) -> None:
    with pytest.raises(SourceError, match=rf"x holds {values.dtype} values of shape \(4, 5, 7, 3\)") as caught:
        image_stack(values, "x")
    line = str(caught.value).split("as from ")[1]
    assert image_stack(eval(line, {"images": values}), "x").shape == (4, 3, 5, 7)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (noise(4, 784), r"shape \(4, 784\); expected .*; reshape rows of pixels, as in images.reshape\(-1, 28, 28\)"),
        (noise(4, 5, 7, 4), r"\(4, 5, 7, 4\); expected .*; drop the alpha channel, as in images\[\.\.\., :3\]"),
        (noise(4, 3, 9, 3), r"\(4, 3, 9, 3\); expected .*, and this is ambiguous"),
        (noise(4, 9, 9, 9), r"\(4, 9, 9, 9\); expected .*, and this is none of images"),
        (noise(4, 0, 9), r"shape \(4, 0, 9\); expected uint8 images \(n, H, W\)"),
        (np.array(["a"]), r"holds <U1 values of shape \(1,\); expected uint8 images"),
    ],
)
def test_other_shapes_are_refused(values: np.ndarray, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        image_stack(values, "x")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.array([3, 7], np.uint8), [3, 7]),
        (np.array([[3], [7]]), [3, 7]),
        (np.array(["b", "a"]), ["b", "a"]),
        (np.array([True, False]), [True, False]),
    ],
)
def test_labels(values: np.ndarray, wanted: list[object]) -> None:
    assert label_values(values, "y") == wanted


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            np.zeros((2, 14), int),
            r"y holds 14 labels an image \(shape \(2, 14\)\), .* labels\[:, 0\], .* labels.argmax",
        ),
        (np.zeros((2, 1, 1), int), r"y has shape \(2, 1, 1\); expected one label an image"),
        (np.array([0.0, 1.0]), r"labels of type float64; expected integers or text, as from labels.astype\('int64'\)"),
        (np.array([b"a", b"b"]), r"labels of type \|S1; expected integers or text, as from labels.astype\(str\)"),
    ],
)
def test_other_labels_are_refused(values: np.ndarray, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        label_values(values, "y")


def test_a_mapped_file_is_not_copied_into_another_process(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", noise(300, 9, 9))
    mapped = image_stack(np.load(tmp_path / "x.npy", mmap_mode="r"), "x")
    sent = pickle.dumps(mapped)
    assert len(sent) < 1000 < len(pickle.dumps(image_stack(noise(300, 9, 9), "x")))
    assert np.array_equal(pickle.loads(sent)[np.array([7])], noise(300, 9, 9)[7][None, None])
