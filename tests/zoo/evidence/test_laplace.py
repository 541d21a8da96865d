"""The evidence by Laplace's method, compared with the whole Gauss-Newton matrix and with Gaussians."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zoo.errors import ModelError
from zoo.evidence import Evidence, LaplaceEvidence
from zoo.evidence.kfac import Curvature, LayerCurvature, _read, curvature, roots
from zoo.evidence.laplace import HIGHEST, effective_dimension, fixed_point, log_evidence
from zoo.layers.spatial_layers import ChannelExpansion, ChannelReduction, DenseSpatial2d, FactoredSpatial2d
from zoo.models.registry import create

EXACT = 1e-10


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def gauss_newton(model, images, names):
    """Sum over images of J^T (diag p - p p^T) J for these parameters, by torch.func alone."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def logits(some, image):
        return torch.func.functional_call(model, parameters | some, (image[None],))[0]

    some = {name: parameters[name] for name in names}
    rows = torch.func.vmap(torch.func.jacrev(logits), (None, 0))(some, images)
    jacobian = torch.cat([rows[name].flatten(2) for name in names], -1)  # (n, classes, P)
    p = model(images).detach().softmax(1)
    return torch.einsum("nkp,nkl,nlq->pq", jacobian, torch.diag_embed(p) - p[:, :, None] * p[:, None], jacobian)


def spectrum(matrix):
    return torch.linalg.eigvalsh(matrix).clamp(min=0).sort().values


def labels(images, classes=3):
    return torch.arange(len(images)) % classes


def blocks(model, images, **options):
    found = curvature(model, [(images, labels(images))], **options)
    return {block.name: block for block in found.blocks}


class Linear(nn.Linear):
    """On images (B, 1, 1, d)."""

    def forward(self, x):
        return super().forward(x.flatten(1))


def flat(*layers):
    return nn.Sequential(*layers, nn.Flatten()).double()


@pytest.mark.parametrize("bias", [True, False])
def test_one_linear_layer_and_one_image_is_exact(bias):
    model, image = flat(nn.Flatten(), nn.Linear(4, 3, bias=bias)), noise(1, 1, 1, 4)
    names = [name for name, _ in model.named_parameters()]
    block = blocks(model, image)["1"]
    assert (block.eigenvalues.sort().values - spectrum(gauss_newton(model, image, names))).abs().max() < EXACT
    assert block.parameters == sum(p.numel() for p in model.parameters())
    assert math.isclose(block.squared_norm, sum(float(p.detach().square().sum()) for p in model.parameters()))


def test_many_images_are_exact_where_their_predictions_are_alike_and_only_there():
    model, images = flat(nn.Flatten(), nn.Linear(4, 3)), noise(7, 1, 1, 4)
    names = ["1.weight", "1.bias"]
    gap = (blocks(model, images)["1"].eigenvalues.sort().values - spectrum(gauss_newton(model, images, names))).abs()
    assert gap.max() > 1e-2
    nn.init.zeros_(model[1].weight)  # p is that of the bias for every image: a and g are independent
    block = blocks(model, images)["1"]
    assert (block.eigenvalues.sort().values - spectrum(gauss_newton(model, images, names))).abs().max() < EXACT


def test_evidence_of_a_linear_model_is_that_of_the_whole_matrix():
    model, images, delta = flat(nn.Flatten(), nn.Linear(4, 3)), noise(7, 1, 1, 4), 0.7
    nn.init.zeros_(model[1].weight)
    y = labels(images)
    whole = gauss_newton(model, images, ["1.weight", "1.bias"])
    theta = torch.cat([p.detach().flatten() for p in model.parameters()])
    likelihood = model(images).detach().log_softmax(1).gather(1, y[:, None]).sum()
    identity = torch.eye(15, dtype=torch.float64)
    volume = torch.linalg.slogdet(whole + delta * identity).logabsdet - 15 * math.log(delta)
    wanted = likelihood - (delta * theta.square().sum() + volume) / 2
    found = LaplaceEvidence(precision=delta, iterations=0, batch_size=2).fit(model, images, y)
    assert math.isclose(found.log_evidence_per_sample * 7, float(wanted), abs_tol=EXACT)
    assert math.isclose(found.log_likelihood_per_sample * 7, float(likelihood), abs_tol=EXACT)
    gamma = torch.linalg.solve(whole + delta * identity, whole).trace()
    assert math.isclose(found.layers[0].effective_dimension, float(gamma), abs_tol=EXACT)


