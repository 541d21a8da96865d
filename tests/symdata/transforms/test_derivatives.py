"""Tracers and transforms of torch see the action: forward-mode derivatives, jvp, vmap, traces and fake tensors."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

from symdata import Element, RandomSymmetry, act
from tests.support.pixels import noise

# torch's own, when it loads its rules of forward-mode differentiation
pytestmark = pytest.mark.filterwarnings(
    *(f"ignore:.*torch.jit:{kind}" for kind in ("DeprecationWarning", "FutureWarning"))
)

TURN = Element(90)
CASES = [
    (Element(90), {}),
    (Element(270, flip=True), {}),
    (Element(180), {"mask": "disk"}),
    (Element(30, flip=True), {}),
    (Element(30), {"resample": "thirds", "mask": "none"}),
    (Element(30), {"resample": "spline"}),
    (Element(30), {"resample": "bilinear", "supersample": 2}),
    (Element(30), {"resample": "bicubic", "padding": "reflection"}),
    (Element(45), {"resample": "nearest"}),
]


@pytest.fixture(params=CASES, ids=str)
def moving(request):
    """A function of images, which is linear."""
    element, options = request.param
    return lambda images: act(images, element, **options)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_tangent_is_moved_as_its_image(moving, dtype):
    images, tangent = noise(3, 2, 6, 6, dtype=dtype), noise(3, 2, 6, 6, seed=1, dtype=dtype)
    with forward_ad.dual_level():
        moved, found = forward_ad.unpack_dual(moving(forward_ad.make_dual(images, tangent)))
    torch.testing.assert_close(found, moving(tangent)), torch.testing.assert_close(moved, moving(images))
    assert not found.equal(tangent)
    primal, pushed = torch.func.jvp(moving, (images,), (tangent,))
    torch.testing.assert_close(pushed, moving(tangent)), torch.testing.assert_close(primal, moving(images))


def test_a_quarter_turn_has_the_tangent_of_rot90_exactly():
    images, tangent = noise(3, 2, 6, 6), noise(3, 2, 6, 6, seed=1)
    primal, pushed = torch.func.jvp(lambda x: act(x, TURN), (images,), (tangent,))
    assert primal.equal(torch.rot90(images, 1, (-2, -1))) and pushed.equal(torch.rot90(tangent, 1, (-2, -1)))
    assert not pushed.equal(torch.rot90(tangent, -1, (-2, -1)))


def test_transforms_of_torch_compose(moving):
    images, weights = noise(3, 2, 6, 6, dtype=torch.float64), noise(3, 2, 6, 6, seed=1, dtype=torch.float64)
    mapped = torch.func.vmap(lambda image: moving(image[None])[0])(images)
    torch.testing.assert_close(mapped, moving(images))
    pulled = torch.func.grad(lambda x: (moving(x) * weights).sum())(images)
    assert (pulled * images).sum() == pytest.approx(float((moving(images) * weights).sum()))
    forward = torch.func.jacfwd(lambda x: moving(x).sum((1, 2, 3)))(images)
    torch.testing.assert_close(forward, torch.func.jacrev(lambda x: moving(x).sum((1, 2, 3)))(images))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_trace_follows_other_images(moving):
    images, others = noise(3, 2, 6, 6), noise(3, 2, 6, 6, seed=1)
    traced = torch.jit.trace(moving, (images,), check_trace=False)
    torch.testing.assert_close(traced(others), moving(others))
    assert not traced(others).equal(traced(images))


def test_fake_tensors_leave_nothing_behind(moving):
    with FakeTensorMode() as mode:
        assert moving(mode.from_tensor(noise(1, 1, 7, 7))).shape == (1, 1, 7, 7)
    assert moving(noise(1, 1, 7, 7)).isfinite().all()


@pytest.mark.parametrize("spec", ["d4", "c8"])
def test_random_symmetry_pushes_tangents_forward(spec):
    augment, keys = RandomSymmetry(spec), torch.arange(6)
    images, tangent = noise(6, 1, 8, 8), noise(6, 1, 8, 8, seed=1)
    _, pushed = torch.func.jvp(lambda x: augment(x, keys=keys), (images,), (tangent,))
    torch.testing.assert_close(pushed, augment(tangent, keys=keys))
