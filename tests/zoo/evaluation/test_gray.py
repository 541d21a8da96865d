"""Gray images and a network for colour: converted, and the report says so."""

import pytest
import torch
from torch import nn

from zoo import OpenedModel, Preprocessing, evaluate


@pytest.mark.parametrize(("channels", "takes", "said"), [(1, 3, True), (1, 1, False), (3, 3, False)])
def test_a_channel_that_is_repeated_is_noted(channels, takes, said):
    net = nn.Sequential(nn.Flatten(), nn.Linear(takes * 64, 2))
    images = torch.randint(0, 256, (4, channels, 8, 8), dtype=torch.uint8)
    report = evaluate(
        OpenedModel(net, Preprocessing(8, (0.5,) * takes, (0.5,) * takes)), (images, [0, 1, 0, 1]), angles=0, probe=0
    )
    assert ("repeated for the three" in report.note) is ("Note: the images have one channel" in str(report)) is said
