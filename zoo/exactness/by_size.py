"""Exactness by input size, predicted."""

from torch import nn

from zoo.errors import ModelError
from zoo.exactness.judge import Judge, generators, misalignment
from zoo.exactness.model_groups import checked_group

AROUND = 4
"""Pixels below and above its own input size at which a network is analysed for its card."""


def predicted(judge: Judge, size: int) -> tuple[float, bool]:
    """phi in input pixels, and whether every element survives; `ModelError` if the network cannot run at this size."""
    trace = judge.trace((size, size), generators(judge.group))
    exact = not any(trace.losses.values())
    return 0.0 if exact else float(max(misalignment(trace.layers))), exact


def phi_by_size(model: nn.Module, size: int, *, around: int = AROUND, in_chans: int | None = None) -> dict[int, float]:
    """Predicted misalignment, in input pixels, at the sizes about its own; 0 is exact, nothing is measured.

    Args:
        model: traced on shapes alone, once per size.
        size: pixels.
        around: how many pixels smaller and larger.
        in_chans: channels of the input; by default read from the first convolution.

    Returns:
        Size -> phi, in order, without the sizes at which the network cannot run or cannot be analysed.
    """
    judge, found = Judge(model, checked_group(model, None), in_chans), {}
    for pixels in range(max(1, size - around), size + around + 1):
        try:
            phi, exact = predicted(judge, pixels)
        except ModelError:
            continue
        if exact == (phi == 0):  # an operation that is not analysed breaks without a number
            found[pixels] = phi
    return found
