"""A model that keeps something from one image and uses it on the next is not called exact."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.exactness.memory import Memory


class Remembering(nn.Module):
    """A convolution and a step that can write to the module, and so to what the next image meets."""

    def __init__(self, step: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.filters, self.step = nn.Conv2d(1, 4, 3, padding=1), step
        self.kept: Tensor | None = None
        self.register_buffer("images", torch.zeros(()), persistent=False)
        self.notes: dict[str, Any] = {"count": 0}

    def forward(self, x: Tensor) -> Tensor:
        return self.step(self, self.filters(x)).mean((2, 3))


def keeps_its_map(net: Any, x: Tensor) -> Tensor:
    net.kept = x
    return x


def makes_positions_later(net: Any, x: Tensor) -> Tensor:
    if net.kept is None:
        net.kept = torch.arange(x.shape[-1]).to(x.dtype)
        return x
    return x * net.kept


def makes_positions_at_once(net: Any, x: Tensor) -> Tensor:
    if net.kept is None or net.kept.shape[-1] != x.shape[-1]:
        net.kept = torch.ones(x.shape[-1], dtype=x.dtype)
    return x * net.kept


def adds_the_last_mean(net: Any, x: Tensor) -> Tensor:
    last = net.kept
    net.kept = x.mean()
    return x if last is None else x + last


def adds_the_first_mean(net: Any, x: Tensor) -> Tensor:
    if net.kept is None:
        net.kept = x.mean()
    return x + net.kept


def counts(net: Any, x: Tensor) -> Tensor:
    net.notes["count"] += 1
    return x if net.notes["count"] < 5 else x * torch.arange(x.shape[-1])


def counts_in_a_buffer(net: Any, x: Tensor) -> Tensor:
    net.images += 1
    return x + net.images


@pytest.mark.parametrize("step", [keeps_its_map, makes_positions_at_once])
def test_what_is_kept_and_never_read_or_made_anew_does_not_matter(step: Any) -> None:
    assert zoo.audit(Remembering(step), 8, reach=2).outcome == "exact"


def test_a_step_that_begins_with_the_second_image_is_seen() -> None:
    report = zoo.audit(Remembering(makes_positions_later), 8, reach=2)
    assert report.outcome == "approximate" and not report.nearest


@pytest.mark.parametrize("step", [adds_the_last_mean, adds_the_first_mean])
def test_what_an_earlier_image_left_behind_is_unknown(step: Any) -> None:
    report = zoo.audit(Remembering(step), 8, reach=2)
    assert report.outcome == "unknown" and report.first_loss is not None and not report.nearest
    assert "left behind by an earlier image" in report.first_loss.note


@pytest.mark.parametrize("step", [counts, counts_in_a_buffer])
def test_a_model_that_changes_in_every_run_is_unknown(step: Any) -> None:
    report = zoo.audit(Remembering(step), 8, reach=2)
    assert report.outcome == "unknown" and report.first_loss is not None
    assert "changes in every run" in report.first_loss.note


def test_at_another_size_what_was_left_behind_is_still_unknown() -> None:
    assert zoo.exact_sizes(Remembering(adds_the_first_mean), range(6, 9)) == ()
    assert zoo.exact_sizes(Remembering(keeps_its_map), range(6, 9)) == (6, 7, 8)


def test_the_model_itself_is_not_changed() -> None:
    net = Remembering(counts)
    before = Memory(net)
    zoo.audit(net, 8, reach=0)
    assert before.changed(Memory(net)) == ()


@pytest.mark.parametrize("size", [(8, 6), (6, 8)])
def test_on_rectangles_too(size: tuple[int, int]) -> None:
    assert zoo.audit(Remembering(keeps_its_map), size, reach=0).outcome == "exact"
    assert zoo.audit(Remembering(adds_the_last_mean), size, reach=0).outcome == "unknown"


def test_memory_names_what_changed_and_meets_cycles() -> None:
    net = Remembering(keeps_its_map)
    net.notes["self"] = net.notes
    before = Memory(net)
    assert before.changed(Memory(net)) == ()
    with torch.no_grad():
        net.filters.weight += 1
    net.notes["more"], net.kept = [1, {"a"}], torch.zeros(2)
    new = ("notes.more", "notes.more.0", "notes.more.1", "notes.more.1.0")
    assert before.changed(Memory(net)) == ("filters.weight", "kept", *new)
    same = Memory(net)
    net.kept = torch.zeros(2)
    assert same.changed(Memory(net)) == ()
