"""MNIST with its splits swapped: data, one tiny run from end to end, its tables and pictures."""

import json
from dataclasses import replace

import pytest
import torch

from symdata.store import load
from zoo.errors import ModelError
from zoo.experiments.harness.experiment import reproduce
from zoo.experiments.harness.mnist import mnist_folder
from zoo.experiments.harness.results import header, write
from zoo.experiments.harness.runs import RunRecord, do
from zoo.experiments.harness.setting import PAPER, Budget, Setting
from zoo.experiments.using_and_abusing import mnist
from zoo.experiments.using_and_abusing.parts import EXPERIMENT
from zoo.experiments.using_and_abusing.published import MODELS
from zoo.training import TrainConfig

TINY = Budget("tiny", {"limit": 128, "epochs": 1, "batch_size": 64, "schedule": "onecycle"}, lattice=40, curve=10)


def made_up(regime, setting, seeds=2):
    """Records as runs leave them: models differ, and the turns of all but the exact one."""
    records = []
    for job in EXPERIMENT.jobs(regime, setting):
        model, seed = job.request["train"]["model"], job.request["train"]["seed"]
        k = MODELS.index(model)
        curve = [90.0 - (5 * k + seed) * (a % 9 != 0) for a in range(36)]
        lattice = {t: 97.5 + seed / 10 - (20 * k if t != "0" else 0) for t in ("0", "90", "180", "270")}
        training = {"epoch": 1, "validation_accuracy": 0.9, "seconds": 3.0}
        result = {
            "lattice": lattice,
            "changed": {"90": k, "180": k, "270": k},
            "curves": {"zero": curve, "background": [min(100.0, c + 1) for c in curve]},
            "training": training,
        }
        records.append(RunRecord(regime, job.key, job.request, result, 5.0, 4.0, "now"))
    return records


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path / "out", parts=("upright",), seeds=2, budget=TINY)


def test_the_tables_stand_beside_the_published_numbers(setting):
    section = EXPERIMENT.section("upright", made_up("upright", setting), setting)
    table = section.tables[0]
    assert table.rows[0] == ("p4cnn_28", "published (100)", *["97.69±0.17"] * 5, "73.55±2.57", "87.22±1.12")
    assert table.rows[1][1:4] == ("ours (2)", "97.55±0.07", "97.55±0.07")
    assert section.summary["p4cnn_27"]["turned"]["mean"] == pytest.approx(77.55)
    assert section.summary["p4cnn_28"]["angles"]["mean"] == pytest.approx(90 - 0.5 * 32 / 36)
    assert section.summary["p4cnn_28"]["background angles"]["mean"] > section.summary["p4cnn_28"]["angles"]["mean"]
    words = {v.condition.text: v.word for v in section.verdicts}
    assert words["p4cnn_28: |180° - 0°| <= 0.05, every seed"] == "inside"
    assert words["p4cnn_27: 180° < min(90°, 270°), every seed"] == "inside"  # equal is not above
    assert words["z2cnn_28: 90° <= 25"] == "OUTSIDE"
    drawn = [line.name for line in section.drawing.lines]
    assert drawn[:2] == ["p4cnn_28", "p4cnn_28, published"] and "p4cnn_29, published" not in drawn


def test_results_are_written_whole_and_notes_are_kept(setting):
    sections = [EXPERIMENT.section("biased", made_up("biased", setting), setting)]
    setting.out.mkdir()
    (setting.out / "notes.md").write_text("## What misses its band\n\nBecause.\n")
    files = write(sections, setting)
    assert [file.name for file in files] == ["README.md", "results.json", "runs.jsonl", "biased.png"]
    text = files[0].read_text()
    assert text.endswith("Because.\n") and "| p4cnn_28 | published (10) | 95.86±0.48 |" in text
    assert "![MNIST, one angle a batch" in text and "**Bands**" in text
    content = json.loads(files[1].read_text())
    assert content["parts"]["biased"]["summary"]["z2cnn_28"]["0"]["n"] == 2
    first, *_ = files[2].read_text().splitlines()
    assert json.loads(first)["key"] == "tiny/p4cnn_28-seed0"
    assert files[3].stat().st_size < 80_000


