"""Networks that say float32 inside, as poolings and gates of escnn do, are measured in float64."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from symdata.groups import Group
from tests.support.steerable import pooling_classifier
from zoo.evaluation.structure import structure
from zoo.measure import invariance_error, local_equivariance_error
from zoo.measure.double_precision import DoublePrecision


class Pooled(nn.Module):
    """Writes its result into a float32 tensor, as GroupPooling of escnn does, before a linear layer."""

    def __init__(self, dtype: torch.dtype | str | None) -> None:
        super().__init__()
        self.head, self.dtype = nn.Linear(9, 4), dtype

    def forward(self, x):
        out = torch.empty(len(x), 9, dtype=x.dtype if self.dtype == "input's" else self.dtype)
        out[:] = x.unfold(2, 3, 3).unfold(3, 3, 3).amax((-2, -1)).flatten(1)
        return self.head(out)


IMAGES = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float32, None], ids=["named", "by default"])
def test_a_network_with_float32_inside_has_the_errors_of_one_without(dtype):
    torch.manual_seed(0)
    net = Pooled(dtype)
    with pytest.raises(RuntimeError, match="must have the same dtype"):  # the negative control
        deepcopy(net).double()(IMAGES.double())
    clean = Pooled("input's")
    clean.load_state_dict(net.state_dict())
    for measured in (
        lambda model: invariance_error(model, IMAGES, "d4").to_dict(),
        lambda model: structure(model, IMAGES).logits,
        lambda model: local_equivariance_error(model, IMAGES, "rotation").value.value,
    ):
        assert measured(net) == measured(clean)


def test_other_types_and_copies_in_float64_are_left_alone():
    with DoublePrecision():
        made = [torch.zeros(2), torch.arange(3), torch.full((2,), 1), torch.zeros(2, dtype=torch.bool), torch.empty(1)]
    found = [tensor.dtype for tensor in made]
    assert found == [torch.float64, torch.int64, torch.int64, torch.bool, torch.float64]
    assert torch.zeros(2).dtype == torch.float32


@pytest.mark.parametrize("kind", ["GroupPooling", "NormPool", "NormMaxPool", "GatedNonLinearity1"])
def test_a_classifier_of_escnn_that_pools(kind):
    images = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    net = pooling_classifier(kind)
    found = invariance_error(net, images, Group(4))
    again = invariance_error(net, images, Group(4), dtype=torch.float32)
    for exact, rounded in zip(found.errors, again.errors, strict=True):
        assert rounded.value == pytest.approx(exact.value, rel=1e-3, abs=1e-5)
    assert len(structure(net, images).logits) == 8
