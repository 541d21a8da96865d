"""On which torch files of models are tested."""

import pytest
import torch
from packaging.version import Version

OLDEST = "2.13"
"""The oldest torch on which exporting is known to work: the ONNX exporter of 2.6 fails on batch norms, and its program
of a model of transformers does not trace."""
exports = pytest.mark.skipif(
    Version(torch.__version__) < Version(OLDEST), reason=f"exporting is supported from torch {OLDEST} on"
)
