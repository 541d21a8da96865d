"""Networks built of `zoo.layers`: what the audit proves of them is what is measured of their outputs, size by size."""

import pytest
import torch
from torch import nn

from tests.support.built_networks import NETWORKS, Mean, classifier
from tests.support.layers import relative
from zoo.exactness.arithmetic import EXACT_ERROR
from zoo.exactness.audits import audit
from zoo.layers import GroupPool, LiftingConv2d
from zoo.layers.regular import lattice_group, move
from zoo.measure.feature_error import checked_audit

GROUPS = ("c4", "d1", "d4")
SIZES = range(5, 13)


EXACT = {"classifier": (5, 7, 9, 11), "transposed": (6, 8, 10, 12)}


def measured(model, size, group):
    """The largest relative error of the output, a map or a vector of invariants, on noise in float64."""
    x, worst = torch.randn(2, 2, size, size, dtype=torch.float64), 0.0
    with torch.no_grad():
        before = model(x)
        for e in lattice_group(group).elements:
            worst = max(worst, relative(model(move(x, e)), move(before, e) if before.ndim == 4 else before))
    return worst


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_proven_is_what_is_measured(kind, group):
    torch.manual_seed(0)
    model = NETWORKS[kind](group).double().eval()
    found = {}
    for size in SIZES:
        made, error = audit(model, size, reach=0), measured(model, size, group)
        assert made.scope == "function" and made.outcome in ("exact", "approximate"), made.verdict
        assert (made.outcome == "exact") == (error < EXACT_ERROR), f"{made.verdict}: {error}"
        found[size] = made.exact
    assert tuple(size for size, exact in found.items() if exact) == EXACT.get(kind, (6, 9, 12))


def test_the_measured_audit_agrees():
    torch.manual_seed(0)
    for kind, size in (("classifier", 9), ("classifier", 8), ("transposed", 8), ("transposed", 9), ("nearest", 6)):
        assert checked_audit(NETWORKS[kind]("d4"), size).agrees


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(16, 16, 4, 2, 1),
        nn.ConvTranspose2d(16, 16, 4, 2, 1, groups=2),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.Upsample(scale_factor=1.5),
    ],
)
def test_control_layers_that_no_group_ties_are_never_called_exact(layer):
    torch.manual_seed(0)
    model = nn.Sequential(LiftingConv2d("d4", 2, 2, 3, padding=1), layer, GroupPool("d4", "mean")).double().eval()
    assert audit(model, 9, reach=0).outcome != "exact" and measured(model, 9, "d4") > 1e-3


def test_control_a_linear_head_on_orientations_is_not_invariant_and_is_said_to_be_none():
    torch.manual_seed(0)
    model = nn.Sequential(LiftingConv2d("c4", 2, 2, 3, padding=1), nn.ReLU(), Mean(), nn.Linear(8, 3)).double().eval()
    assert audit(model, 9, reach=0).weighs_orientations and measured(model, 9, "c4") > 1e-3


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_equal_filters_are_no_obstacle(scale):
    """Rows that are equal may be permuted in several ways: the layer's own is tried first."""
    torch.manual_seed(0)
    model = classifier("d4").double().eval()
    for parameter in model.parameters():
        nn.init.constant_(parameter, scale)
    assert audit(model, 9, reach=0).outcome == "exact"
