"""The experiment on subsampling: its moves, one small run of each part, and the verdicts on what is reported."""

import json

import pytest
import torch

from zoo.errors import ModelError
from zoo.experiments.harness.runs import RunRecord, do
from zoo.experiments.harness.setting import Setting
from zoo.experiments.subsampling import autoencoder as subsampling_autoencoder
from zoo.experiments.subsampling import classifier as subsampling
from zoo.experiments.subsampling.classifier import EXPERIMENT, KINDS
from zoo.experiments.subsampling.torus import digits, each_moved, fit, moved
from zoo.layers.subsampling import downsampling

EXACT = dict.fromkeys(("shift median", "shift max", "turn median", "turn max", "both median", "both max"), 1e-15)


def setting(tmp_path, data=None, **options):
    return Setting(out=tmp_path, experiment="subsampling", data=data and data / "mnist", **options)


def records(jobs, results):
    return [RunRecord(j.part, j.key, j.request, results(j.request), 1.0, 1.0, "") for j in jobs]


def network_result(request, broken=None):
    kind = request["kind"]
    found = {"loss": 0.5, "accuracy": 90.0, "moved": 90.0, "same": 100.0, **EXACT}
    if kind not in ("aps", "equivariant"):
        found |= {"moved": 50.0, "same": 60.0, "shift median": 0.4, "both median": 0.5, "shift max": 2.0}
    return found | ({"both max": 1e-6} if kind == broken else {})


def test_every_kind_has_every_seed(tmp_path):
    jobs = EXPERIMENT.jobs("networks", setting(tmp_path, seeds=2))
    assert [job.key for job in jobs] == [f"{kind}-seed{seed}" for seed in (0, 1) for kind in KINDS]
    pair = EXPERIMENT.jobs("autoencoder", setting(tmp_path, seeds=2))
    assert len({job.key for job in pair}) == 4 and all(json.dumps(job.request) for job in (*jobs, *pair))


def test_a_new_way_to_downsample_changes_no_recorded_experiment(tmp_path, monkeypatch):
    assert set(KINDS) <= set(downsampling.KINDS)
    before = [job.key for job in EXPERIMENT.jobs("networks", setting(tmp_path))]
    monkeypatch.setitem(downsampling.KINDS, "second", downsampling.KINDS["stride"])
    assert [job.key for job in EXPERIMENT.jobs("networks", setting(tmp_path))] == before


def test_the_two_autoencoders_are_nearly_of_one_size():
    sizes = [
        sum(p.numel() for p in subsampling_autoencoder.autoencoder(kind).parameters())
        for kind in ("equivariant", "plain")
    ]
    assert 0.9 < sizes[0] / sizes[1] < 1.1


@pytest.mark.parametrize(("broken", "words"), [(None, {"inside"}), ("equivariant", {"inside", "OUTSIDE"})])
def test_the_report_judges_what_was_measured(tmp_path, broken, words):
    given = setting(tmp_path, seeds=2)
    found = records(EXPERIMENT.jobs("networks", given), lambda request: network_result(request, broken))
    section = EXPERIMENT.section("networks", found, given)
    assert {verdict.word for verdict in section.verdicts} == words
    outside = [v.condition.text for v in section.verdicts if v.inside is False]
    assert outside == ([] if broken is None else ["equivariant: largest change under both <= 1e-9"])
    assert [row[0] for row in section.tables[0].rows] == list(KINDS) and json.dumps(section.to_dict())


def test_the_report_of_the_autoencoders(tmp_path):
    given = setting(tmp_path, seeds=2)
    results = {
        "equivariant": {"parameters": 5, "upright": 30.0, "moved": 30.0, "change": 1e-15},
        "plain": {"parameters": 5, "upright": 25.0, "moved": 90.0, "change": 1.0},
    }
    found = records(EXPERIMENT.jobs("autoencoder", given), lambda request: results[request["kind"]])
    section = EXPERIMENT.section("autoencoder", found, given)
    assert {verdict.word for verdict in section.verdicts} == {"inside"} and json.dumps(section.to_dict())


def test_data_are_asked_for_before_anything_runs(tmp_path):
    for part in EXPERIMENT.parts:
        with pytest.raises(ModelError, match=f"{part} train on MNIST.*--data"):
            EXPERIMENT.check(setting(tmp_path, parts=(part,)))


def test_moves_permute_pixels_and_none_is_the_identity(data):
    images, labels = digits(data / "mnist", "test", 20, 0, 32)
    assert images.shape == (20, 1, 32, 32) and labels.shape == (20,)
    assert digits(data / "mnist", "test", 20, 0, 16)[0].shape == (20, 1, 16, 16)
    for name, moves in subsampling.MOVES.items():
        for turns, shift in moves:
            assert bool(turns) == (name != "shift") and any(shift) == (name != "turn")
            assert not torch.equal(moved(images, (turns, shift)), images)
    after = each_moved(images)
    assert torch.equal(after.flatten(1).sort().values, images.flatten(1).sort().values)
    assert torch.equal(after, each_moved(images)) and not torch.equal(after, images)


def test_a_short_training_learns():
    model, x = torch.nn.Linear(3, 1), torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    last = fit(model, x, lambda x, rows: (model(x) - x.sum(1, keepdim=True)).square().mean(),
               {"epochs": 30, "batch": 50, "lr": 0.1}, 0)  # fmt: skip
    assert last < 1e-2 and not model.training


def test_one_small_run_of_each_part(tmp_path, data, monkeypatch):
    monkeypatch.setattr(subsampling, "RECIPE", {"images": 60, "epochs": 15, "batch": 20, "lr": 0.01})
    monkeypatch.setattr(subsampling, "WIDTH", 4)
    monkeypatch.setattr(subsampling, "TESTED", 20)
    monkeypatch.setattr(subsampling, "COMPARED", 6)
    monkeypatch.setattr(subsampling_autoencoder, "RECIPE", {"images": 60, "epochs": 1, "batch": 30, "lr": 0.01})
    monkeypatch.setattr(subsampling_autoencoder, "TESTED", 20)
    monkeypatch.setattr(subsampling_autoencoder, "COMPARED", 4)
    given = setting(tmp_path, data, seeds=1)
    by_kind = {
        job.request["kind"]: do(job, given).result for job in EXPERIMENT.jobs("networks", given) if job.key[0] in "es"
    }
    assert by_kind["equivariant"]["both max"] < 1e-9 and by_kind["equivariant"]["same"] == 100
    assert by_kind["stride"]["shift max"] > 1e-3
    pair = {job.request["kind"]: do(job, given).result for job in EXPERIMENT.jobs("autoencoder", given)}
    assert pair["equivariant"]["change"] < 1e-9 < pair["plain"]["change"]
    assert pair["equivariant"]["moved"] == pytest.approx(pair["equivariant"]["upright"], rel=1e-3)
