"""Small networks of the zoo's own classes: the tests of the layers and of exactness share them."""

from zoo.models.families.cnn import CNN
from zoo.models.families.knight import Knight
from zoo.models.families.resnet import ResNet
from zoo.models.names import ModelName
from zoo.models.registry import create

EXACT, BROKEN = 1e-9, 1e-3
"""A feature error is below the one or above the other."""


def cnn(group, fields, pools=1, padding=1):
    return CNN(group, fields, pools=pools, padding=padding)


def resnet(group, width, blocks=1, stages=3):
    """Three stages with strides 1, 2, 2; one block each instead of seven."""
    return ResNet(group, [width << stage for stage in range(stages)], blocks)


def knight(kernel=3, stride=2, padding=1):
    return Knight("c4", kernel=kernel, stride=stride, padding=padding)


NARROW = {"resnet44": (2, 3, 4), "pcamresnet44": (2, 3, 4), "resnet18": (2, 2, 3, 4)}


def small(name, **options):
    """The network of that name with a few fields."""
    return create(name, width=NARROW.get(ModelName.parse(name).architecture, 3), seed=0, **options)
