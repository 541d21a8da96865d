"""`symdata card`: a card rendered again by anyone, and what it refuses."""

import pytest
from click.testing import CliRunner

from cli.card import command
from symdata.errors import SymdataError
from tests.support import checkpoints
from tests.support.checkpoints import edit
from tests.support.folders import contents
from tests.support.reports import evaluation
from tests.support.training import dataset
from zoo.checkpoint.folder import write_evaluation

folder, whole = checkpoints.folder, checkpoints.whole


def card(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def refused(*arguments):
    """The sentence that the group of commands turns into one line on stderr."""
    result = card(*arguments)
    assert result.exit_code == 1 and isinstance(result.exception, SymdataError), result.output
    assert result.stdout == "" and "\n" not in str(result.exception)
    return str(result.exception)


def test_it_renders_the_card_and_says_what_it_wrote(folder, whole):
    (folder / "README.md").unlink()
    result = card(folder)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {folder / 'README.md'}\n"
    assert contents(folder) == contents(whole)


def test_it_draws_the_picture_too(folder):
    write_evaluation(folder, evaluation())
    before = contents(folder)
    (folder / "polar.png").write_bytes(b"")
    (folder / "README.md").unlink()
    result = card(folder)
    assert result.stderr == f"wrote {folder / 'README.md'}\nwrote {folder / 'polar.png'}\n"
    assert contents(folder) == before


def test_print_writes_to_stdout_only(folder):
    write_evaluation(folder, evaluation())
    said = (folder / "README.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text("library_name: symdata, but another card")
    before = contents(folder)
    result = card(folder, "--print")
    assert (result.exit_code, result.stdout, result.stderr) == (0, said, "")
    assert contents(folder) == before


def test_a_dataset_is_refused(tmp_path):
    place = dataset(tmp_path / "squares", count=12)
    before = contents(place)
    assert f"{str(place)!r} is a dataset, whose card `symdata make` writes; give the folder of a model" == refused(
        place
    )
    assert refused(place, "--print") == refused(place)
    assert contents(place) == before


def test_other_folders_are_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "has no config.json, so it is not a model" in refused(tmp_path / "empty")
    (folder / "evaluation.json").write_text('{"upright": 1}')
    assert "evaluation.json' is no evaluation: the report has format None" in refused(folder)
    (folder / "evaluation.json").unlink()
    (folder / "README.md").write_text("# My own notes")
    assert "has a README.md that is not of a symdata model" in refused(folder)
    assert (folder / "README.md").read_text() == "# My own notes"
    edit(folder, lambda config: config.update(name="other"), seal=False)
    assert "was changed after it was written" in refused(folder)
    assert card(tmp_path / "nowhere").exit_code == 2


@pytest.mark.parametrize("option", ["--help"])
def test_help(option):
    result = card(option)
    assert result.exit_code == 0 and "--print" in result.stdout and "symdata card runs/mine" in result.stdout
