"""What `train` prints as the next command works, whatever splits the dataset has."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from symdata import load, make, open_source
from symdata.errors import SourceError
from tests.support import commands
from tests.support.tables import write_cells
from tests.support.training import config
from zoo.training import TrainedModel, train


@pytest.mark.parametrize("splits", [{"test": 0.25}, {"validation": 0.25}, {}])
def test_the_next_step_works(tmp_path, monkeypatch, splits):
    monkeypatch.chdir(tmp_path)
    write_cells(tmp_path / "my cells.parquet", 48)
    make("my cells.parquet", "the data", size=12, **splits)
    folder = train(config(Path("the data"), epochs=1, batch_size=8, out="the model"))
    line = str(TrainedModel(folder, "the data")).split("next")[1].strip()
    if not splits:
        assert line.startswith("make it again with one and train on that: `symdata make")
        line = line.split("`")[1]
    done = commands.run(*shlex.split(line)[1:], *(("--angles", "0") if splits else ()))
    assert done.exit_code == 0, done.output
    if not splits:
        assert len(load("the data-with-test", "test")) == 10
        said = commands.refused("evaluate", "the model", "--data", "the data")
        assert "no split 'test'; it has train; make it again with one" in said and line in said


@pytest.mark.parametrize("command", ["evaluate", "measure"])
def test_a_source_without_a_test_split_says_the_line_that_makes_one(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    write_cells(tmp_path / "cells.parquet", 48)
    said = commands.refused(command, "p4cnn_28.mnist-none", "--data", "cells.parquet")
    line = said.split("`")[1]
    assert "has no split 'test'" in said and "--test 0.2" in line
    assert commands.run(*shlex.split(line)[1:]).exit_code == 0 and len(load("cells-with-test", "test")) == 10


def test_the_line_for_a_source_of_several_sizes_says_the_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for k in range(40):
        place = tmp_path / "mixed" / "ab"[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8 + k % 3, 9), k).save(place / f"{k}.png")
    with pytest.raises(SourceError) as refused:
        open_source("mixed", size=10).labels("test")
    line = re.search(r"`(.+)`", str(refused.value))[1]
    assert commands.run(*shlex.split(line)[1:]).exit_code == 0
    assert load("mixed-with-test", "test").shape == (1, 10, 10)