def test_the_header_says_what_a_number_needs(setting):
    old, *new = made_up("biased", setting)
    new = [
        replace(record, commit="0123456789ab", dirty=False, software="torch 9", machine="a processor") for record in new
    ]
    facts = header(setting, [old, *new])
    assert list(facts) == ["paper", "command", "commit", "date", "runs", "machine", "device", "software", "budget"]
    assert "128 training images, 1 epochs, batch 64" in facts["budget"]
    assert (facts["software"], facts["machine"]) == (
        "not recorded for older runs; torch 9",
        "not recorded for older runs; a processor",
    )
    assert facts["runs"].startswith(f"{len(new)} of a clean checkout (0123456789ab)")
    assert facts["runs"].endswith(f"; 1 of no recorded commit: {old.key}")
    dirty = replace(old, commit="0123456789ab", dirty=True)
    assert header(setting, [dirty])["runs"] == "1 WITH CHANGES that no commit has"


def test_the_paper_budget_is_a_valid_recipe():
    for budget in (PAPER, TINY):
        for job in EXPERIMENT.jobs("biased", Setting(out=None, seeds=1, budget=budget)):
            config = TrainConfig(**job.request["train"], data="x")
            assert config.symmetry == "so2@45~20" and config.augment_per == "batch" and config.fill == "zero"
    assert (config.mean, config.std) == ((0.13084,), (0.043477,))


def test_without_data_it_says_which_files(tmp_path):
    with pytest.raises(ModelError, match=r"name the folder of train-images-idx3-ubyte.*with --data"):
        list(reproduce(Setting(tmp_path / "out", parts=("uniform",))))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"does not hold MNIST's train and test split; it needs train-images"):
        list(reproduce(Setting(tmp_path / "out", parts=("uniform",), data=tmp_path / "empty")))
    assert not (tmp_path / "out").exists()


def test_half_of_mnist_is_refused(tmp_path, data):
    for path in (data / "mnist").glob("t10k*"):
        (tmp_path / path.name).symlink_to(path)
    with pytest.raises(ModelError, match=r"does not hold MNIST's train split"):
        mnist_folder(tmp_path, ["upright"])
    for path in (data / "mnist").glob("t10k*"):
        (tmp_path / path.name.replace("t10k", "train")).symlink_to(path)
    with pytest.raises(ModelError, match="expected MNIST's 60,000 and 10,000"):
        mnist_folder(tmp_path, ["upright"])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, data):
    out = tmp_path_factory.mktemp("experiment")
    setting = Setting(out, parts=("upright", "biased"), seeds=1, budget=TINY, data=data / "mnist")
    for part in setting.parts:
        EXPERIMENT.prepare(part, setting)
    return setting


def test_the_splits_change_places(prepared):
    from symdata.sources import open_source

    data = prepared.out / "data"
    assert sorted(path.name for path in data.iterdir()) == ["mnist-swapped", "upright"]  # biased is drawn in training
    assert {split: len(load(data / "upright", split)) for split in ("train", "validation", "test")} == {
        "train": 8000,
        "validation": 2000,
        "test": 60_000,
    }
    source = open_source(str(prepared.data))
    images, labels = mnist.test_images(data / "upright", 5)
    again, _ = mnist.test_images(data / "upright", 3)
    assert images[:3].equal(again)
    train = source.read("train", load(data / "upright", "test").index[:2])
    assert load(data / "upright", "test").images([0, 1]).equal(train)
    assert labels.dtype == torch.int64


def test_a_tiny_run_from_end_to_end_is_resumed_and_tested_again(prepared):
    job = EXPERIMENT.jobs("upright", prepared)[0]
    record = do(job, prepared)
    assert set(record.result["lattice"].values()) == {record.result["lattice"]["0"]}  # untrained, but exact
    assert record.result["changed"] == {"90": 0, "180": 0, "270": 0}
    assert [len(curve) for curve in record.result["curves"].values()] == [36, 36]
    for turn in ("0", "90", "180", "270"):
        assert (
            record.result["curves"]["zero"][int(turn) // 10] == record.result["curves"]["background"][int(turn) // 10]
        )
    assert record.result["training"]["step"] == 2
    weights = job.place(prepared.out).with_suffix("") / "model.safetensors"
    before = weights.stat().st_mtime_ns
    job.request["test"]["lattice"] = 20  # other tests: the network is not trained again
    assert do(job, prepared).result["curves"] == record.result["curves"]
    assert weights.stat().st_mtime_ns == before
