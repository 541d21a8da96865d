"""Inside an epoch: the rate of each step, the masks of dropout, and the validation that changes nothing."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy

from symdata.store import load
from tests.support.training import config, dataset, lines, run
from zoo.checkpoint.folder import read_checkpoint
from zoo.training.loop import _seed_dropout
from zoo.training.schedule import learning_rate


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data")


def test_every_step_has_the_rate_of_its_schedule(data, tmp_path):
    """96 images in batches of 16 are 6 steps; step 1 has the first rate, and step 12 the last."""
    found = lines(run(data, out=str(tmp_path / "run"), log_every=1, schedule="cosine", lr=0.02))
    c = config(data, schedule="cosine", lr=0.02)
    assert [line["step"] for line in found] == list(range(1, 13))
    assert [line["lr"] for line in found] == pytest.approx([learning_rate(c, step, 6) for step in range(12)], rel=1e-12)
    assert found[0]["lr"] == 0.02


def test_validation_is_that_of_the_finished_network(data, tmp_path):
    """Without dropout, and with the statistics of the training images: as whoever loads the model will see it."""
    folder = run(data, out=str(tmp_path / "run"), epochs=1, dropout=0.5, width=8)
    held_out, checkpoint = load(data, "validation"), read_checkpoint(folder)
    with torch.no_grad():
        logits = checkpoint.model.eval()(checkpoint.preprocessing(held_out.images()))
    labels = held_out.labels
    line = lines(folder)[-1]
    assert line["validation_loss"] == pytest.approx(float(cross_entropy(logits, labels)), rel=1e-4)
    assert line["validation_accuracy"] == pytest.approx(float((logits.argmax(1) == labels).double().mean()))


def masks(seed=0, epoch=0, process=0):
    with torch.random.fork_rng():
        _seed_dropout(seed, epoch, SimpleNamespace(process_index=process, device=torch.device("cpu")))
        return torch.nn.functional.dropout(torch.ones(256), 0.5).tolist()


def test_dropout_differs_by_epoch_by_process_and_by_seed():
    usual = masks()
    assert masks() == usual
    others = [masks(epoch=1), masks(epoch=2), masks(process=1), masks(seed=1)]
    assert all(other != usual for other in others)
    assert len({tuple(other) for other in others}) == 4
