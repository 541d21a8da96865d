"""The snippets of the README run, section by section, in the folder of somebody who reads it."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.support.documents import Reader, sections, snippets
from tests.support.hub_server import CLIENT_WARNING, LoopbackHub

pytestmark = [pytest.mark.checkout, pytest.mark.slow, pytest.mark.filterwarnings(CLIENT_WARNING)]

README = ROOT / "README.md"
if not README.exists():
    pytest.skip("the README is in the checkout alone", allow_module_level=True)
SECTIONS = sections(README.read_text(encoding="utf-8"))

BUILDS_ON = {"Thirty seconds of Python": ("symdata",)}
"""Section -> the sections whose files or names it needs."""

AS_USER = "symdata make --symmetry d4-partial --out glyphs"
"""The command that runs in a process of its own; the others run in this one."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader for whom the Hub is the loopback one, where `user` is logged in."""
    folder = tmp_path_factory.mktemp("readme") / "reader"
    folder.mkdir()
    with LoopbackHub() as hub, pytest.MonkeyPatch.context() as patch:
        for name, value in hub.env().items():
            patch.setenv(name, value)
        hub.use_here(patch)
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        reader = Reader(README.read_text(encoding="utf-8"), folder, BUILDS_ON, AS_USER)
        yield reader
        reader.forget_modules()


@pytest.mark.parametrize("title", [title for title, found in SECTIONS.items() if any(s.reason is None for s in found)])
def test_the_snippets_of_a_section_run(title, reader):
    reader.follow(title)
    assert reader.shell_ran == ("symdata" in reader.read)


def test_no_snippet_is_outside_of_a_section():
    every = snippets(README.read_text(encoding="utf-8"))
    assert [snippet for found in SECTIONS.values() for snippet in found] == every
    assert {snippet.language for snippet in every if snippet.reason is None} == {"console", "python"}
    assert Counter(AS_USER in snippet.code for snippet in every)[True] == 1


def test_a_section_builds_on_earlier_ones_only():
    order = list(SECTIONS)
    for title, needed in BUILDS_ON.items():
        assert all(order.index(earlier) < order.index(title) for earlier in needed)
