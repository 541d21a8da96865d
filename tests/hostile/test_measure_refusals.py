"""Lie derivatives of what cannot be measured, or not in float64: one sentence with the mend."""

import pytest
import torch
from torch import nn

from symdata.errors import ShapeError, SymmetryError
from zoo import ModelError
from zoo.measure import lie_derivative, local_equivariance_error

NOISE = torch.rand(4, 1, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def energy(x):
    return x.flatten(1).square().sum(1, keepdim=True)


class InFloat32(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.detach().numpy().astype("float32")).flatten(1)


class CastsToFloat32(nn.Module):
    def forward(self, x):
        return x.float().flatten(1)


@pytest.mark.parametrize(
    ("model", "inputs", "options", "error", "sentence"),
    [
        (energy, NOISE, {"generator": "mirror"}, SymmetryError, "has no generator"),
        (energy, NOISE, {"output": "probabilities"}, ModelError, "output is 'probabilities', expected one of logits"),
        (energy, NOISE, {"method": "forward"}, ModelError, "method is 'forward', expected one of central, jvp"),
        (energy, NOISE, {"step": -1.0}, ModelError, "step is -1.0, expected a number above 0"),
        (energy, NOISE, {"padding": "wrap"}, SymmetryError, "padding is 'wrap'"),
        (energy, NOISE, {"out_action": "turn"}, ModelError, "out_action is 'turn', expected invariant or image"),
        (energy, NOISE, {"out_action": "image"}, ModelError, "are no images, so out_action='image' cannot move them"),
        (energy, NOISE, {"dtype": torch.float16}, ModelError, "dtype is torch.float16, expected torch.float64"),
        (energy, NOISE.byte(), {}, ShapeError, "preprocess the images first"),
        (energy, NOISE[:0], {}, ShapeError, "preprocess the images first"),
        (energy, [1.0], {}, ShapeError, "inputs are list, expected a tensor"),
        ("energy", NOISE, {}, ModelError, "the model is a str, expected a torch module or a function of images"),
        (InFloat32(), NOISE, {}, ModelError, "gives torch.float32 for torch.float64 images"),
        (lambda x: (x, x), NOISE, {}, ModelError, "gives tuple for images"),
        (lambda x: x.flatten(1) / 0, NOISE, {}, ModelError, "outputs that are not finite"),
        (nn.Conv2d(3, 1, 3), NOISE, {}, ModelError, "Conv2d cannot run on images"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(model, inputs, options, error, sentence):
    with pytest.raises(error, match=sentence) as raised:
        lie_derivative(model, inputs, **options)
    assert "\n" not in str(raised.value)


def test_models_that_cast_to_float32_are_measured_in_float64():
    exact = local_equivariance_error(lambda x: x.flatten(1), NOISE, method="jvp")
    for method in ("jvp", "central"):
        found = local_equivariance_error(CastsToFloat32(), NOISE, method=method)
        assert found.value.value == pytest.approx(exact.value.value, rel=1e-12 if method == "jvp" else 1e-4)
    rounded = local_equivariance_error(CastsToFloat32(), NOISE, dtype=torch.float32, method="jvp")
    assert 1e-12 < abs(rounded.value.value / exact.value.value - 1) < 1e-4


class NoForwardMode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


def test_a_missing_derivative_is_named_and_central_differences_offered():
    with pytest.raises(ModelError, match=r"cannot be differentiated: .*; use method='central'"):
        lie_derivative(lambda x: NoForwardMode.apply(x).flatten(1), NOISE, method="jvp")
    assert lie_derivative(lambda x: NoForwardMode.apply(x).flatten(1), NOISE).values.abs().max() > 0
