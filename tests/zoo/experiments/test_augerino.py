"""The experiment on learned invariances: what it runs, what a perfect classifier would do, and its report."""

import pytest

from zoo.errors import ModelError
from zoo.experiments.augerino import CONDITIONS, EXPERIMENT, TASKS, settles
from zoo.experiments.harness.runs import RunRecord
from zoo.experiments.harness.setting import Setting
from zoo.training import TrainConfig


@pytest.fixture
def setting(tmp_path):
    return Setting(out=tmp_path, experiment="augerino", seeds=2)


def records(setting, widths):
    """What the runs would give whose last half-width is that of `widths`, by task."""
    made = []
    for job in EXPERIMENT.jobs("widths", setting):
        last = widths[job.request["task"]]
        result = {"half_widths": [8.0, last], "accuracy": 98.5, "loss": 0.1, "seconds": 1.0}
        made.append(RunRecord("widths", job.key, job.request, result, 2.0, 2.0, "2024-01-01T00:00:00+00:00"))
    return made


def test_every_run_is_trained_alike_but_for_reg(setting):
    found = EXPERIMENT.jobs("widths", setting)
    assert len({job.key for job in found}) == len(found) == 2 * sum(len(regs) for _, regs in TASKS.values())
    rest = [{k: v for k, v in job.request["train"].items() if k not in ("objective", "seed")} for job in found]
    assert all(recipe == rest[0] for recipe in rest)
    config = TrainConfig(**found[0].request["train"], data="partial")
    assert config.objective == "augerino:reg=0.1" and config.average == "rotation"
    assert {condition.measure for condition in CONDITIONS} == {
        f"{task} {regs[0]:g}" for task, (_, regs) in TASKS.items()
    }


def test_a_perfect_classifier_settles_beyond_the_edge():
    assert settles(0.0) <= 45.5  # flat up to there
    assert 45 < settles(0.01) < settles(0.05) < settles(0.1) < 60
    assert settles(0.05, 30.0) - 60 == pytest.approx(settles(0.05) - 45, abs=2)  # 2 * 90 - 30 - 90 = 60
    assert settles(0.3) == pytest.approx(180.0, abs=0.3)  # so large a bonus gives the labels up


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ({"partial": 49.0, "full": 180.0, "upright": 6.0}, ["inside"] * 3),
        ({"partial": 53.5, "full": 179.9, "upright": 15.5}, ["OUTSIDE"] * 3),
    ],
)
def test_the_report_judges(setting, widths, words):
    section = EXPERIMENT.section("widths", records(setting, widths), setting)
    assert [verdict.word for verdict in section.verdicts] == words and len(CONDITIONS) == 3
    (table,), drawing = section.tables, section.drawing
    assert table.rows[0][:4] == ("partial", "0.1", "45", "54")
    assert f"{widths['partial']:.1f} {widths['partial']:.1f}" in table.rows[0]
    assert drawing.lines[0].x == (1.0, 2.0) and drawing.lines[0].y == (8.0, widths["partial"])
    assert section.to_dict()["summary"]["partial 0.1"]["mean"] == widths["partial"]


def test_it_needs_mnist(setting):
    with pytest.raises(ModelError, match="--data"):
        EXPERIMENT.check(setting)
