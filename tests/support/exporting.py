"""On which torch files of models are tested."""

import pytest
import torch
from packaging.version import Version

from zoo.deployment.formats import OLDEST

exports = pytest.mark.skipif(
    Version(torch.__version__) < Version(OLDEST), reason=f"exporting is supported from torch {OLDEST} on"
)
