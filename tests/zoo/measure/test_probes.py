"""Probes: what they find where the answer is known, and what they refuse."""

import pytest
import torch
from torch import nn

from symdata.errors import ShapeError
from symdata.groups import Group
from zoo.errors import ModelError
from zoo.layers.regular import move
from zoo.measure.probes import PROBES, probe
from zoo.models.registry import create


class Given(nn.Module):
    """A network whose features are its images."""

    def forward_features(self, x):
        return x

    def forward_head(self, x, pre_logits=False):
        return x.flatten(1)


def blobs(n, shift, seed):
    """Two classes whose means are `shift` apart in each of 4 numbers, and 4 numbers of noise, which is larger."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (n,), generator=g)
    signal = torch.randn(n, 4, generator=g) + shift * labels[:, None]
    noise = torch.randn(n, 4, generator=g)
    return torch.cat([signal, 100 * noise], 1).view(n, 1, 2, 4).float(), labels


@pytest.mark.parametrize("kind", PROBES)
def test_what_can_be_told_apart_is_and_what_cannot_is_not(kind):
    apart = probe(Given(), blobs(200, 4.0, 0), blobs(400, 4.0, 1), kind, labels=100)
    alike = probe(Given(), blobs(200, 0.0, 0), blobs(400, 0.0, 1), kind, labels=100)
    assert apart.accuracy.value > 0.95
    low, high = alike.accuracy.interval
    assert low - 0.03 < 0.5 < high + 0.03
    assert (apart.labels, apart.features, apart.accuracy.count) == (100, 8, 400)


@pytest.mark.parametrize("kind", PROBES)
def test_the_same_call_gives_the_same_and_another_seed_other_labels(kind):
    data = blobs(200, 1.0, 0), blobs(400, 1.0, 1)
    first, again, other = (probe(Given(), *data, kind, labels=20, seed=seed) for seed in (0, 0, 1))
    assert first == again and first.accuracy != other.accuracy


def test_nearest_neighbours_are_those_of_the_definition():
    train, test = blobs(30, 1.0, 0), blobs(50, 1.0, 1)
    x, y = train[0].flatten(1).double(), train[1]
    mean, std = x.mean(0), x.std(0)
    right = 0
    for image, label in zip(test[0].flatten(1).double(), test[1], strict=True):
        cosines = torch.cosine_similarity((image - mean) / std, (x - mean) / std)
        right += int(y[cosines.argmax()] == label)
    assert probe(Given(), train, test, "knn", labels=30, neighbours=1).accuracy.correct == right


@pytest.mark.parametrize("pooled", [True, False])
def test_features_of_an_equivariant_network_are_invariant_pooled_or_not(pooled):
    model = create("p4cnn_12", in_chans=1, width=3, coset_pool=pooled, seed=0)
    images = torch.randn(60, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(60) % 3
    found = probe(model, (images, labels), (images, labels), labels=60)
    assert found.features == 3
    for element in list(Group(4).elements)[1:]:
        assert probe(model, (images, labels), (move(images, element), labels), labels=60) == found
    plain = create("z2cnn_12", in_chans=1, width=3, seed=0)
    upright = probe(plain, (images, labels), (images, labels), labels=60)
    assert probe(plain, (images, labels), (images.rot90(1, (-2, -1)), labels), labels=60) != upright


def test_bad_input_is_refused_in_a_sentence():
    data = blobs(20, 1.0, 0)
    for error, match, call in (
        (ModelError, "no probe 'linaer'; did you mean", lambda: probe(Given(), data, data, "linaer")),
        (
            ModelError,
            "labels is 300 and there are 20 training images; use labels 20",
            lambda: probe(Given(), data, data),
        ),
        (ModelError, "does not say what its features are", lambda: probe(nn.Flatten(), data, data, labels=9)),
        (ShapeError, "train has images", lambda: probe(Given(), (data[0], data[1][:3]), data, labels=9)),
    ):
        with pytest.raises(error, match=match):
            call()
