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
DIRECTIVE = re.compile(r"^\.\. (?:auto\w+|py:data|click):: (\S+)$", re.MULTILINE)


def documented(page):
    return DIRECTIVE.findall((DOCS / "reference" / page).read_text(encoding="utf-8"))


def public(face):
    """Name -> value of what a package hands on; of its modules only those that may be called."""
    module = importlib.import_module(face)
    names = getattr(module, "__all__", None) or [name for name in vars(module) if name[0] != "_"]
    found = {name: getattr(module, name) for name in names}
    return {name: value for name, value in found.items() if callable(value) or not inspect.ismodule(value)}


FACES = ["symdata", "zoo", "zoo.alignment", "zoo.layers", "zoo.measure", "zoo.pretraining", "zoo.training"]


@pytest.mark.parametrize("face", FACES)
def test_every_public_name_stands_once_in_the_reference(face):
    names, of_zoo = public(face), public("zoo")
    stands = [re.sub(r"\b(\w+)\.\1$", r"\1", name) for name in documented(f"{face.removeprefix('zoo.')}.md")]
    elsewhere = {name for name in names if face != "zoo" and names[name] is of_zoo.get(name)} - {"act_on_features"}
    assert sorted(stands) == sorted(f"{face}.{name}" for name in names if name not in elsewhere)


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
