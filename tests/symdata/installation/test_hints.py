"""The lines that install an extra: they work in a clone and beside an installed wheel, and name no package index."""

import sys

import pytest
from packaging.requirements import Requirement

from symdata.installation import hints
from symdata.installation.hints import install_line
from tests.conftest import ROOT

DECLARED = {
    "": [Requirement("torch>=2.5")],
    "train": [Requirement("accelerate>=1.10; extra == 'train'")],
    "trackers": [Requirement("symdata[train]"), Requirement("trackio>=0.20")],
}


@pytest.mark.checkout
def test_a_clone_is_installed_with_the_extra():
    assert install_line("train") == f"{sys.executable} -m pip install -e '{ROOT}[train]'"


@pytest.mark.parametrize(
    ("extra", "needs"), [("train", '"accelerate>=1.10"'), ("trackers", '"accelerate>=1.10" "trackio>=0.20"')]
)
def test_elsewhere_what_the_extra_needs_is_installed(extra, needs, tmp_path, monkeypatch):
    monkeypatch.setattr(hints, "CLONE", tmp_path)
    monkeypatch.setattr(hints, "declared", lambda name: DECLARED)
    assert install_line(extra) == f"{sys.executable} -m pip install {needs}"


def test_without_a_clone_and_not_installed_the_line_is_that_of_a_clone(tmp_path, monkeypatch):
    monkeypatch.setattr(hints, "CLONE", tmp_path)
    monkeypatch.setattr(hints, "declared", lambda name: {})
    assert install_line("train") == f"{sys.executable} -m pip install -e '.[train]'"
