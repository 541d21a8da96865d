"""What was recorded says what the documents say of it, and can be rendered again."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.commands import run
from zoo.files import bundled
from zoo.report import compared, read_record

pytestmark = pytest.mark.checkout

AUDITS = ROOT / "docs/results/audits"
if not AUDITS.is_dir():
    pytest.skip("the records are in the checkout alone", allow_module_level=True)
LEADERBOARD = ROOT / "docs/results/leaderboard/leaderboard.json"
ROW = re.compile(
    r"^\| \[[^]]+\]\((?P<file>\w+\.txt)\).*\| (?P<images>[\d,]+) \| (?P<degree>[^|]+) \| (?P<closest>[^|]+) \| "
    r"(?P<told>[^|]+) \|"
)


def audits() -> list[re.Match[str]]:
    """The rows of the table."""
    lines = (AUDITS / "README.md").read_text(encoding="utf-8").splitlines()
    return [match for match in map(ROW.match, lines) if match]


def test_every_audit_stands_in_the_table():
    assert sorted(row["file"] for row in audits()) == sorted(path.name for path in AUDITS.glob("*.txt"))


@pytest.mark.parametrize("row", audits(), ids=lambda row: Path(row["file"]).stem)
def test_an_audit_says_what_the_table_says(row):
    said = (AUDITS / row["file"]).read_text(encoding="utf-8")
    assert said.startswith(f"Symmetry audit of {row['images']} images of data/{Path(row['file']).stem} (train)")
    whole = " ".join(said.split())
    assert f"Degree of symmetry under d4: by shapes at most {row['degree']}" in whole
    assert re.search(rf"at most, by view: gray {row['degree']}, .*together {row['closest']}", whole)
    for element, percent in re.findall(r"(\w+): (\d+) %", row["told"]):
        assert f"{element} is told with {percent}% accuracy" in whole


def page_of_the_leaderboard() -> str:
    return LEADERBOARD.with_name("README.md").read_text(encoding="utf-8")


def table_of_the_page() -> str:
    page = page_of_the_leaderboard()
    start = page.index("| model | parameters |")
    return page[start : page.index("\n\n", start) + 1]


def test_the_leaderboard_of_the_page_is_what_was_recorded():
    record = read_record(LEADERBOARD)
    assert {entry.name for entry in record.entries} == {name for name in bundled() if ".mnist-" in name}
    assert table_of_the_page() == compared(record.entries)
    assert (LEADERBOARD.with_suffix(".md")).read_text(encoding="utf-8") == compared(record.entries)
    assert f"$ {record.command}" in page_of_the_leaderboard()


def test_the_readme_shows_rows_of_the_leaderboard():
    header, _, *rows = [line.strip("| \n").split(" | ") for line in table_of_the_page().splitlines()]
    columns = [header.index(name) for name in ("at its size", "upright", "all angles")]
    recorded = {row[0]: " | ".join(row[k] for k in columns) for row in rows}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| (\w+\.mnist-\w+) \| (.+) \|$", readme, re.MULTILINE))
    assert len(shown) == 3 and shown.items() <= recorded.items()


@pytest.mark.parametrize(
    ("page", "record", "count"), [("the-paper-again", "using-and-abusing", 56), ("learned-degree", "degree", 18)]
)
def test_what_a_page_says_with_its_deviation_stands_in_the_record(page, record, count):
    folder = ROOT / "docs" / "results"
    text = (folder / f"{page}.md").read_text(encoding="utf-8")
    recorded = (folder / record / "README.md").read_text(encoding="utf-8")
    shown = [value.replace(" ", "") for value in re.findall(r"-?\d+\.\d+ ± \d+\.\d+", text)]
    assert len(shown) == count and not [value for value in shown if value not in recorded]


def test_the_leaderboard_is_rendered_again_from_its_numbers(tmp_path):
    page = tmp_path / "leaderboard.html"
    result = run("report", LEADERBOARD, "-o", page, "--compare")
    assert result.exit_code == 0, result.output
    assert result.stdout == table_of_the_page()
    assert page.with_suffix(".json").read_bytes() == LEADERBOARD.read_bytes()
    html = page.read_text(encoding="utf-8")
    assert all(f"{100 * entry.report.upright.value:.2f}" in html for entry in read_record(LEADERBOARD).entries)


def test_the_leaderboard_agrees_with_the_cards():
    """The evaluations that the models came with were made by another command, on the same images."""
    import json

    from zoo.files import bundled_folder

    for entry in read_record(LEADERBOARD).entries:
        card = json.loads((bundled_folder(entry.name) / "evaluation.json").read_text(encoding="utf-8"))
        assert [s.rate.correct for s in entry.report.elements] == pytest.approx(
            [e["correct"] for e in card["elements"]], abs=2
        )
