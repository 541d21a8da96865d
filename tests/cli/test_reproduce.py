"""`symdata reproduce` from the outside."""

import json

import pytest

from tests.support.commands import refused, run
from zoo.experiments.harness.catalog import CATALOG
from zoo.experiments.harness.experiment import find_experiment
from zoo.experiments.using_and_abusing import knight

pytestmark = pytest.mark.usefixtures("_here")


@pytest.fixture
def _here(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def few_epochs(monkeypatch):
    monkeypatch.setitem(knight.RECIPE, "epochs", 400)
    monkeypatch.setattr(knight, "LEAST_SEEDS", 1)


@pytest.mark.usefixtures("few_epochs")
def test_knight_prints_its_table_and_writes_its_record():
    result = run("reproduce", "using-and-abusing", "--part", "knight", "--seeds", 1, "--out", "out")
    assert result.exit_code == 0, result.output
    assert "32 px, 3x3 s2 p1  1  approximate  " in result.stdout
    assert "33 px: loss = ln 2 to within 0.001, every seed" in result.stdout and "Cost: 9 runs" in result.stdout
    assert "knight 32-k3s2p1-fence" in result.stderr and "(9 of 9)" in result.stderr
    again = run("reproduce", "using-and-abusing", "--part", "knight", "--seeds", 1, "--out", "out", "--json")
    assert "of 9)" not in again.stderr  # nothing ran
    content = json.loads(again.stdout)
    assert content["parts"]["knight"]["bands"][0]["verdict"] == "inside"
    assert "--part knight --seeds 1 --budget small --out out" in content["command"]


def test_a_part_that_does_not_exist_is_refused_with_the_nearest():
    last = refused("reproduce", "using-and-abusing", "--part", "uprigth", code=2)
    assert "no part 'uprigth'; did you mean upright?" in last


def test_a_paper_that_does_not_exist_is_refused():
    assert "'using-and-abusing'" in refused("reproduce", "attention", code=2)


def test_training_without_data_says_which_files():
    text = refused("reproduce", "using-and-abusing", "--part", "upright")
    assert "train-images-idx3-ubyte" in text and "--data" in text
    text = refused("reproduce", "using-and-abusing", "--part", "upright", "--part", "biased", "--data", "nowhere")
    assert "'nowhere' does not hold MNIST's train and test split" in text


def test_cifar_on_a_cpu_says_what_it_would_cost():
    assert "--cifar" in refused("reproduce", "using-and-abusing", "--part", "cifar")
    text = refused("reproduce", "using-and-abusing", "--part", "cifar", "--cifar", "x")
    assert "days on a CPU" in text and "--device cuda, or --width 4" in text


@pytest.mark.parametrize("device", ["cudaa", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused_before_anything_runs(device):
    text = refused("reproduce", "using-and-abusing", "--part", "knight", "--device", device)
    absent = f"there is no device {device!r} here; use --device c"
    assert (absent if device == "cuda:99" else f"device is {device!r}, expected cpu, cuda, cuda:1 or mps") in text


def test_numbers_out_of_range_are_usage_errors():
    assert "--seeds" in refused("reproduce", "using-and-abusing", "--seeds", 0, code=2)
    assert "--budget" in refused("reproduce", "using-and-abusing", "--budget", "huge", code=2)


def test_the_help_names_the_parts():
    text = run("reproduce", "--help").stdout
    assert all(part in text for name, entry in CATALOG.items() for part in (name, *entry.parts))


@pytest.mark.parametrize("name", CATALOG)
def test_the_catalog_names_the_parts_of_every_experiment(name):
    assert tuple(find_experiment(name).parts) == CATALOG[name].parts
    assert set(CATALOG[name].optional) < set(CATALOG[name].parts)


def test_a_part_of_another_experiment_is_refused():
    assert "there are networks, autoencoder" in refused("reproduce", "subsampling", "--part", "knight", code=2)
