"""Every test runs and can fail: the checker is tried on made-up offenders, then on our files."""

import re
from collections import Counter

import pytest

from tests.conftest import ROOT
from tests.repository.dead_tests import problems

FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("tests/**/*.py"))
}
WORDS = Counter(word for code in FILES.values() for word in re.findall(r"\w+", code))


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("tests/test_a.py", "def test_x(): f()\ndef test_x(): g()", "test_x is bound again in line 2"),
        ("tests/test_a.py", "@mark\ndef test_x(): f()\n@mark\nasync def test_x(): g()", "test_x is bound again"),
        ("tests/test_a.py", "def test_x(): f()\ntest_x = None", "test_x is bound again"),
        ("tests/test_a.py", "def helper(): f()\nfrom b import c as helper\nhelper()", "helper is bound again"),
        ("tests/test_a.py", "class A:\n    n = 1\nif b:\n    class A:\n        n = 2", "A is bound again in line 4"),
        ("tests/test_a.py", "class TestA:\n    def test_x(self): f()\n    def test_x(self): g()", "TestA: test_x is"),
        ("tests/test_a.py", "class A:\n    def test_x(self): f()", "pytest passes over class A and with it test_x"),
        ("tests/test_a.py", "def test_x():\n    def test_y(): f()\n    g()", "test_y stands in test_x"),
        ("tests/test_a.py", "def tset_x(): assert f()", "nothing calls tset_x"),
        ("tests/support/a.py", "def test_x(): assert f()", "call the file test_*.py"),
        ("tests/test_a.py", "def test_x(): assert (f(), 'why')", "the assert in line 1 cannot fail"),
        ("tests/test_a.py", "def test_x(): assert (a == b for a in c)", "the assert in line 1 cannot fail"),
        ("tests/test_a.py", "def test_x(): assert f() or 'text'", "the assert in line 1 cannot fail"),
        ("tests/test_a.py", "def test_x():\n    return f()\n    assert g()", "line 3 is never reached"),
        (
            "tests/test_a.py",
            "def test_x():\n    with pytest.raises(E):\n        f()\n        assert g()",
            "is never reached",
        ),
        ("tests/test_a.py", "def test_x():\n    with raises(E):\n        for a in b: f(a)", "is never reached"),
    ],
)
def test_the_checker_catches(path, code, sentence):
    (found,) = problems(path, code, Counter(re.findall(r"\w+", code)))
    assert sentence in found


@pytest.mark.parametrize(
    "code",
    [
        "def test_x(): assert f()\ndef test_y(): assert g()",
        "class A:\n    @property\n    def x(self): return 1\n    @x.setter\n    def x(self, value): self.y = value",
        "x = 1\nx = 2",
        "@pytest.fixture(autouse=True)\ndef _seeded(): f()",
        "def pytest_configure(config): f()",
        "def helper(): f()\ndef test_x(): helper()",
        "def test_x():\n    with pytest.raises(E), g():\n        f()\n    assert h()",
        "def test_x():\n    assert all(a == b for a in c) and [f(a) for a in c]",
        "class TestA:\n    def test_x(self): assert f()",
    ],
)
def test_the_checker_lets_pass(code):
    assert problems("tests/test_a.py", code, Counter(re.findall(r"\w+", code))) == []


@pytest.mark.parametrize("path", FILES)
def test_every_test_of_a_file_runs_and_can_fail(path):
    found = problems(path, FILES[path], WORDS)
    assert not found, "\n".join(found)
