"""Class folders with a table beside them: its columns belong to the images, by their paths or names."""

from pathlib import Path

import numpy as np
import pytest

from symdata.errors import RecipeError, SourceError
from symdata.sources import open_source
from symdata.store import load, make, verify
from tests.support.images import encoded, noise

FILES = [(name, k) for name in ("cat", "dog") for k in range(10)]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Twenty images of five patients each of whom has four, and `slide.csv` in another order; one row has no image."""
    root = tmp_path / "pets"
    lines = ["gone/9.png,e,9"]
    for seed, (name, k) in enumerate(FILES):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / f"{name}{k}.png").write_bytes(encoded(noise(8, 8, 3, seed=seed)))
        lines.append(f"{name}/{name}{k}.png,{'abcde'[k % 5]},{seed}")
    (root / "slide.csv").write_text("\n".join(["file,patient,number", *lines[::-1]]) + "\n")
    return root


def test_columns_follow_the_images(pets: Path, tmp_path: Path) -> None:
    source = open_source(f"{pets},columns=slide.csv")
    expected = {"patient": ["abcde"[k % 5] for _, k in FILES], "number": list(range(20))}
    assert source.extra_columns("train").to_pydict() == expected
    assert source.read("train", np.arange(20)).equal(open_source(pets).read("train", np.arange(20)))
    (pets / "cat" / "cat3.png").write_bytes(b"")
    some = open_source(f"{pets},columns=slide.csv", skip_bad=1)
    assert some.extra_columns("train")["number"].to_pylist() == [k for k in range(20) if k != 3]


def test_no_patient_is_in_two_splits(pets: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no column 'patient' .* take those of the table .*pets,columns=slide.csv'"):
        make(str(pets), tmp_path / "d", symmetry="d4", test=0.4, group_by="patient")
    made = make(f"{pets},columns=slide.csv", tmp_path / "d", symmetry="d4", test=0.4, group_by="patient")
    train, test = (set(load(made.folder, split).column("patient").tolist()) for split in ("train", "test"))
    assert train | test == set("abcde") and not train & test and verify(made.folder).passed
    (pets / "slide.csv").write_text((pets / "slide.csv").read_text().replace(",a,", ",b,"))
    assert not verify(made.folder).passed


def test_names_without_folders_and_other_tables(pets: Path) -> None:
    text = (pets / "slide.csv").read_text()
    expected = open_source(f"{pets},columns=slide.csv").extra_columns("train")
    (pets / "t.tsv").write_text(text.replace("cat/", "").replace("dog/", "").replace(",", "\t"))
    assert open_source(f"{pets},columns=t.tsv").extra_columns("train").equals(expected)
    (pets / "t.jsonl").write_text("".join(f'{{"i": "{n}/{n}{k}.png", "k": {k}}}\n' for n, k in FILES))
    assert open_source(f"{pets},columns=t.jsonl").extra_columns("train").to_pydict() == {"k": [k for _, k in FILES]}


def test_tables_that_do_not_fit_are_refused(pets: Path) -> None:
    text = (pets / "slide.csv").read_text()
    for name, content, said in (
        ("a.csv", text.replace("dog/dog3.png", "x"), "of all 20 images; 'dog/dog3.png' is not there"),
        ("b.csv", text + "dog/dog3.png,a,1\n", "'b.csv' names the image 'dog/dog3.png' twice; remove one of the lines"),
        ("c.csv", "file\n", "no column of 'c.csv' holds the paths, or names, of all 20 images"),
        ("d.csv", b"\xff\xfe\x00", "is not text in UTF-8"),
    ):
        (pets / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(SourceError, match=said):
            open_source(f"{pets},columns={name}")
    with pytest.raises(SourceError, match=r"none.csv': No such file"):
        open_source(f"{pets},columns=none.csv")
    for outside in ("../slide.csv", str(pets / "slide.csv"), ""):
        with pytest.raises(SourceError, match=r"expected a table in that folder, as in columns=slide.csv"):
            open_source(f"{pets},columns={outside}")
