"""Several seeds in one call: each run is the run of its seed alone, finished ones stay, and the spread is said."""

import json
import statistics

import pytest

from tests.support.folders import contents
from tests.support.training import config, dataset, lines, run, weights
from zoo.errors import ModelError
from zoo.training import DivergedError, train, train_seeds


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=96)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("seeds") / "mine"
    return train_seeds(config(data, out=str(out), seed=4), 3)


def test_every_run_is_that_of_its_seed_alone(data, trained, tmp_path):
    assert trained.seeds == (4, 5, 6)
    assert [folder.name for folder in trained.folders] == ["mine-s4", "mine-s5", "mine-s6"]
    for seed, folder in zip(trained.seeds, trained.folders, strict=True):
        alone = run(data, out=str(tmp_path / f"alone-{seed}"), seed=seed)
        assert weights(folder) == weights(alone) and lines(folder) == lines(alone)
        before, after = (json.loads((f / "config.json").read_text()) for f in (alone, folder))
        assert before["training"] | {"seconds": 0} == after["training"] | {"seconds": 0}
    assert len({weights(folder) for folder in trained.folders}) == 3, "negative control: seeds differ"


def test_what_it_says(data, trained):
    found = [json.loads((f / "config.json").read_text())["training"]["validation_accuracy"] for f in trained.folders]
    mean, sd = statistics.mean(found), statistics.stdev(found)
    assert trained.validation_accuracies == tuple(found)
    assert trained.mean.mean == pytest.approx(mean) and trained.mean.sd == pytest.approx(sd)
    text = str(trained)
    said = f"{100 * mean:.2f}±{100 * sd:.2f} % (mean ± sample standard deviation over 3 seeds)"
    assert f"validation  {said}" in text
    assert text.splitlines()[2].split() == ["4", str(trained.folders[0]), "2", f"{100 * found[0]:.2f}"]
    assert text.endswith(f"--data {data}") and "Each seed holds out" not in text, "there is a validation split"
    fields = trained.to_dict()
    assert fields["seeds"] == [4, 5, 6] and fields["sd"] == pytest.approx(sd) and json.dumps(fields)
    axes = trained.plot().axes[0]
    assert [line.get_label() for line in axes.lines] == ["seed 4", "seed 5", "seed 6"]
    assert axes.lines[1].get_ydata()[-1] == pytest.approx(100 * found[1])


def test_one_seed_and_nothing_held_out(data, tmp_path):
    alone = train_seeds(config(data, out=str(tmp_path / "run"), validation=0.0, epochs=1), 1)
    assert alone.mean is None and "validation  " not in str(alone) and alone.plot()
    assert "1 seed has no deviation" in str(train_seeds(config(data, out=str(tmp_path / "other"), epochs=1), 1))


class Stop(Exception):  # noqa: N818
    """What stops a run here."""


def test_finished_runs_stay_and_a_stopped_one_goes_on(data, trained, tmp_path):
    wanted, seen = config(data, out=str(tmp_path / "mine"), seed=4), []

    def report(line):
        seen.append((line["seed"], line["epoch"]))
        if seen[-1] == (5, 1):
            raise Stop

    with pytest.raises(Stop):
        train_seeds(wanted, 3, report=report)
    with pytest.raises(ModelError, match=r"mine-s4' holds a trained model; replace it with --overwrite"):
        train_seeds(wanted, 3)
    written, images = (tmp_path / "mine-s4/config.json").stat().st_mtime_ns, []
    again = train_seeds(wanted, 3, resume=True, report=report, progress=images.append)
    assert seen == [(4, 1), (4, 2), (5, 1), (5, 2), (6, 1), (6, 2)]
    assert sum(images) == 3 * 2 * 96
    assert (tmp_path / "mine-s4/config.json").stat().st_mtime_ns == written
    assert [weights(folder) for folder in again.folders] == [weights(folder) for folder in trained.folders]
    more = train_seeds(wanted, 4, resume=True, report=report)
    assert more.seeds == (4, 5, 6, 7) and seen[6:] == [(7, 1), (7, 2)]


@pytest.mark.parametrize("other", ["finished", "stopped", "foreign"])
def test_nothing_is_trained_if_a_later_folder_is_in_the_way(data, tmp_path, other):
    wanted = config(data, out=str(tmp_path / "mine"))
    late = tmp_path / "mine-s2"
    if other == "finished":
        train(config(data, out=str(late), seed=2, lr=0.02))
    elif other == "stopped":
        with pytest.raises(Stop):
            train(config(data, out=str(late), seed=2, lr=0.02), report=_raise)
    else:
        late.mkdir()
        (late / "thesis.tex").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(ModelError, match=r"mine-s2'.* (has|with) lr = 0.02, and now it is 0.01|is left alone"):
        train_seeds(wanted, 3, resume=True)
    assert contents(tmp_path) == before


def _raise(line):
    raise Stop


def test_a_run_that_diverges_keeps_those_before_it(data, tmp_path):
    calls = []

    def diverges(view):
        calls.append(view.epoch)
        if len(calls) == 3:
            raise DivergedError(1, 1, 0.1)

    with pytest.raises(DivergedError):
        train_seeds(config(data, out=str(tmp_path / "mine")), 3, callbacks=[diverges])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine-s0", "mine-s1"]
    assert (tmp_path / "mine-s0/config.json").exists() and not (tmp_path / "mine-s1/config.json").exists()


@pytest.mark.parametrize("seeds", [0, -1, 1001, [], [1, 1], ["1"], [1.5], True, "3", [-1], None])
def test_seeds_that_are_none(data, tmp_path, seeds):
    with pytest.raises(ModelError, match="expected a number from 1 to 1000, or different seeds, as in"):
        train_seeds(config(data, out=str(tmp_path / "run")), seeds)
    assert not list(tmp_path.iterdir())
