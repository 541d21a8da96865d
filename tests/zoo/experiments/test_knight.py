"""The network that learns its own rotation, and does not where it cannot."""

import math

import pytest
import torch

from zoo.experiments.harness.runs import Job, RunRecord
from zoo.experiments.harness.setting import Setting
from zoo.experiments.using_and_abusing import knight
from zoo.experiments.using_and_abusing.parts import EXPERIMENT
from zoo.experiments.using_and_abusing.published import KNIGHT


def learned(row, title=knight.FIRST):
    return knight.run(Job("knight", *knight.request(row, title, 1), knight.run), Setting(out=None))


def test_the_picture_has_no_symmetry_and_the_range_of_a_palette():
    image = knight.picture()
    assert image.shape == (32, 32) and (image.min(), image.max()) == (0, 43)
    others = [torch.rot90(image, k) for k in (1, 2, 3)] + [torch.rot90(image.flip(1), k) for k in range(4)]
    assert not any(image.equal(other) for other in others)


def test_the_contrast_vanishes_for_a_picture_that_is_its_own_turn():
    ring = torch.zeros(32, 32)
    ring[8:24, 8:24] = 1.0
    assert knight.contrast(ring) < 1e-6
    assert knight.contrast(knight.picture()) > 5 > 0.5 > knight.contrast(knight.picture("plain")) > 0.01


def test_one_pixel_decides_whether_it_learns():
    results = {row.size: learned(row) for row in KNIGHT[:3]}
    assert results[32]["losses"][0] < 0.02 and results[32]["accuracies"] == [1.0]
    for size in (31, 33):
        assert results[size]["losses"][0] == pytest.approx(math.log(2), abs=1e-3)
        assert results[size]["curves"][0][0] >= math.log(2) - 1e-6


def test_without_contrast_the_same_epochs_are_not_enough():
    assert learned(KNIGHT[0], title="knight without the fence")["losses"][0] > 0.5


def test_padding_and_cropping_keep_the_picture():
    image = knight.picture()
    assert knight.fitted(image, 33)[:32, :32].equal(image) and knight.fitted(image, 33)[32].abs().sum() == 0
    assert knight.fitted(image, 31).equal(image[:31, :31])


def test_the_report_says_inside_and_outside(tmp_path):
    setting = Setting(tmp_path, seeds=5)
    records = []
    for job in EXPERIMENT.jobs("knight", setting):
        exact = "exact" if (job.request["size"] + 2 * job.request["padding"] - job.request["kernel"]) % 2 == 0 else ""
        loss = math.log(2) if exact else 0.03
        result = {"curves": [[loss] * 81] * 5, "losses": [loss] * 5, "accuracies": [0.5 if exact else 1.0] * 5}
        records.append(RunRecord("knight", job.key, job.request, result, 1.0, 1.0, "now"))
    section = EXPERIMENT.section("knight", records, setting)
    verdicts = {v.condition.text: v.word for v in section.verdicts}
    assert verdicts["32 px: loss < 0.02, every seed"] == "OUTSIDE"
    assert verdicts["33 px: loss = ln 2 to within 0.001, every seed"] == "inside"
    assert "0.0300 0.0300" in str(section.tables[0])
