"""Rectangles: elements that swap the sides are proven from two runs, which have to do the same things."""

import torch

from zoo.exactness.calls import Call
from zoo.exactness.rules.folding import FOLDING
from zoo.exactness.rules.movement import MOVEMENT
from zoo.exactness.rules.pointwise import POINTWISE
from zoo.exactness.rules.products import PRODUCTS
from zoo.exactness.rules.windows import PROBES

BOTH = {*MOVEMENT, *FOLDING, *PROBES}
"""Operations whose rules read the arguments of both runs, such as the sizes of a view."""
COMPARED = {*POINTWISE, *PRODUCTS}
"""Operations whose rules compare the constants of both runs."""
OTHERWISE = "does other things with the turned rectangle"


def same(call: Call, twin: Call) -> bool:
    """Whether a call does in its run what another does in the run on the turned rectangle."""
    if call.operation != twin.operation or list(call.births) != list(twin.births) or twin.is_stale():
        return False
    if call.operation == "constant_pad_nd":  # the sides may differ, the value may not
        return list(call.args[2:]) == list(twin.args[2:])
    if call.operation in BOTH:
        return True
    if call.settings() != twin.settings():
        return False
    mine, theirs = call.constants, twin.constants
    return call.operation in COMPARED or (
        len(mine) == len(theirs)
        and all(a is b or (a.shape == b.shape and torch.equal(a, b)) for a, b in zip(mine, theirs, strict=True))
    )
