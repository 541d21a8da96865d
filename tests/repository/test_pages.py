"""The pages of docs: their snippets run in order, each page in a fresh folder, and print what they show.

The pages of docs/methods have tests of their own, and so have the tutorials; the records in docs/results are generated.
"""

import re

import pytest

from tests.conftest import ROOT
from tests.support.documents import Reader, sections, snippets
from tests.support.hub_server import CLIENT_WARNING, LoopbackHub

pytestmark = [pytest.mark.checkout, pytest.mark.slow, pytest.mark.filterwarnings(CLIENT_WARNING)]

DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("the pages are in the checkout alone", allow_module_level=True)
FOLDERS = ("howto", "reference", "results", "results/leaderboard")
PAGES = sorted(path.relative_to(DOCS).as_posix() for folder in FOLDERS for path in DOCS.joinpath(folder).glob("*.md"))
PAGES.remove("results/leaderboard/leaderboard.md")  # generated


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.fixture
def hub(monkeypatch):
    """The loopback Hub, where `user` is logged in."""
    with LoopbackHub() as hub:
        for name, value in hub.env().items():
            monkeypatch.setenv(name, value)
        hub.use_here(monkeypatch)
        yield hub


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("page", [page for page in PAGES if snippets(text_of(page))])
def test_a_page_can_be_followed(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    reader = Reader(text_of(page), tmp_path, title=page)
    try:
        for title in sections(text_of(page)):
            reader.follow(title)
    finally:
        reader.forget_modules()
    assert [snippet for found in sections(text_of(page)).values() for snippet in found] == snippets(text_of(page))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_its_python_prints_and_says_why_a_snippet_is_not_run(page):
    found = snippets(text_of(page))
    for snippet in found:
        assert snippet.reason is None or snippet.reason.strip(), f"line {snippet.line} does not say why"
        assert snippet.shown or "print(" not in snippet.code, f"line {snippet.line} prints and does not show what"


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text_of(page)) if "://" not in link]
    here = DOCS.joinpath(page).parent
    assert not [link for link in links if not here.joinpath(link.partition("#")[0]).exists()]


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("howto/") and "README" not in page])
def test_the_readme_and_the_index_lead_to_a_how_to(page):
    assert f"](docs/{page}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"({page.removeprefix('howto/')})" in text_of("howto/README.md")
