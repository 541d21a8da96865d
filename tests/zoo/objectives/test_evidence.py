"""The objective `evidence`: what it adds to the loss, when it learns, and that a stopped run goes on with it."""

import math

import pytest
import torch

from tests.support.training import config, dataset, lines, weights
from zoo import create, load
from zoo.errors import ModelError
from zoo.evidence import LaplaceEvidence
from zoo.objectives import objective_of, parse_objective
from zoo.objectives.evidence import EvidenceObjective, first, path_of
from zoo.training import train

CHANGES = {"model": "z2pathcnn_12", "path": "residual-factored", "epochs": 3, "weight_decay": 0.0, "lr": 0.002}
"""Of a run of a few seconds."""


def network(path="residual"):
    return create("z2pathcnn_8", path=path, width=2, num_classes=3, seed=0).eval()


def batches(count=10, size=4):
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.randn(count, 1, 8, 8, generator=generator), torch.arange(count) % 3
    return lambda: zip(images.split(size), labels.split(size), strict=True)


def test_the_text_comes_back():
    assert str(parse_objective("evidence")) == "evidence"
    assert str(parse_objective("evidence:burn_in=2,images=100")) == "evidence:burn_in=2,images=100"


def test_a_network_with_norms_is_refused():
    with pytest.raises(ModelError, match="without norms, and the model is a CNN; train a z2pathcnn_16"):
        objective_of(create("p4cnn_12", width=2), "evidence")
    assert isinstance(objective_of(network(), "evidence"), EvidenceObjective)


def test_the_penalty_is_that_of_the_priors():
    model = network()
    assert EvidenceObjective().penalty(model) is None  # before N is known
    model.examples.fill_(50)
    model.precisions.copy_(torch.arange(len(model.precisions)) + 1)
    penalty = EvidenceObjective().penalty(model)
    wanted = sum(
        (k + 1) * sum(float(p.detach().square().sum()) for p in layer.parameters(recurse=False)) / 100
        for k, layer in enumerate(model.layers.values())
    )
    assert math.isclose(float(penalty.detach()), wanted, rel_tol=1e-5)
    penalty.backward()
    assert torch.allclose(model.head.weight.grad, len(model.precisions) * model.head.weight / 50)


def test_an_update_is_one_fit_of_the_evidence():
    model, twin, objective = network(), network(), EvidenceObjective(burn_in=1, images=0, samples=0, steps=3)
    found = objective.after_epoch(model, 1, batches())
    images, labels = (torch.cat(parts) for parts in zip(*batches()(), strict=True))
    wanted = LaplaceEvidence(iterations=3).fit(twin, images, labels)
    assert math.isclose(found["evidence"], wanted.log_evidence_per_sample, rel_tol=1e-6)
    assert float(model.examples) == 10
    assert torch.allclose(model.precisions, torch.tensor([layer.precision for layer in wanted.layers]))
    assert not torch.equal(model.precisions, twin.precisions)
    kinds = {"evidence", "dimension_conv", "dimension_dense", "dimension_head"}
    assert set(found) == kinds
    total = sum(layer.effective_dimension for layer in wanted.layers)
    assert math.isclose(sum(found.values()) - found["evidence"], total, rel_tol=1e-6)


def test_an_update_goes_on_from_the_last_one():
    model = network()
    step = EvidenceObjective(images=0, samples=0, steps=1)
    step.after_epoch(model, 1, batches()), step.after_epoch(model, 2, batches())
    twice = network()
    EvidenceObjective(images=0, samples=0, steps=2).after_epoch(twice, 1, batches())
    assert torch.allclose(model.precisions, twice.precisions)


@pytest.mark.parametrize(("burn_in", "every", "epochs"), [(1, 1, [1, 2, 3, 4]), (2, 2, [2, 4]), (3, 1, [3, 4])])
def test_updates_come_when_they_are_asked_for(burn_in, every, epochs):
    objective, model = EvidenceObjective(burn_in=burn_in, every=every), network()
    assert [e for e in range(1, 5) if objective.after_epoch(model, e, batches())] == epochs


def test_an_update_looks_at_as_many_images_as_it_may():
    assert [len(labels) for _, labels in first(batches(), 6)] == [4, 2]
    assert [len(labels) for _, labels in first(batches(), 100)] == [4, 4, 2]
    assert path_of("trunk.block1.factored.paint") == "factored" and path_of("head") == "head"


def test_a_stopped_training_goes_on_with_its_precisions(tmp_path):
    data = dataset(tmp_path / "data", count=48)

    def stop(metrics):
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    whole = train(config(data, **CHANGES, objective="evidence", out=str(tmp_path / "whole")))
    with pytest.raises(KeyboardInterrupt):
        train(config(data, **CHANGES, objective="evidence", out=str(tmp_path / "part")), report=stop)
    part = train(config(data, **CHANGES, objective="evidence", out=str(tmp_path / "part")), resume=True)
    assert weights(part) == weights(whole)
    model = load(whole)
    assert float(model.examples) == 48 and (model.precisions != 1).all()
    epochs = [line for line in lines(whole) if "loss" in line]
    assert all({"evidence", "dimension_conv", "dimension_factored", "dimension_head"} <= set(e) for e in epochs)
    held = dict(zip(model.layer_names, model.effective_dimensions.tolist(), strict=True))
    factored = sum(value for name, value in held.items() if path_of(name) == "factored")
    assert math.isclose(factored, epochs[-1]["dimension_factored"], rel_tol=1e-4)
    assert model.architecture["path"] == "residual-factored"


def test_control_a_plain_training_learns_no_precisions(tmp_path):
    data = dataset(tmp_path / "data", count=48)
    model = load(train(config(data, **CHANGES, out=str(tmp_path / "plain"), objective="cross-entropy")))
    assert float(model.examples) == 0 and (model.precisions == 1).all()
