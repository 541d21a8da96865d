"""`RandomSymmetry` in compiled graphs: whole, silent, and with the results of eager mode."""

import shutil

import kornia.augmentation as K
import pytest
import torch
from packaging.version import Version

from symdata import RandomSymmetry, split_keys
from symdata.errors import ShapeError
from tests.support.pixels import noise

OLDEST = "2.13"
"""The oldest torch on which `RandomSymmetry` is known to be one compiled graph; 2.5.1 breaks it into several."""
pytestmark = pytest.mark.skipif(
    Version(torch.__version__) < Version(OLDEST), reason=f"one compiled graph is supported from torch {OLDEST} on"
)

B = 16
LABELS = torch.arange(B) % 5


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def keys(n=B):
    return split_keys(0, "train", "augment", torch.arange(n))


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("d4-partial", {}),
        ("d4", {"mask": "disk"}),
        ("c8@-90..90", {}),
        ("o2@0~20", {"supersample": 3}),
        ("0.5@none+0.2@r90+0.3@o2@0~k4", {}),
        ("0-2:d4,3:so2,rest:none", {"resample": "bicubic", "padding": "zeros"}),
    ],
)
def test_one_graph_with_the_results_of_eager_mode(spec, options):
    augment, images = RandomSymmetry(spec, **options), noise(B, 3, 12, 12)
    compiled = torch.compile(lambda x, y, k: augment(x, labels=y, keys=k), fullgraph=True, backend="eager")
    assert compiled(images, LABELS, keys()).equal(augment(images, labels=LABELS, keys=keys()))


def test_the_module_itself():
    augment, images = RandomSymmetry("d4"), noise(B, 3, 12, 12)
    compiled = torch.compile(augment, fullgraph=True, backend="eager")
    torch.manual_seed(0)
    moved = compiled(images)
    torch.manual_seed(0)
    assert augment(images).equal(moved) and not moved.equal(images)


def test_batches_of_many_sizes_share_a_graph():
    augment = RandomSymmetry("c8")
    compiled = torch.compile(lambda x, k: augment(x, keys=k), fullgraph=True, backend="eager", dynamic=True)
    for n, size in ((4, 12), (7, 12), (5, 15)):
        images = noise(n, 1, size, size)
        assert compiled(images, keys(n)).equal(augment(images, keys=keys(n)))


def test_images_that_are_not_square():
    images = noise(B, 1, 5, 7)
    augment = RandomSymmetry("d2")
    compiled = torch.compile(lambda x, k: augment(x, keys=k), fullgraph=True, backend="eager")
    assert compiled(images, keys()).equal(augment(images, keys=keys()))
    with pytest.raises(ShapeError, match="a quarter turn needs square ones"):
        torch.compile(RandomSymmetry("d4"), backend="eager")(images)


def test_a_container_with_masks():
    augment = RandomSymmetry("d4")
    pipeline = K.AugmentationSequential(augment, data_keys=["image", "mask"])
    images, masks = noise(B, 3, 12, 12), torch.randint(0, 5, (B, 1, 12, 12)).float()
    compiled = torch.compile(pipeline, fullgraph=True, backend="eager")
    torch.manual_seed(0)
    moved = compiled(images, masks)
    torch.manual_seed(0)
    for one, other in zip(moved, pipeline(images, masks), strict=True):
        assert one.equal(other)


def test_gradients_through_the_graph():
    augment = RandomSymmetry("so2")
    compiled = torch.compile(lambda x, k: augment(x, keys=k), fullgraph=True, backend="aot_eager")
    one, other = (noise(B, 1, 9, 9).requires_grad_() for _ in range(2))
    compiled(one, keys()).square().sum().backward()
    augment(other, keys=keys()).square().sum().backward()
    torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="inductor compiles C++ for the CPU, and there is no g++")
def test_inductor(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    augment, images = RandomSymmetry("c8"), noise(B, 3, 12, 12)
    compiled = torch.compile(lambda x, k: augment(x, keys=k), fullgraph=True)
    torch.testing.assert_close(compiled(images, keys()), augment(images, keys=keys()), rtol=0, atol=1e-4)
