"""The reference has a place for every public name and every command, and the site one for every page."""

import importlib
import inspect
import re

import pytest
import yaml

import symdata
from cli.main import COMMANDS
from tests.conftest import ROOT

pytestmark = pytest.mark.checkout

DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("the reference is in the checkout alone", allow_module_level=True)
DIRECTIVE = re.compile(r"^\.\. (?:auto\w+|click):: (\S+)$", re.MULTILINE)


def documented(page):
    return DIRECTIVE.findall((DOCS / "reference" / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize(("page", "face"), [("symdata.md", "symdata"), ("zoo.md", "zoo"), ("layers.md", "zoo.layers")])
def test_every_public_name_stands_once_in_the_reference(page, face):
    module = importlib.import_module(face)
    names = getattr(module, "__all__", None)
    if names is None:
        names = [name for name, value in vars(module).items() if not (name[0] == "_" or inspect.ismodule(value))]
    found = [name.replace("zoo.report.report", "zoo.report") for name in documented(page)]
    assert sorted(found) == sorted(f"{face}.{name}" for name in names)


def test_every_command_stands_in_the_reference_in_its_order():
    assert documented("cli.md") == [f"cli.{name}:command" for name in COMMANDS]
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[`(\w+)`\]\(#cli-\w+\) \| (.+) \|$", text, re.MULTILINE) == list(COMMANDS.items())


def test_every_page_stands_in_the_site():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for folder in ("howto", "reference"):
        pages = {f"{folder}/{path.stem}" for path in (DOCS / folder).glob("*.md")}
        assert pages == set(re.findall(rf"\b{folder}/[\w-]+", index))


def test_the_citation_is_of_this_version_and_license():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (symdata.__version__, "Apache-2.0")


def test_the_templates_of_issues_ask_for_the_doctor():
    templates = [yaml.safe_load(path.read_text("utf-8")) for path in ROOT.glob(".github/ISSUE_TEMPLATE/[!c]*.yml")]
    assert len(templates) == 2 and all("symdata doctor" in str(template["body"]) for template in templates)
