"""Class weights: the loss is torch's weighted mean over the whole batch, whoever computes it."""

import json

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.support.training import MODEL, config, dataset, lines, run
from zoo.errors import ModelError
from zoo.models.registry import create
from zoo.training import TrainConfig, prepare
from zoo.training.batches import Batches
from zoo.training.weighting import class_weights

UNEVEN = (1.0, 2.5, 4.0, 0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=80)


def served(data, part=(0, 1), **changes) -> Batches:
    plan = prepare(config(data, **changes))
    weights = class_weights(plan.config, plan.data)
    return Batches(plan.config, plan.data.train, plan.preprocessing, torch.device("cpu"), part, weights)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_losses_are_those_of_a_loop_by_hand(data, tmp_path, smoothing):
    changes = {"optimizer": "sgd", "schedule": "constant", "lr": 0.01, "label_smoothing": smoothing, "epochs": 1}
    folder = run(data, out=str(tmp_path / "run"), log_every=1, class_weights=UNEVEN, **changes)
    model = create(MODEL, num_classes=4, in_chans=1, width=2, seed=0).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-5)
    losses, plain = [], []
    for batch in served(data, class_weights=UNEVEN, **changes).epoch(0):
        logits = model(batch.images)
        loss = cross_entropy(logits, batch.labels, weight=torch.tensor(UNEVEN), label_smoothing=smoothing)
        plain.append(float(cross_entropy(logits.detach(), batch.labels, label_smoothing=smoothing)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    found = [line["window_loss"] for line in lines(folder) if "window_loss" in line]
    assert found == pytest.approx(losses[:-1], rel=1e-5)
    assert found != pytest.approx(plain[:-1], rel=1e-3), "negative control: without weights"
    training = json.loads((folder / "config.json").read_text())["training"]
    assert training["class_weights"] == training["class_weight_values"] == list(UNEVEN)


@pytest.mark.parametrize("processes", [2, 3])
def test_the_parts_of_several_processes_add_up_to_the_mean_over_the_batch(data, processes):
    """Accelerate averages gradients over processes: that of sum x processes / weight is that of the whole mean."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(144, 4))
    weight = torch.tensor(UNEVEN)

    def gradient(loss):
        return torch.autograd.grad(loss, model[1].weight)[0]

    alone = list(served(data, class_weights=UNEVEN).epoch(0))
    parts = [list(served(data, (k, processes), class_weights=UNEVEN).epoch(0)) for k in range(processes)]
    for k, whole in enumerate(alone):
        assert whole.weight == pytest.approx(float(weight[whole.labels].sum())) and whole.weight != whole.size
        assert {part[k].weight for part in parts} == {whole.weight}
        sums = [cross_entropy(model(p[k].images), p[k].labels, weight=weight, reduction="sum") for p in parts]
        mean = sum(gradient(s * (processes / whole.weight)) for s in sums) / processes
        expected = gradient(cross_entropy(model(whole.images), whole.labels, weight=weight))
        assert torch.allclose(mean, expected, atol=1e-6)
        by_part = sum(  # negative control: the mean of the means of the parts
            gradient(cross_entropy(model(p[k].images), p[k].labels, weight=weight)) for p in parts
        )
        assert not torch.allclose(by_part / processes, expected, atol=1e-6)


def test_balanced_weights_count_the_images_that_are_trained_on(data):
    plan = prepare(config(data, class_weights="balanced", limit=50))
    counts = torch.bincount(plan.data.train.labels, minlength=4).double()
    assert len(set(counts.tolist())) > 1
    found = class_weights(plan.config, plan.data)
    assert torch.allclose(found, 50 / (4 * counts))
    assert torch.allclose((found * counts).sum() / 50, torch.tensor(1.0).double()), "the mean image weighs 1"


def test_equal_weights_are_none_whatever_their_scale(data, tmp_path):
    plain, tens = run(data, out=str(tmp_path / "a")), run(data, out=str(tmp_path / "b"), class_weights=(10, 10, 10, 10))
    losses = [[line["loss"] for line in lines(folder) if "loss" in line] for folder in (plain, tens)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    other = run(data, out=str(tmp_path / "c"), class_weights=UNEVEN)
    assert losses[0] != pytest.approx([line["loss"] for line in lines(other) if "loss" in line], rel=1e-2)


def test_they_are_written_as_text_or_as_numbers():
    read = [
        TrainConfig(data="d", model="m", class_weights=value).class_weights
        for value in ("1,2.5,4,0.5", [1, 2.5, 4, 0.5])
    ]
    assert read == [UNEVEN, UNEVEN]
    assert TrainConfig(data="d", model="m").class_weights == "none"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("1,2,3", r"class_weights has 3 numbers and .* has 4 classes \(O, X, A, F\); give one for each, in order"),
        ("1,2,3,0", "class_weights is '1,2,3,0', expected none, balanced, or a number from 1e-06"),
        ("equal", "class_weights is 'equal', expected none, balanced"),
        (("1", "nan", "1", "1"), "expected none, balanced"),
        (2.0, "expected none, balanced"),
    ],
)
def test_what_is_refused(data, value, sentence):
    with pytest.raises(ModelError, match=sentence):
        prepare(config(data, class_weights=value))


def test_a_class_without_images_has_no_balanced_weight(data):
    with pytest.raises(ModelError, match=r"class '\w' has no image among the 4 that are trained on"):
        prepare(config(data, class_weights="balanced", limit=4, batch_size=2))


def test_an_objective_that_weighs_images_alike(data):
    path = {"model": "z2pathcnn_12", "objective": "evidence", "path": "conv", "weight_decay": 0.0, "width": None}
    with pytest.raises(ModelError, match="objective 'evidence' computes the likelihood of all images"):
        prepare(config(data, class_weights="balanced", **path))
    prepare(config(data, **path))
