"""What is proven of the result of each torch operation: one table, by the operation's name at the dispatcher.

An operation that is not in the table loses every element that moves its input: nothing is known of it.
"""

from zoo.exactness.calls import Rule
from zoo.exactness.rules.folding import FOLDING
from zoo.exactness.rules.movement import MOVEMENT
from zoo.exactness.rules.pointwise import POINTWISE
from zoo.exactness.rules.products import PRODUCTS
from zoo.exactness.rules.reductions import REDUCTIONS
from zoo.exactness.rules.windows import PROBES, WINDOWS

RULES: dict[str, Rule] = {**MOVEMENT, **POINTWISE, **REDUCTIONS, **PRODUCTS, **WINDOWS, **FOLDING}
"""Operation -> rule."""

STRETCHES = {"expand", "repeat", *PROBES}
"""Operations whose rules have something to say even of a tensor that does not move: that entries are equal."""
