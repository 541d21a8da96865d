"""The one place of the tests that imports escnn: the independent oracle for our conventions."""

import importlib
import os
import warnings
from importlib.util import find_spec
from types import ModuleType

import pytest

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
