"""The options that a dataclass of declared fields becomes."""

from dataclasses import MISSING, dataclass

import click
import pytest
from click.testing import CliRunner

from cli.options.fields import field_options
from symdata.fields import FLAG, declare, one_of, real, several, text, whole

ASKED = []


def late():
    ASKED.append(True)
    return ["red", "blue"]


@dataclass(frozen=True, kw_only=True)
class Example:
    source: str = declare(MISSING, text(), "Where from.")
    out_folder: str | None = declare(None, text(), "Where to.", none="here")
    count: int = declare(3, whole(1, 9), "How many.")
    share: float = declare(0.1, real(0, 1), "A share.")
    colour: str = declare("red", one_of(source=late), "A colour.")
    widths: int | tuple[int, ...] = declare(3, several(whole(1, 9), (1, 2), "two"), "Widths.")
    flag: bool = declare(True, FLAG, "Whether.")


@click.command()
@field_options(Example, {"out_folder": click.Path()}, ("out_folder", "count", "share", "colour", "widths", "flag"))
def command(**given):
    click.echo(repr({name: value for name, value in given.items() if value is not None}))


def run(*words):
    return CliRunner().invoke(command, list(words))


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], {}),
        (["--count", "4"], {"count": 4}),
        (["--share", "1e-3", "--out-folder", "x"], {"share": 0.001, "out_folder": "x"}),
        (["--widths", "4"], {"widths": 4}),
        (["--widths", "4,5"], {"widths": [4, 5]}),
        (["--no-flag"], {"flag": False}),
        (["--colour", "blue"], {"colour": "blue"}),
    ],
)
def test_what_is_given_arrives_in_its_type(words, given):
    assert run(*words).output == f"{given!r}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--count", "x"], "'x' is not a valid integer"),
        (["--widths", "a"], "'a' is no list of numbers; write 10, or 16,32,64"),
        (["--colour", "green"], "'green' is not one of 'red', 'blue'"),
        (["--source", "x"], "No such option"),
    ],
)
def test_a_word_that_is_no_value_is_wrong_usage(words, sentence):
    result = run(*words)
    assert result.exit_code == 2 and sentence in result.output


def test_the_help_has_every_sentence_and_default_in_the_order_of_the_fields():
    text = " ".join(run("--help").output.split())
    wanted = [
        "--out-folder PATH Where to. [here]", "--count INTEGER How many. [3]", "--share FLOAT A share. [0.1]",
        "--colour [red|blue] A colour. [red]", "--widths NUMBERS Widths. [3]", "--flag / --no-flag Whether. [yes]",
    ]  # fmt: skip
    assert [text.index(sentence) for sentence in wanted] == sorted(text.index(sentence) for sentence in wanted)


def test_words_are_asked_for_late():
    ASKED.clear()
    run("--count", "4")
    assert not ASKED
