"""What `make` refuses before it writes, and what it leaves behind when something fails."""

import shutil

import numpy as np
import pytest

import symdata
from symdata.errors import RecipeError, SourceError, StoreError
from symdata.store import dataset_folder
from tests.support.commands import refused
from tests.support.images import write_folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_empty_source_is_refused_everywhere(here):
    symdata.make("glyphs", here / "d", count=8, size=8)
    for arguments in (("make", ""), ("make", "--source", "", "rotmnist"), ("inspect", ""), ("make", " ")):
        assert "is empty" in refused(*arguments)
    with pytest.raises(SourceError, match="is empty"):
        symdata.open_source("")
    with pytest.raises(StoreError, match="is empty"):
        symdata.load("")
    assert [path.name for path in here.iterdir()] == ["d"]


@pytest.mark.parametrize(("source", "out"), [("pets", "pets/sub"), ("pets", "pets"), ("pets/.", "pets/a/b")])
def test_an_output_inside_its_source_is_refused(here, source, out):
    write_folder(here / "pets")
    before = sorted(here.rglob("*"))
    with pytest.raises(StoreError, match="one inside the other"):
        symdata.make(source, out)
    with pytest.raises(StoreError, match="one inside the other"):
        symdata.make(source, out, dry_run=True)
    assert sorted(here.rglob("*")) == before


def test_a_source_inside_the_output_is_not_replaced(here):
    made = symdata.make("glyphs", "d", count=8, size=8)
    with pytest.raises(StoreError, match="one inside the other"):
        symdata.make("d", "d", overwrite=True, size=8)
    shutil.copytree(write_folder(here / "pets"), made.folder / "pets")
    with pytest.raises(StoreError, match="one inside the other"):
        symdata.make("d/pets", "d", overwrite=True, size=8)
    assert (made.folder / "pets").is_dir()
    assert symdata.make("glyphs", "glyphs", count=8, size=8).folder.is_dir()  # a scheme is no folder
    symdata.make("glyphs", "glyphs", count=9, size=8, overwrite=True)
    symdata.make("pets", "pets-2")  # beside it, with a name that begins alike


def test_a_class_name_with_line_breaks_is_escaped_in_pictures_and_tables(here):
    write_folder(here / "pets")
    first = sorted(path for path in (here / "pets").iterdir() if path.is_dir())[0]
    first.rename(first.with_name("two\nlines\tand $x^"))
    made = symdata.make("pets", "d", symmetry="c4")
    assert made.preview.is_file() and symdata.load("d").classes[-1] == "two\nlines\tand $x^"
    assert "two\\nlines\\tand" in str(symdata.inspect("d")) and not list(here.glob("*.partial"))
    symdata.inspect("d").plot()
    assert symdata.verify("d").passed


@pytest.mark.parametrize("error", [ValueError("any"), KeyError("any"), OSError("any")])
def test_nothing_is_left_after_any_error(here, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(dataset_folder, "preview", fail)
    with pytest.raises((type(error), StoreError)):
        symdata.make("glyphs", "d", count=8, size=8)
    assert not list(here.iterdir())


def test_a_build_that_was_stopped_is_kept(here, monkeypatch):
    """Negative control: after Ctrl-C or for lack of memory, another run goes on."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset_folder, "preview", stop)
    with pytest.raises(KeyboardInterrupt):
        symdata.make("glyphs", "d", count=8, size=8)
    assert (here / "d.partial").is_dir()


def test_arguments_of_python_are_checked_like_options():
    with pytest.raises(RecipeError, match="no argument 'symetry'; did you mean symmetry"):
        symdata.make("glyphs", symetry="c4")
    with pytest.raises(RecipeError, match="no argument 'classes'"):
        symdata.make((np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]), classes=["a", "b"])
    for fields in ({"seed": "x"}, {"validation": "a"}, {"test": True}, {"count": 0}):
        with pytest.raises(RecipeError, match=next(iter(fields))):
            symdata.make("glyphs", dry_run=True, **fields)


def test_sweeps_have_a_folder_for_each_symmetry(here):
    made = []
    for symmetry in ("none", "c4", "d4-partial@0.3", "d4-partial@0.35", "so2@-45..45", "so2@45~20", "0-4:d4,rest:none"):
        for test in (None, "c8"):
            made.append(symdata.make("glyphs:digits", symmetry=symmetry, test_symmetry=test, count=10, size=8))
    assert len({result.folder for result in made}) == len(made)
    long = ",".join(f"{c}:so2@-{c + 1}.25..{c + 1}.75" for c in range(10))
    names = [symdata.make("glyphs:digits", symmetry=s, count=10, size=8).folder.name for s in (long, f"{long[:-5]}0.5")]
    assert len(set(names)) == 2 and max(map(len, names)) <= dataset_folder.LONGEST


def test_the_simplest_calls_work(here):
    assert symdata.make("glyphs", count=8, size=8).folder.name == "glyphs-none"
    write_folder(here / "pets")
    assert symdata.make(here / "pets", symmetry=symdata.Symmetry.parse("d4-partial"), test=0.2).folder.is_dir()
