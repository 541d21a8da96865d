"""The readers of tables in text: every text comes back as it was written, whatever separates it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symdata.sources.rows import other_columns, read_rows

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20)
labels = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)


@given(
    st.lists(st.tuples(names, labels, st.text(st.characters(exclude_categories=["Cs"]))), min_size=1, max_size=5),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_is_kept(
    tmp_path: Path, rows: list[tuple[str, str, str]], separator: str, end: str, quoting: Any
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting).writerows(
        [("path", "label", "x"), *rows]
    )
    path = tmp_path / "t.csv"
    path.write_bytes(text.getvalue().encode())
    found = read_rows(path)
    wanted = {"path": [a for a, _, _ in rows], "label": [b for _, b, _ in rows], "x": [c or None for _, _, c in rows]}
    assert found.columns == wanted
    assert found.lines == sorted(set(found.lines))


@given(st.lists(st.tuples(names, labels), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_json_text_is_kept(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "t.jsonl"
    lines = (json.dumps({"image": a, "label": b}, ensure_ascii=k % 2 == 0) for k, (a, b) in enumerate(rows))
    path.write_text("\n".join(lines), "utf-8", newline="")
    assert read_rows(path).columns == {"image": [a for a, _ in rows], "label": [b for _, b in rows]}


@pytest.mark.parametrize(
    ("values", "textual", "kind"),
    [
        (["1", None, "-20"], True, "int64"),
        (["1.5", "2"], True, "double"),
        (["007", "1"], True, "string"),
        (["1", "nan"], True, "string"),
        ([None, None], True, "string"),
        ([1, 2.5, None], False, "double"),
        ([True, False], False, "bool"),
        (["a", None], False, "string"),
        ([[1, 2], [], None], False, "list<item: int64>"),
        ([1, "a"], False, "string"),
        ([1, True], False, "string"),
        ([{"a": 1}, {}], False, "string"),
        ([2**70, 1], False, "string"),
        ([[1], 2], False, "string"),
        ([[], []], False, "string"),
    ],
)
def test_types_of_other_columns(values: list[Any], textual: bool, kind: str) -> None:
    found = other_columns({"x": values}, {"train": 1, "test": len(values) - 1}, textual)
    assert str(found["test"].schema.field("x").type) == kind
    assert [len(table) for table in found.values()] == [1, len(values) - 1]
    back = [value for table in found.values() for value in table["x"].to_pylist()]
    if not textual:
        as_json = kind == "string" and not all(isinstance(value, str | None) for value in values)
        assert [json.loads(text) for text in back] == values if as_json else back == values
