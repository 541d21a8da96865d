"""Heads: logits move with the labels; the contrastive loss stays where any view is turned."""

import pytest
import torch

from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers.regular import act_on_features, move
from zoo.models.registry import create
from zoo.pretraining import (
    TASKS,
    ContrastiveHead,
    EquivariantLabelHead,
    InvariantLabelHead,
    act_on_labels,
    contrastive_loss,
    label_orbits,
    similarity,
)
from zoo.pretraining.contrastive import SIMILARITIES, partners

EVERY = pytest.mark.parametrize("kind", TASKS.values(), ids=list(TASKS))


@EVERY
@pytest.mark.parametrize("group", ["c1", "c4", "d2", "d4"])
def test_logits_move_with_the_labels(kind, group):
    task = kind(group)
    head = EquivariantLabelHead(task, 3).double()
    torch.nn.init.normal_(head.bias)
    parsed = Group.parse(group)
    x = torch.randn(2 * task.pieces, 3 * parsed.order, dtype=torch.float64)
    for element in parsed.elements:
        moved = act_on_labels(task, element, torch.arange(len(task.classes)))
        torch.testing.assert_close(head(act_on_features(x, element, group))[:, moved], head(x))


@EVERY
def test_a_free_linear_map_does_not(kind):
    task = kind("c4")
    linear = torch.nn.Linear(12 * task.pieces, len(task.classes))
    x = torch.randn(2 * task.pieces, 12)
    element = list(Group(4).elements)[1]
    turned = act_on_features(x, element, "c4").unflatten(0, (-1, task.pieces)).flatten(1)
    moved = act_on_labels(task, element, torch.arange(len(task.classes)))
    assert not torch.allclose(linear(turned)[:, moved], linear(x.unflatten(0, (-1, task.pieces)).flatten(1)))


@EVERY
def test_the_head_has_as_many_weights_as_equivariant_maps_have_dimensions(kind):
    """The projection onto the equivariant maps has rank labels x fields, and none is left out."""
    task = kind("d4")
    head = EquivariantLabelHead(task, 1)
    assert head.weight.numel() == len(task.classes) * task.pieces
    assert head.bias.numel() == len(label_orbits(task))


@pytest.mark.parametrize("kind", [TASKS["erased-quadrant"], TASKS["rotation"], TASKS["relative-patch"]])
def test_a_network_with_the_head_follows_the_images(kind):
    task = kind("c4")
    model = create("p4cnn_13", in_chans=1, width=3, num_classes=0, coset_pool=False, seed=0).eval().double()
    head = EquivariantLabelHead(task, 3).double()
    images = torch.randn(3 * task.pieces, 1, 13, 13, dtype=torch.float64)
    size = 12
    images = images[..., :size, :size]
    for element in Group(4).elements:
        moved = act_on_labels(task, element, torch.arange(len(task.classes)))
        with torch.no_grad():
            torch.testing.assert_close(head(model(move(images, element)))[:, moved], head(model(images)))


def test_the_invariant_head_gives_the_same_to_all_elements():
    task = TASKS["erased-quadrant"]("c4")
    model = create("p4cnn_12", in_chans=1, width=3, num_classes=0, seed=0).eval().double()
    head = InvariantLabelHead(task, 3).double()
    image = torch.randn(1, 1, 12, 12, dtype=torch.float64)
    tables = []
    with torch.no_grad():
        for element in Group(4).elements:
            tables.append(head(model(move(task(image, torch.tensor([0])), element))))
    torch.testing.assert_close(torch.cat(tables), tables[0].expand(4, -1))


@pytest.mark.parametrize("over", SIMILARITIES)
@pytest.mark.parametrize("group", ["c4", "d4"])
def test_the_loss_stays_when_one_view_turns_and_the_plain_one_does_not(over, group):
    torch.manual_seed(0)
    a, b = torch.randn(2, 6, 5 * Group.parse(group).order, dtype=torch.float64)
    before = contrastive_loss(a, b, group, over)
    changes = []
    for element in list(Group.parse(group).elements)[1:]:
        changes.append(abs(float(contrastive_loss(a, act_on_features(b, element, group), group, over) - before)))
    assert min(changes) > 1e-4 if over == "plain" else max(changes) < 1e-9


@pytest.mark.parametrize("group", ["c4", "d4"])
def test_each_vector_may_turn_by_its_own_element(group):
    torch.manual_seed(0)
    z = torch.randn(4, 3 * Group.parse(group).order, dtype=torch.float64)
    elements = list(Group.parse(group).elements)
    moved = torch.cat([act_on_features(z[[i]], elements[i % len(elements)], group) for i in range(4)])
    torch.testing.assert_close(similarity(moved, z, group), similarity(z, z, group))
    torch.testing.assert_close(similarity(z, z, group).diagonal(), torch.ones(4, dtype=torch.float64))


def test_the_loss_is_that_of_its_definition():
    torch.manual_seed(0)
    a, b = torch.randn(2, 3, 8, dtype=torch.float64)
    views = torch.stack([a, b], 1).flatten(0, 1)
    wanted = 0.0
    for i in range(6):
        scores = {
            k: max(
                torch.cosine_similarity(views[i], act_on_features(views[[k]], e, "c4")[0], dim=0)
                for e in Group(4).elements
            ) / 0.5
            for k in range(6) if k != i
        }  # fmt: skip
        wanted -= scores[i ^ 1] - torch.logsumexp(torch.stack(list(scores.values())), 0)
    torch.testing.assert_close(contrastive_loss(a, b, "c4", temperature=0.5).double(), wanted / 6, rtol=1e-5, atol=1e-6)


def test_a_view_is_never_compared_with_itself():
    logits = ContrastiveHead("c4")(torch.randn(6, 8))
    assert torch.isneginf(logits.diagonal()).all()
    assert partners(6).tolist() == [1, 0, 3, 2, 5, 4]


def test_an_unknown_similarity_is_refused():
    with pytest.raises(ModelError, match="no similarity 'maxx'"):
        similarity(torch.randn(2, 4), torch.randn(2, 4), "c4", "maxx")
