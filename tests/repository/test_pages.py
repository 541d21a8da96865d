"""The pages of docs/howto: their snippets run in order, each page in a fresh folder, and print what they show."""

import re

import pytest

from tests.conftest import ROOT
from tests.support.documents import Reader, sections, snippets

pytestmark = [pytest.mark.checkout, pytest.mark.slow]

FOLDER = ROOT / "docs" / "howto"
if not FOLDER.is_dir():
    pytest.skip("the pages are in the checkout alone", allow_module_level=True)
PAGES = sorted(path.name for path in FOLDER.glob("*.md"))


def text_of(page):
    return (FOLDER / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
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
    assert {snippet.language for snippet in found if snippet.reason is None} == {"console", "python"}
    for snippet in found:
        assert snippet.reason is None or snippet.reason.strip(), f"line {snippet.line} does not say why"
        assert snippet.shown or "print(" not in snippet.code, f"line {snippet.line} prints and does not show what"


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere_and_the_readme_leads_to_it(page):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text_of(page)) if "://" not in link]
    assert not [link for link in links if not (FOLDER / link.partition("#")[0]).exists()]
    assert f"(docs/howto/{page})" in (ROOT / "README.md").read_text(encoding="utf-8")
