"""Networks of one's own for the tests, as a user writes them into mynet.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.commands import reader

NET = '''
"""Small networks."""
from pathlib import Path

import torch
from torch import nn
import torch.nn.functional as F

Path("imported").write_text("mynet was imported")


def build(num_classes: int, in_chans: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_chans, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes),
    )


def channels(in_chans: int = 1) -> nn.Module:
    return build(4, in_chans)


def wider(num_classes: int) -> nn.Module:
    net = build(num_classes)
    net[0], net[1], net[6] = nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.Linear(5, num_classes)
    return net


class Net(nn.Module):
    """Four classes, whatever the data have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 4)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))


def of_kwargs(**kwargs):
    return build(**kwargs)


def classes_alone(**kwargs):
    return wider(**kwargs)


class Noisy(Net):
    def forward(self, x):
        return super().forward(F.dropout(x, 0.5))


class Tuple(Net):
    def forward(self, x):
        y = super().forward(x)
        return (y, y) if self.training else y


class Map(Net):
    def forward(self, x):
        return self.conv(x)


class NoGradients(Net):
    def forward(self, x):
        return super().forward(x).detach()


class Frozen(Net):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)


class Colour(Net):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)


class Named(Net):
    classes = 4


class Lazy(Net):
    def __init__(self):
        super().__init__()
        self.head = nn.LazyLinear(4)


class Fails(Net):
    """After three batches."""

    seen = 0

    def forward(self, x):
        Fails.seen += self.training
        if Fails.seen > 4:
            raise KeyError("batch")
        return super().forward(x)


class Many(Net):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 64, 3), nn.Linear(64, 4)


class Extra(Net):
    def get_extra_state(self):
        return {"steps": 1}


ready = Net()
'''


@contextmanager
def own_networks(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`place` as the current folder, with mynet.py in it, which no other test has imported nor will find."""
    monkeypatch.chdir(place)
    with reader(place, monkeypatch, NET):
        yield place