def test_a_dense_layer_is_exact_for_one_image_through_what_follows():
    model = flat(DenseSpatial2d(2, 2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    image = noise(1, 2, 3, 3)
    for name in ("0", "3"):
        wanted = spectrum(gauss_newton(model, image, [f"{name}.weight", f"{name}.bias"]))
        assert (blocks(model, image)[name].eigenvalues.sort().values - wanted).abs().max() < EXACT


def test_the_blocks_of_a_factored_layer_are_exact_for_one_image():
    model = flat(FactoredSpatial2d(2, 3, 3, 2, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    image = noise(1, 2, 3, 3)
    found = blocks(model, image)
    for name, axis, shape in (("0.contract", 1, (3, 2, 9)), ("0.paint", 0, (3, 2, 4))):
        whole = gauss_newton(model, image, [f"{name}.weight"])
        places = torch.arange(len(whole)).view(shape).movedim(axis, 0)  # stack of layers, rest
        parts = [spectrum(whole[rows.flatten()][:, rows.flatten()]) for rows in places]
        assert (found[name].eigenvalues.sort().values - torch.cat(parts).sort().values).abs().max() < EXACT
        # what is dropped is there, and counts as volume (Fischer's inequality)
        volumes = [float(torch.log1p(100 * e).sum()) for e in (torch.cat(parts), spectrum(whole))]
        assert volumes[0] > 1.001 * volumes[1]


def test_a_bias_counts_in_the_prior_of_its_layer():
    model, image = flat(ChannelExpansion(2, 3, 2), nn.Flatten(), nn.Linear(12, 3)), noise(1, 3, 2)
    whole = gauss_newton(model, image, ["0.weight", "0.bias"])
    index = torch.cat([torch.arange(24).view(3, -1), 24 + torch.arange(12).view(3, -1)], 1)
    parts = torch.cat([spectrum(whole[rows][:, rows]) for rows in index]).sort().values
    assert (blocks(model, image)["0"].eigenvalues.sort().values - parts).abs().max() < EXACT


@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 0, 1)])
def test_the_rows_of_a_convolution_are_what_its_filter_sees(padding_mode, stride, padding, dilation):
    conv = nn.Conv2d(2, 3, 3, stride, padding, dilation, bias=False, padding_mode=padding_mode).double()
    x = noise(2, 2, 6, 6)
    rows = _read(conv, x)[0]  # (n, places, 18)
    assert ((rows @ conv.weight.flatten(1).T).mT - conv(x).flatten(2)).abs().max() < EXACT


def convolutional(size):
    return flat(nn.Conv2d(2, 3, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(3 * ((size - 1) // 2) ** 2, 3))


def test_a_convolution_at_one_place_is_exact_and_at_many_approximate():
    model, image = convolutional(3), noise(1, 2, 3, 3)
    wanted = spectrum(gauss_newton(model, image, ["0.weight", "0.bias"]))
    assert (blocks(model, image)["0"].eigenvalues.sort().values - wanted).abs().max() < EXACT
    model, images = convolutional(7), noise(64, 2, 7, 7)
    whole = gauss_newton(model, images, ["0.weight", "0.bias"])
    found = blocks(model, images)["0"].eigenvalues
    assert (found.sort().values - spectrum(whole)).abs().max() > 1e-2
    # independent pixels and places: near in size and in volume
    assert 0.7 < float(found.sum() / whole.trace()) < 1.4
    volumes = [float(torch.log1p(e).sum()) for e in (found, spectrum(whole))]
    assert 1 < volumes[0] / volumes[1] < 1.25


@pytest.mark.parametrize("classes", [2, 5])
def test_the_roots_are_those_of_the_likelihood(classes):
    p = noise(3, classes).softmax(1)
    wanted = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    squares = lambda samples: sum(r[:, :, None] * r[:, None] for r in roots(p, samples, torch.Generator()))  # noqa: E731
    assert (squares(None) - wanted).abs().max() < EXACT
    drawn = squares(4000)
    assert 1e-6 < (drawn - wanted).abs().max() < 0.03


def test_drawn_labels_depend_on_their_seed_alone():
    model, images = convolutional(7), noise(8, 2, 7, 7)
    one, same, other = (blocks(model, images, samples=1, seed=seed)["0"].eigenvalues for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_batches_do_not_matter_and_a_part_is_scaled_to_the_whole():
    model, images = convolutional(7), noise(8, 2, 7, 7)
    y = labels(images)
    whole = curvature(model, [(images, y)])
    split = curvature(model, zip(images.split(3), y.split(3), strict=True))
    scaled = curvature(model, [(images, y)], examples=24)
    for a, b, c in zip(whole.blocks, split.blocks, scaled.blocks, strict=True):
        assert (a.eigenvalues - b.eigenvalues).abs().max() < EXACT * a.eigenvalues.max()
        assert (3 * a.eigenvalues - c.eigenvalues).abs().max() < EXACT * c.eigenvalues.max()
    assert math.isclose(3 * whole.log_likelihood, scaled.log_likelihood) and scaled.examples == 24


def test_the_model_is_left_as_it_was():
    model, images = create("z2pathcnn_8", path="residual-factored", width=2, seed=0), torch.randn(4, 1, 8, 8)
    model.requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        LaplaceEvidence().fit(model, images, labels(images))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


POSITIVE = st.floats(1e-3, 1e3)
BLOCKS = st.lists(
    st.tuples(st.lists(POSITIVE | st.just(0.0), min_size=1, max_size=5), POSITIVE), min_size=1, max_size=3
)


def made(parts):
    rows = enumerate((torch.tensor(values, dtype=torch.float64), norm) for values, norm in parts)
    return Curvature(tuple(LayerCurvature(f"layer{k}", *row) for k, row in rows), -3.0, 10)


@given(BLOCKS, st.floats(-4, 4))
def test_the_gradient_is_half_the_effective_dimension_less_the_penalty(parts, start):
    found = made(parts)
    logs = torch.full((len(parts),), start, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(log_evidence(found, logs), logs)
    for k, block in enumerate(found.blocks):
        delta = math.exp(start)
        formula = (effective_dimension(block, delta) - delta * block.squared_norm) / 2
        assert math.isclose(float(gradient[k]), formula, rel_tol=1e-9, abs_tol=1e-9)
        step = torch.zeros_like(logs)
        step[k] = 1e-4
        rise = float((log_evidence(found, logs + step) - log_evidence(found, logs - step)).detach()) / 2e-4
        assert math.isclose(rise, formula, rel_tol=1e-5, abs_tol=1e-4)


@given(st.lists(st.tuples(POSITIVE, st.floats(-3, 3)), min_size=1, max_size=5), POSITIVE)
def test_a_gaussian_likelihood_has_its_evidence_exactly(axes, delta):
    """The log of the integral of exp(-h/2 (t - m)^2) N(t; 0, 1 / delta) over t, summed over axes."""
    h, m = (torch.tensor(values, dtype=torch.float64) for values in zip(*axes, strict=True))
    best = h * m / (h + delta)
    found = Curvature((LayerCurvature("", h, float(best.square().sum())),), float(-(h * (best - m) ** 2).sum() / 2), 1)
    wanted = -(torch.log1p(h / delta) + m**2 * h * delta / (h + delta)).sum() / 2
    got = log_evidence(found, torch.tensor([math.log(delta)]))
    assert math.isclose(float(got), float(wanted), rel_tol=1e-6, abs_tol=1e-6)


@given(st.lists(st.floats(1.0, 1e3), min_size=1, max_size=5), st.floats(0.1, 10.0), st.floats(-3, 3))
def test_the_fixed_point_is_the_maximum(values, norm, start):
    found = made([(values, norm)])
    (delta,) = fixed_point(found.blocks, [math.exp(start)], 500)
    (block,) = found.blocks
    assert math.isclose(effective_dimension(block, delta), delta * norm, rel_tol=1e-6) or delta <= 1e-6
    value = lambda d: float(log_evidence(found, torch.tensor([math.log(d)], dtype=torch.float64)))  # noqa: E731
    assert value(delta) >= max(value(delta * 1.1), value(delta / 1.1)) - 1e-9 or delta <= 1e-6


def test_a_path_without_weights_is_switched_off():
    found = made([([5.0, 1.0], 0.0), ([5.0, 1.0], 1.0)])
    off, on = fixed_point(found.blocks, [1.0, 1.0], 200)
    assert off == HIGHEST and effective_dimension(found.blocks[0], off) < 1e-6
    assert effective_dimension(found.blocks[1], on) > 0.5


def test_evidence_is_plain_data():
    images = torch.randn(4, 1, 8, 8)
    found = LaplaceEvidence(samples=1).fit(create("z2pathcnn_8", width=2, seed=0), images, labels(images))
    assert isinstance(found, Evidence) and found.examples == 4
    said = found.to_dict()
    assert [layer["name"] for layer in said["layers"]][-1] == "head"
    for layer in found.layers:
        assert 0 <= layer.effective_dimension <= layer.parameters


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(self.layer(x.flatten(1)))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 3)), "BatchNorm2d '0' has no Kronecker factors"),
        (nn.Sequential(nn.Conv2d(2, 2, 1, groups=2), nn.Flatten()), "Conv2d '0' has no Kronecker factors"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, padding="same")), "Conv2d '0' has no Kronecker factors"),
        (Twice(), "layer 'layer' is used twice in a forward"),
    ],
)
def test_layers_without_a_rule_are_refused(model, sentence):
    images = torch.randn(2, 2 if "Conv" in sentence else 1, 2, 2)
    with pytest.raises(ModelError, match=sentence):
        LaplaceEvidence().fit(model, images, labels(images))


@pytest.mark.parametrize(("n", "m"), [(0, 0), (3, 2)])
def test_images_and_labels_must_fit(n, m):
    with pytest.raises(ModelError, match=f"there are {n} images and {m} labels"):
        LaplaceEvidence().fit(nn.Linear(2, 2), torch.zeros(n, 2), torch.zeros(m, dtype=torch.int64))


def test_a_contraction_knows_its_stack():
    layer, image = ChannelReduction(2, 3, 2).double(), noise(1, 2, 2, 2)
    found = blocks(nn.Sequential(layer, nn.Flatten()), image)["0"]
    assert found.parameters == layer.weight.numel() == 24
