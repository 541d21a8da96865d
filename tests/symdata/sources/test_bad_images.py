"""Images that cannot be decoded: all are named on request, and some may be left out, as the manifest then says."""

import json
from pathlib import Path

import numpy as np
import pytest

from symdata import Spec, make, open_source, verify
from symdata.errors import RecipeError, SourceError
from symdata.recipes.plan import resolve
from tests.support.commands import refused, run
from tests.support.folders import contents
from tests.support.images import encoded, noise, write_folder
from tests.symdata.sources.test_table import BLOBS, write_table


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Twenty images, of which one is cut (its header is whole), one is text and one is empty."""
    root = write_folder(tmp_path / "pets", per_class=10, side=16)
    (root / "cat" / "3.png").write_bytes(encoded(noise(16, 16, 3))[:400])
    (root / "dog" / "1.png").write_text("not an image")
    (root / "dog" / "7.png").write_bytes(b"")
    return root


NAMES = ("cat/3.png", "dog/1.png", "dog/7.png")


def test_check_names_every_bad_image_and_writes_nothing(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pets)
    for extra in (["--dry-run"], []):
        line = refused("make", str(pets), "--out", str(tmp_path / "d"), "--check", *extra)
        assert "3 of 20 images cannot be used: cat/3.png (it is damaged" in line
        assert "dog/1.png (it is not an image" in line and "dog/7.png (the file is empty)" in line
        assert "leave them out with --skip-bad 3" in line
    assert not (tmp_path / "d").exists()


def test_without_check_a_cut_image_is_found_while_building(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets", side=16)
    (root / "cat" / "2.png").write_bytes(encoded(noise(16, 16, 3))[:400])
    assert make(str(root), tmp_path / "d", symmetry="d4", dry_run=True)
    with pytest.raises(SourceError, match=r"cat/2.png cannot be used: .* find all such images with `.* --check`"):
        make(str(root), tmp_path / "d", symmetry="d4")
    with pytest.raises(SourceError, match=r"1 of 6 images cannot be used: cat/2.png"):
        make(str(root), tmp_path / "d", symmetry="d4", dry_run=True, check=True)


def test_check_passes_whole_images_and_changes_nothing(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    plain = make(str(root), tmp_path / "a", symmetry="d4")
    checked = make(str(root), tmp_path / "b", symmetry="d4", check=True, skip_bad=0)
    assert contents(plain.folder) == contents(checked.folder)
    assert plain.manifest["spec"] == checked.manifest["spec"] and "skip_bad" not in plain.manifest["spec"]
    tolerant = make(str(root), tmp_path / "c", symmetry="d4", skip_bad=2)
    assert tolerant.manifest["spec"]["skip_bad"] == 2 and "skipped" not in tolerant.manifest["source"]


def test_some_images_may_be_left_out(pets: Path, tmp_path: Path) -> None:
    result = run("make", str(pets), "--symmetry", "d4", "--out", tmp_path / "d", "--skip-bad", 3)
    assert result.exit_code == 0, result.output
    assert [line.split()[2] for line in result.stdout.splitlines() if line.startswith("left out: ")] == list(NAMES)
    manifest = json.loads((tmp_path / "d" / "symdata.json").read_text())
    assert tuple(manifest["source"]["skipped"]) == NAMES
    assert manifest["splits"]["train"]["num_examples"] == 17
    card = (tmp_path / "d" / "README.md").read_text()
    assert "--skip-bad 3" in card and "3 of its images could not be used and were left out" in card
    assert verify(tmp_path / "d").passed


def test_what_is_left_is_what_a_folder_without_them_gives(pets: Path) -> None:
    some = open_source(str(pets), skip_bad=5)
    for name in NAMES:
        (pets / name).unlink()
    rest = open_source(str(pets))
    assert some.splits == rest.splits == {"train": 17}
    assert some.labels("train").tolist() == rest.labels("train").tolist()
    order = np.random.default_rng(0).permutation(17)
    assert some.read("train", order).equal(rest.read("train", order))
    assert some.fingerprint != rest.fingerprint


def test_more_than_so_many_are_refused_with_all_their_names(pets: Path) -> None:
    with pytest.raises(
        SourceError, match=r"3 of 20 images cannot be used, and 2 may be left out: .*--skip-bad 3"
    ) as caught:
        open_source(str(pets), skip_bad=2)
    assert all(name in str(caught.value) for name in NAMES)


def test_a_class_that_vanishes_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets", per_class=1)
    (root / "dog" / "0.png").write_bytes(b"")
    with pytest.raises(SourceError, match="holds one class only"):
        open_source(str(root), skip_bad=1)


def test_rows_of_tables_may_be_left_out(tmp_path: Path) -> None:
    rows = [None, b"text", *BLOBS[2:39], BLOBS[39][:60]]
    write_table(tmp_path / "train.parquet", image=rows)
    with pytest.raises(SourceError, match=r"3 of 40 images .*parquet row 0 \(.*null.*parquet row 1 \(.*parquet row 39"):
        open_source(str(tmp_path), check=True)
    source = open_source(str(tmp_path), skip_bad=3)
    assert source.splits == {"train": 37} and len(source.omitted["skipped"]) == 3
    whole = write_table(tmp_path / "whole" / "train.parquet")
    assert source.read("train", np.arange(37)).equal(open_source(str(whole)).read("train", np.arange(2, 39)))


def test_files_that_cannot_be_read_count_as_bad(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets")
    (root / "cat" / "z.png").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"cannot read .*z.png': No such file"):
        open_source(str(root))
    assert list(open_source(str(root), skip_bad=1).omitted["skipped"]) == ["cat/z.png"]


def test_a_plan_has_opened_its_source_already(pets: Path) -> None:
    plan = resolve(Spec(source=str(pets), symmetry="d4", skip_bad=3))
    with pytest.raises(RecipeError, match="a DatasetPlan has opened its source already; give check=True to `resolve`"):
        make(plan, dry_run=True, check=True)
    with pytest.raises(RecipeError, match="skip_bad is -1, expected a whole number from 0"):
        Spec(source=str(pets), skip_bad=-1)
