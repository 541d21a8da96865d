"""`symdata make`, `verify`, `recipes` and `sources` as a user types them: results, and one sentence for bad input."""

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from symdata.recipes.catalog import find_recipe, is_recipe
from symdata.recipes.spec import Spec
from symdata.store import load
from symdata.store.dataset_folder import make
from tests.conftest import ROOT
from tests.support.commands import refused, run
from tests.support.folders import contents
from tests.support.images import noise, write_idx


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


# What it says


def test_the_default(here):
    result = run("make", "--symmetry", "d4-partial", "--count", 60)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "split       images  size     symmetry        degree",
        "----------  ------  -------  --------------  ------",
        "train       60      28x28x1  d4-partial@0.5  0.500",
        "validation  10      28x28x1  d4-partial@0.5  0.500",
        "test        10      28x28x1  d4-partial@0.5  0.500",
        "dataset  glyphs-d4-partial_at_0p5",
        "picture  glyphs-d4-partial_at_0p5/preview.png",
    ]
    assert len(load("glyphs-d4-partial_at_0p5")) == 60


LAW = """
import symdata
from symdata.measures import Mixture, Point

@symdata.register_law("half-turns")
def half_turns(share):
    return Mixture(((1 - share, Point(symdata.Element())), (share, Point(symdata.Element(180)))))
"""


def test_a_law_of_ones_own(here, monkeypatch):
    monkeypatch.setattr("symdata.measures.registry._LAWS", {})
    monkeypatch.setattr("sys.path", [*sys.path])
    Path("halves_law.py").write_text(LAW)
    law = "law@half-turns@version=1@share=0.25"
    assert "law 'half-turns' is not registered" in refused("make", "--symmetry", law, code=2)
    result = run("--laws", "halves_law", "make", "--symmetry", law, "--count", 20, "--size", 8, "--out", "d")
    assert result.exit_code == 0 and law in result.stdout, result.output
    assert run("--laws", "halves_law", "verify", "d").exit_code == 0
    assert "--laws absent_law: ModuleNotFoundError" in refused("--laws", "absent_law", "verify", "d", code=2)


def test_json_is_json_and_nothing_else():
    result = run("make", "--symmetry", "c4", "--count", 30, "--out", "d", "--json")
    fields = json.loads(result.stdout)
    assert result.stderr == ""
    assert fields["folder"] == "d" and fields["preview"] == "d/preview.png"
    assert fields["manifest"] == json.loads(Path("d/symdata.json").read_text())
    checks = json.loads(run("verify", "d", "--json").stdout)
    assert checks["passed"] is True
    assert {recipe["name"] for recipe in json.loads(run("recipes", "--json").stdout)} >= {"rotmnist", "updown45"}
    assert {source["scheme"] for source in json.loads(run("sources", "--json").stdout)} >= {"glyphs", "hub"}


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_dry_run_writes_nothing(here, form):
    result = run("make", "--symmetry", "so2", "--count", 30, "--dry-run", *form)
    assert result.exit_code == 0 and list(here.iterdir()) == []
    if form:
        fields = json.loads(result.stdout)
        assert fields["splits"]["train"] == {"num_examples": 30, "symmetry": "so2"}
        assert fields["folder"] == "glyphs-so2" and fields["shape"] == [1, 28, 28]
    else:
        assert result.stdout.splitlines()[-1] == "would be written to glyphs-so2"


def test_a_dry_run_refuses_what_a_run_would(here):
    run("make", "--symmetry", "c4", "--count", 30, "--out", "d")
    assert "'d' exists; replace it with --overwrite" in refused("make", "--out", "d", "--dry-run")
    assert "leaves the pixel lattice" in refused("make", "--symmetry", "c8", "--resample", "exact", "--dry-run")


def test_a_family_of_recipes_is_ten_datasets():
    result = run("make", "graded-c4", "--count", 20, "--size", 8, "--out", "graded", "--json")
    made = json.loads(result.stdout)
    assert [fields["folder"] for fields in made] == [f"graded/graded-c4-{level}" for level in range(10)]
    degrees = [fields["manifest"]["splits"]["train"]["degree"] for fields in made]
    assert np.allclose(degrees, np.arange(10) / 9)
    assert (
        json.loads(run("make", "graded-c4", "--count", 20, "--dry-run", "--json").stdout)[3]["folder"] == "graded-c4-3"
    )


def test_a_family_goes_on_where_it_was_stopped():
    options = ["graded-c4", "--count", 20, "--size", 8, "--out", "graded"]
    run("make", *options)
    before = contents(Path("graded"))
    shutil.rmtree("graded/graded-c4-7")
    assert "'graded/graded-c4-0' exists" in refused("make", *options)
    assert run("make", *options, "--resume").exit_code == 0
    assert contents(Path("graded")) == before


def test_a_family_in_whose_way_one_stands_is_not_begun():
    run("make", "graded-c4-2", "--count", 20, "--size", 8)
    assert "'graded-c4-2' exists" in refused("make", "graded-c4", "--count", 20, "--size", 8)
    assert [path.name for path in Path().iterdir()] == ["graded-c4-2"]


def test_what_the_list_of_recipes_names_can_be_made():
    names = [line.split()[0] for line in run("recipes").stdout.splitlines()[2:]]
    assert len(names) >= 20
    for name in names:
        assert is_recipe(name)
        find_recipe(name.replace("<group>", "d4-5"))


