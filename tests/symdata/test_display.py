"""Results as text, as Markdown, as HTML and as plain data."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from symdata.display import Result, Table, plain

TABLE = Table(("element", "share"), [("e", "50 %"), ("r90", "<5 %")], title="Shares", notes=["Of 20 images."])


class Shares(Result):
    def __init__(self, *parts):
        self._parts = parts

    def parts(self):
        return self._parts

    def to_dict(self):
        return {"shares": 2}


def test_a_table_is_left_aligned_text():
    assert str(TABLE).splitlines() == [
        "Shares",
        "element  share",
        "-------  -----",
        "e        50 %",
        "r90      <5 %",
        "Of 20 images.",
    ]


def test_columns_are_as_wide_as_their_longest_cell_and_lines_end_without_spaces():
    table = Table(("a", "b"), [("long cell", ""), ("x", "yy")])
    assert str(table) == "a          b\n---------  --\nlong cell\nx          yy"
    assert str(Table(("alone",), [])) == "alone\n-----"


def test_a_table_is_markdown():
    assert TABLE.markdown.splitlines() == [
        "**Shares**",
        "",
        "| element | share |",
        "| --- | --- |",
        "| e | 50 % |",
        "| r90 | <5 % |",
        "",
        "Of 20 images.",
    ]
    assert "a\\|b" in Table(("x",), [("a|b",)]).markdown


def test_a_table_is_html_with_its_text_escaped():
    html = TABLE._repr_html_()
    assert html.startswith("<table><caption>Shares</caption><thead><tr><th>element</th>")
    assert "<td>&lt;5 %</td>" in html and html.endswith("</table><p>Of 20 images.</p>")
    assert "caption" not in Table(("x",), [])._repr_html_()


def test_a_table_is_plain_data():
    assert TABLE.to_dict() == {
        "title": "Shares",
        "header": ["element", "share"],
        "rows": [["e", "50 %"], ["r90", "<5 %"]],
        "notes": ["Of 20 images."],
    }


def test_rows_have_as_many_cells_as_the_header():
    with pytest.raises(AssertionError, match="bad rows"):
        Table(("a", "b"), [("1",)], title="bad rows")


def test_the_parts_of_a_result_are_separated_and_empty_ones_left_out():
    result = Shares("Two elements.", "", TABLE, "End\nof it.")
    assert str(result) == f"Two elements.\n\n{TABLE}\n\nEnd\nof it."
    assert str(Shares()) == ""


def test_a_notebook_shows_the_same_parts():
    html = Shares("a < b", "", TABLE)._repr_html_()
    assert html == f'<div><p style="white-space: pre-wrap">a &lt; b</p>{TABLE._repr_html_()}</div>'


def test_a_result_must_say_what_there_is_to_read():
    class Silent(Result):
        def to_dict(self):
            return {}

    with pytest.raises(TypeError, match="parts"):
        Silent()


@dataclass(frozen=True)
class Point:
    x: int
    at: Path


@dataclass(frozen=True)
class Route(Result):
    points: tuple[Point, ...]
    by_name: dict[str, Point]

    def parts(self):
        return []

    @property
    def count(self):
        return len(self.points)


class ShortRoute(Route):
    json_fields = ("count", "points")


def test_a_result_is_plain_data_by_its_fields_or_by_the_attributes_that_it_names():
    point = Point(1, Path("here"))
    assert Route((point,), {"a": point}).to_dict() == {
        "points": [{"x": 1, "at": "here"}],
        "by_name": {"a": {"x": 1, "at": "here"}},
    }
    assert list(ShortRoute((point,), {}).to_dict().items()) == [("count", 1), ("points", [{"x": 1, "at": "here"}])]


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "text"])
def test_what_json_knows_stays_as_it_is(value):
    assert plain([value, (value,)]) == [value, [value]]


def test_a_table_is_a_data_frame_whose_numbers_are_numbers():
    rows = [("a", "1,234", "0.50", "0.1", "007"), ("b", "-", "1e-3", "", "8")]
    frame = Table(("name", "images", "share", "+-", "code"), rows).to_pandas()
    assert list(frame.columns) == ["name", "images", "share", "share +-", "code"]
    assert frame["share"].tolist() == [0.5, 1e-3] and frame["images"][0] == 1234 and frame["images"].isna()[1]
    assert frame["code"].tolist() == ["007", "8"], "a name that looks like a number stays as it is"
    assert Table(("a", "b"), []).to_pandas().shape == (0, 2)
    assert Table(("n",), [("1,000",), ("2",)]).to_pandas()["n"].tolist() == [1000, 2]


def test_a_result_is_the_data_frame_of_its_table_or_of_its_own_rows():
    other = Table(("n",), [("1",)])
    found = Shares("text", TABLE, other)
    assert found.to_pandas()["element"].tolist() == ["e", "r90"] and found.to_pandas(1)["n"].tolist() == [1]
    with pytest.raises(IndexError, match=r"table is 2, and this Shares prints 2 tables"):
        found.to_pandas(2)
    assert Shares("text").to_pandas()["shares"].tolist() == [2]

    class Rows(Shares):
        def data_rows(self):
            return [{"share": 1 / 3}]

    assert Rows(TABLE).to_pandas()["share"].tolist() == [1 / 3]
    assert Rows(TABLE).to_pandas(0)["share"].tolist() == ["50 %", "<5 %"]


def test_the_repr_of_a_result_is_one_short_line():
    point = Point(1, Path("here"))
    few, many = Route((point,), {}), Route((point,) * 50, {"a": point})
    assert repr(few) == f"Route(points={(point,)!r}, by_name={{}})"
    assert repr(many) == f"Route(points=<50 entries>, by_name={ {'a': point}!r})"
    assert repr(Shares("x")) == "Shares()"
