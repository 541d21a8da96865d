"""Learning rates against torch's own schedulers."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, StepLR

from zoo.training import TrainConfig
from zoo.training.schedule import learning_rate, make_optimizer, set_rate


def config(**fields) -> TrainConfig:
    return TrainConfig(data="d", model="p4cnn_28", **fields)


def parameters() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(1))]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize(("epochs", "steps"), [(1, 5), (3, 10), (10, 94), (1, 2)])
def test_one_cycle_is_torchs(optimizer, epochs, steps):
    c = config(optimizer=optimizer, epochs=epochs, lr=0.01)
    ours, theirs = (make_optimizer(c, parameters()) for _ in range(2))
    scheduler = OneCycleLR(theirs, max_lr=c.lr, total_steps=epochs * steps)
    for step in range(epochs * steps):
        set_rate(ours, c, step, steps)
        a, b = ours.param_groups[0], theirs.param_groups[0]
        assert a["lr"] == pytest.approx(b["lr"], rel=1e-12, abs=1e-18)
        moment = "momentum" if optimizer == "sgd" else "betas"
        assert a[moment] == pytest.approx(b[moment], rel=1e-12)
        theirs.step()
        if step + 1 < epochs * steps:
            scheduler.step()


@pytest.mark.parametrize("schedule", ["step", "cosine", "constant"])
def test_the_others_are_torchs(schedule):
    c = config(schedule=schedule, epochs=7, step_epochs=2, gamma=0.3, lr=0.2, optimizer="sgd", momentum=0.7)
    steps = 4
    theirs = make_optimizer(c, parameters())
    step_lr = StepLR(theirs, step_size=2 * steps, gamma=0.3)
    cosine = CosineAnnealingLR(make_optimizer(c, parameters()), T_max=7 * steps)
    for step in range(7 * steps):
        rates = {"step": step_lr.get_last_lr()[0], "cosine": cosine.get_last_lr()[0], "constant": 0.2}
        assert learning_rate(c, step, steps) == pytest.approx(rates[schedule], rel=1e-9)
        for scheduler in (step_lr, cosine):
            scheduler.optimizer.step()
            scheduler.step()
    assert theirs.param_groups[0]["momentum"] == 0.7


def test_a_rate_that_is_set_is_the_one_that_acts():
    c = config(optimizer="sgd", momentum=0.0, weight_decay=0.0, schedule="step", step_epochs=1, gamma=0.5, lr=1.0)
    (weight,) = parameters()
    optimizer = make_optimizer(c, [weight])
    moves = []
    for step in range(4):
        before = weight.item()
        set_rate(optimizer, c, step, 2)
        weight.grad = torch.ones(1)
        optimizer.step()
        moves.append(before - weight.item())
    assert moves == [1.0, 1.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)]
)
def test_the_optimiser_is_the_one_that_was_asked_for(name, kind):
    made = make_optimizer(config(optimizer=name, lr=0.3, weight_decay=0.02, momentum=0.6), parameters())
    (group,) = made.param_groups
    assert type(made) is kind and (group["lr"], group["weight_decay"]) == (0.3, 0.02)
    assert group["momentum"] == 0.6 if name == "sgd" else group["betas"] == (0.9, 0.999)
