"""What an audit proves of random networks is what is measured; `python -m benchmarks.audit` does the same for more."""

from collections import Counter

import pytest

from tests.support.random_networks import RandomNetwork, measured_error
from zoo.exactness.recorder import NOT_FOLLOWED
from zoo.exactness.tracer import Tracer

pytestmark = pytest.mark.filterwarnings("ignore")  # torch says what it thinks of some of them
EACH = 30
SEEDS = range(0, 300, EACH)
ROUNDING = 1e-6
"""Of the output in float64, after layers that divide by small numbers."""


@pytest.mark.parametrize("start", SEEDS)
def test_no_element_that_is_proven_is_measured_to_be_broken(start):
    found = Counter[str]()
    for seed in range(start, start + EACH):
        net = RandomNetwork(seed)
        for element, loss in Tracer(net, 3).trace(net.size).losses.items():
            assert loss is None or NOT_FOLLOWED not in loss.note, (seed, loss)
            found["proven" if loss is None else "broken" if loss.broken else "unknown"] += 1
            if loss is None:
                error = measured_error(net, net.size, element)
                assert error < ROUNDING, (seed, str(element), error)
    assert min(found["proven"], found["broken"]) >= EACH / 3, "a control: both happen in many networks"
    assert found["unknown"] < found.total() / 3
