"""Small parquet files with columns beside image and label."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def write_cells(path: Path, n: int, **extra: Any) -> Path:
    """A parquet file of n images, 8x8, each of another gray level, of two classes in turn, with more columns."""
    columns = {"image": [_png(5 * i) for i in range(n)], "label": [i % 2 for i in range(n)], **extra}
    pq.write_table(pa.table(columns), path)
    return path


def _png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(file, "PNG")
    return file.getvalue()
