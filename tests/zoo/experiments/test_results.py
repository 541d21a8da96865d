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


def readme_table() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = readme.index("| model | parameters |")
    return readme[start : readme.index("\n\n", start) + 1]


def test_the_leaderboard_of_the_readme_is_what_was_recorded():
    record = read_record(LEADERBOARD)
    assert {entry.name for entry in record.entries} == {name for name in bundled() if ".mnist-" in name}
    assert readme_table() == compared(record.entries)
    assert (LEADERBOARD.with_suffix(".md")).read_text(encoding="utf-8") == compared(record.entries)
    assert f"$ {record.command}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_leaderboard_is_rendered_again_from_its_numbers(tmp_path):
    page = tmp_path / "leaderboard.html"
    result = run("report", LEADERBOARD, "-o", page, "--compare")
    assert result.exit_code == 0, result.output
    assert result.stdout == readme_table()
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
