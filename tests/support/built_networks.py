"""Small networks as a user builds them of `zoo.layers`, for images of two channels."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from zoo.layers import (
    GroupAvgPool2d,
    GroupBatchNorm2d,
    GroupConv2d,
    GroupConvTranspose2d,
    GroupDropout,
    GroupLinear,
    GroupPool,
    GroupResidualBlock,
    GroupUpsampleConv2d,
    LiftingConv2d,
)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


def classifier(group: str) -> nn.Module:
    """Odd sizes are exact: a stride of 2 in a residual block."""
    return nn.Sequential(
        LiftingConv2d(group, 2, 4, 3, padding="same", groups=2),
        GroupConv2d(group, 4, 4, 3, padding="same", groups=4),
        GroupResidualBlock(group, 4, 3, stride=2),
        GroupDropout(group, 0.5),
        Mean(),
        GroupLinear(group, 3, 4),
        nn.ReLU(),
        GroupLinear(group, 4, 5, invariant=True),
    )


def transposed(group: str) -> nn.Module:
    """Even sizes are exact: 2x2 means, and then twice the size."""
    return nn.Sequential(
        LiftingConv2d(group, 2, 4, 3, padding="same"),
        GroupBatchNorm2d(group, 4),
        nn.ReLU(),
        GroupAvgPool2d(2),
        GroupConvTranspose2d(group, 4, 2, 4, stride=2, padding=1, groups=2),
        nn.ReLU(),
        GroupConv2d(group, 2, 2, 3, padding="same", groups=2),
        GroupPool(group),
    )


def enlarged(group: str, mode: Any = "nearest", corners: bool = False) -> nn.Module:
    """Exact at every third size for a stride of 3 and a window of 3 without padding."""
    return nn.Sequential(
        LiftingConv2d(group, 2, 2, 3, stride=3),
        nn.ReLU(),
        GroupUpsampleConv2d(group, 2, 4, scale=3, mode=mode, align_corners=corners, groups=2),
        nn.ReLU(),
        GroupPool(group, "mean"),
    )


NETWORKS: dict[str, Callable[[str], nn.Module]] = {
    "classifier": classifier,
    "transposed": transposed,
    "nearest": enlarged,
    "bilinear": lambda group: enlarged(group, "bilinear"),
    "corners": lambda group: enlarged(group, "bilinear", True),
}
"""Name -> the network over a group."""
