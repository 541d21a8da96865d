"""The pages of docs/methods: their python runs, their trainings can be prepared, and every method has one."""

import re

import pytest

from symdata.recipes.spec import Spec
from symdata.store import make
from tests.conftest import ROOT
from tests.support.commands import run
from tests.support.documents import commands, snippets
from zoo.layers.relaxed import RELAXATIONS

pytestmark = pytest.mark.checkout

FOLDER = ROOT / "docs" / "methods"
if not FOLDER.is_dir():
    pytest.skip("the pages are in the checkout alone", allow_module_level=True)
PAGES = sorted(path.name for path in FOLDER.glob("*.md") if path.name != "README.md")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    make(Spec(source="glyphs:digits", size=28, count=160, symmetry="none"), folder / "data")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_its_python_runs_and_its_trainings_can_begin(page, reader, monkeypatch):
    monkeypatch.chdir(reader)
    text, found = (FOLDER / page).read_text(encoding="utf-8"), {"console": 0, "python": 0}
    namespace = {"__name__": "page"}
    for snippet in snippets(text):
        found[snippet.language] += 1
        if snippet.language == "python":
            exec(compile(snippet.code, page, "exec"), namespace)
            continue
        for command in commands(snippet.code):
            words = command.split()[1:]
            if words[0] == "train":
                result = run(*words, "--dry-run")
                assert result.exit_code == 0, result.output
                model = re.search(r"would be written to (\S+)", result.output)[1]
            elif words[0] in ("pretrain", "measure"):
                result = run(*words)
                assert result.exit_code == 0, result.output
            else:
                assert words[:2] == ["degree", model], f"{page} looks at another model than it trains"
    assert found["console"] and found["python"]


def test_every_method_has_its_page_and_stands_in_the_index():
    names = {"free": "dynamics"}  # filters that are free are there for what becomes of them
    assert {names.get(word, word) for word in RELAXATIONS} <= {page.removesuffix(".md") for page in PAGES}
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == set(PAGES)


@pytest.mark.parametrize("page", ["README.md", *PAGES])
def test_its_links_lead_somewhere(page):
    text = (FOLDER / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert not [link for link in links if not (FOLDER / link.partition("#")[0]).exists()]
