"""torch.jit.trace: the filters are expanded in the trace, from its own weights, whatever the layer had kept before."""

import pytest
import torch

from zoo import create


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # of shapes that are checked
@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("name", ["z2cnn_12", "p4cnn_12", "p4mcnn_12", "c8cnn_12", "z2pathcnn_28"])
def test_weights_that_are_loaded_into_a_trace_are_used(name, gradients):
    first, second = (create(name, num_classes=3, in_chans=1, width=4, seed=seed).eval() for seed in (0, 1))
    x = torch.randn(2, 1, 12, 12) if name.endswith("12") else torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        wanted, other = first(x), second(x)  # now the filter banks are kept
    with torch.set_grad_enabled(gradients):
        traced, second = (torch.jit.trace(model, x) for model in (first, second))
        assert traced(x).allclose(wanted, atol=1e-5)
        traced.load_state_dict(second.state_dict())
        assert traced(x).allclose(other, atol=1e-5) and not other.allclose(wanted, atol=1e-3)
