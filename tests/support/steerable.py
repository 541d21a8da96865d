"""The one place of the tests that imports escnn: the independent oracle for our conventions."""

import importlib
import os
import warnings
from importlib.util import find_spec
from types import ModuleType

import pytest
import torch
from torch import nn

from symdata.installation.lie_learn import stand_in


def require_escnn() -> ModuleType:
    """The module escnn, with its `group`, `gspaces` and `nn` loaded.

    Skips the calling test or test module where escnn is not installed, which is allowed on a base install only:
    `make wheel-test` says so with SYMDATA_WITHOUT_ESCNN=1. In CI a missing escnn is a failure otherwise, and an escnn
    that is installed but does not import always is.
    """
    if find_spec("escnn") is None:
        reason = "escnn is not installed: `make test` installs it without Fortran"
        if os.environ.get("CI") == "true" and os.environ.get("SYMDATA_WITHOUT_ESCNN") != "1":
            raise ModuleNotFoundError(reason)
        pytest.skip(reason, allow_module_level=True)
    stand_in()
    with warnings.catch_warnings():
        # said once at import; py3nj speeds up SO(3), which acts on no plane
        warnings.filterwarnings("ignore", message="`py3nj` package not found", category=UserWarning)
        escnn = importlib.import_module("escnn")
        for part in ("group", "gspaces", "nn"):
            importlib.import_module(f"escnn.{part}")
    return escnn


def pooling_classifier(kind: str) -> nn.Module:
    """A small classifier of escnn in eval mode, with one of its modules that put their results into float32 tensors."""
    escnn = require_escnn()
    enn = escnn.nn
    torch.manual_seed(0)
    space = escnn.gspaces.rot2dOnR2(8)
    given = enn.FieldType(space, [space.trivial_repr])
    fields = 2 * [space.regular_repr]
    if kind in ("NormPool", "NormMaxPool", "GatedNonLinearity1"):
        fields = 2 * [space.trivial_repr] + 2 * [space.irrep(1)]
        fields = fields if kind == "GatedNonLinearity1" else fields[2:]
    inner = enn.FieldType(space, fields)
    last = getattr(enn, kind)(inner, *([3] if kind == "NormMaxPool" else []))
    body = enn.SequentialModule(
        enn.R2Conv(given, inner, 5, padding=2), last, enn.R2Conv(last.out_type, inner, 5, padding=2)
    )

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.in_type, self.body, self.head = given, body, nn.Linear(body.out_type.size, 3)

        def forward(self, x):
            return self.head(self.body(given(x)).tensor.mean((-2, -1)))

    return Net().eval()