def test_idx_files_with_a_name_like_a_recipe(here):
    for split in ("train", "test"):
        write_idx(here, noise(6, 5, 5), np.arange(6) % 2, f"emnist-digits-{split}")
    assert run("make", "emnist-digits", "--symmetry", "d4", "--dry-run").exit_code == 0
    assert "did you mean" in run("make", "emnist-digit5", "--symmetry", "d4", "--dry-run").stderr


def test_every_option_arrives():
    options = {"--size": 12, "--count": 30, "--seed": 5, "--mask": "none", "--padding": "zeros", "--supersample": 2}
    options |= {"--resample": "bicubic", "--test-symmetry": "o2", "--symmetry": "0-3:c8,rest:none", "--resize": "area"}
    words = [word for pair in options.items() for word in pair]
    result = run("make", "glyphs:digits", *words, "--num-shards", 2, "--batch-size", 7, "--out", "d", "--json")
    spec = json.loads(result.stdout)["manifest"]["spec"]
    assert spec.pop("source") == "glyphs:digits"
    for name, value in options.items():
        assert spec[name[2:].replace("-", "_")] == value
    assert len(list(Path("d").glob("train-*"))) == 2


def test_progress_goes_to_a_terminal_only():
    """stderr stays empty in a pipe; on a terminal the bar is drawn there and never on stdout."""
    command = [sys.executable, "-m", "symdata", "make", "--symmetry", "c4", "--count", "50", "--out", "d", "--json"]
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=follower, check=True)
    drawn = os.read(leader, 100_000).decode()
    os.close(follower)
    os.close(leader)
    assert "glyphs-c4" in drawn and " images" in drawn
    assert json.loads(done.stdout)["folder"] == "d"


# Folders


def test_folders_in_the_way(here):
    Path("thesis").mkdir()
    Path("thesis/thesis.tex").write_text("do not lose")
    Path("file").write_text("")
    assert "is left alone: choose another --out" in refused("make", "--out", "thesis")
    assert "is left alone: choose another --out" in refused("make", "--out", "thesis", "--overwrite")
    assert "'file' is a file" in refused("make", "--out", "file", "--overwrite")
    assert "Not a directory" in refused("make", "--out", "file/d")
    assert "'.' is the current folder" in refused("make", "--out", ".")


def test_resuming_through_the_command_line(here, monkeypatch):
    options = ["make", "--symmetry", "c4", "--count", 60, "--size", 8, "--out", "d"]

    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("symdata.store.dataset_folder.describe", interrupted)
        result = run(*options)
    assert result.exit_code == 130 and result.stdout == ""
    assert result.stderr.split("\n") == [
        *("", "stopped; the same command with --resume goes on from here", "", "symdata: interrupted", ""),
    ]
    assert "go on with --resume or begin again with --overwrite" in refused(*options)
    assert "holds a build of something else" in refused(*options, "--seed", 1, "--resume")
    assert run(*options, "--resume").exit_code == 0
    assert run(*options, "--resume").exit_code == 0, "and again"
    assert sorted(path.name for path in here.iterdir()) == ["d"]


def test_a_bug_is_not_passed_off_as_bad_input(monkeypatch):
    monkeypatch.setattr("symdata.store.dataset_folder.describe", lambda *arguments: 1 / 0)
    assert isinstance(run("make", "--count", 20, "--out", "d").exception, ZeroDivisionError)


# verify


def test_verify_says_what_it_checked_and_its_exit_code_tells(here):
    run("make", "--symmetry", "c4", "--count", 60, "--size", 8, "--out", "d")
    result = run("verify", "d", "--samples", 5)
    assert result.exit_code == 0 and result.stderr == ""
    assert all(line.startswith("ok      ") for line in result.stdout.splitlines())
    shard = Path("d/train-00000-of-00001.parquet")
    shard.write_bytes(shard.read_bytes() + b"!")
    result = run("verify", "d")
    assert result.exit_code == 1
    assert result.stdout.startswith("FAILED  train-00000-of-00001.parquet: sha256 is ")
    assert result.stderr == "symdata: 'd' failed 1 of 5 checks\n"
    result = run("verify", "d", "--json")
    assert result.exit_code == 1 and json.loads(result.stdout)["passed"] is False


def test_verify_refuses_what_is_no_dataset(here):
    Path("d").mkdir()
    assert "'d' is not a symdata dataset" in refused("verify", "d")
    assert "'nosuch' does not exist" in refused("verify", "nosuch", code=2)


def test_publish_refuses_before_it_asks_the_network(here):
    Path("d").mkdir()
    assert "'d' is neither a dataset (symdata.json) nor a model (config.json)" in refused("publish", "d", "me/d")
    run("make", "--symmetry", "c4", "--count", 60, "--size", 8, "--out", "e")
    assert "'e' is not the name of a repository; write user/name or user/name@revision" in refused("publish", "e", "e")


def test_the_library_is_what_the_command_calls(here):
    run("make", "--symmetry", "d4-partial", "--count", 60, "--out", "d")
    make(Spec(symmetry="d4-partial", count=60), "e")
    assert contents(Path("d")) == contents(Path("e"))
