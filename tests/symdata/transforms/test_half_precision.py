"""Half precision and autocast: positions are computed in float32, whatever the dtype of images and modules."""

import contextlib
import copy
import pickle

import kornia.augmentation as K
import pytest
import torch

from symdata import LearnableAffine, RandomSymmetry
from symdata.transforms.affine import AffineRange
from symdata.transforms.precise_matrix import PreciseMatrix
from tests.support.pixels import noise

HALF = [torch.float16, torch.bfloat16]
N = 512


def affine(**options):
    return LearnableAffine("rotation,translate_x", 0.5, mask="none", **options)


def blob(dtype):
    """A spot around (300, 200), and its coordinates."""
    y, x = torch.meshgrid(torch.arange(N), torch.arange(N), indexing="ij")
    return torch.exp(-((x - 300) ** 2 + (y - 200) ** 2) / 800).expand(2, 1, N, N).to(dtype), x, y


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("size", [32, 224, 1024])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "nearest"])
def test_the_look_up_is_that_of_float32(dtype, size, kernel):
    images, moving = noise(2, 1, size, size, dtype=dtype), AffineRange("rotation,scale", 0.5, resample=kernel)
    draws = moving.draw(2, torch.Generator().manual_seed(0))
    moved = moving(images, draws)
    assert moved.dtype == dtype and moved.isfinite().all()
    assert moved.equal(moving(images.float(), draws).to(dtype)) and not moved.equal(images)


@pytest.mark.parametrize("dtype", HALF)
def test_a_module_in_half_precision_moves_by_exact_maps(dtype):
    moving = affine().to(dtype)
    draws = moving.range.draw(8, torch.Generator().manual_seed(0))
    assert draws.dtype == moving.range.spread(3).dtype == torch.float32
    matrices = moving.range.matrices(draws)
    wide = copy.deepcopy(moving).float().range.matrices(draws)
    assert matrices.dtype == torch.float32 and (matrices - wide).abs().max() < 1e-6
    images = noise(8, 1, 20, 20).requires_grad_()
    moving(images).square().sum().backward()
    assert moving.range.half_width.grad.isfinite().all() and moving.range.half_width.grad.abs().min() > 0


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("dtype", [*HALF, torch.float32])
@pytest.mark.parametrize("make", [affine, lambda: RandomSymmetry("d4"), lambda: RandomSymmetry("so2", mask="none")])
def test_keypoints_and_boxes_are_where_the_pixels_are(make, dtype, autocast):
    pipeline = K.AugmentationSequential(make(), data_keys=["image", "keypoints", "bbox"])
    images, x, y = blob(dtype)
    points = torch.tensor([[300.0, 200.0]]).expand(2, 1, 2)
    corners = points[:, :, None].expand(2, 1, 4, 2)  # a box of one pixel
    with torch.autocast("cpu", dtype=torch.bfloat16) if autocast else contextlib.nullcontext():
        moved, to, boxes = pipeline(images, points.clone(), corners.clone())
        _, back, boxes_back = pipeline.inverse(moved, to.clone(), boxes.clone())
    mass = moved[:, 0].double()
    found = torch.stack([(mass * axis).sum((1, 2)) / mass.sum((1, 2)) for axis in (x, y)], -1)
    assert (found - to[:, 0]).abs().max() < 0.01 and (found - points[:, 0]).abs().max() > 5
    assert (boxes[:, 0] - to).abs().max() < 1e-3
    assert (back - points).abs().max() < 1e-3 and (boxes_back - corners).abs().max() < 1e-3


OTHERS = [K.RandomHorizontalFlip(p=1.0), K.RandomAffine(10.0, p=1.0), K.ColorJitter(p=1.0), K.Resize((20, 20))]


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("other", OTHERS, ids=lambda other: type(other).__name__)
@pytest.mark.parametrize("make", [affine, lambda: RandomSymmetry("d4")])
def test_the_matrix_of_a_mixed_container_is_float32(make, other, dtype):
    ours = make()
    for order in ((ours, other), (other, ours), (other, ours, other), (ours, ours, other)):
        pipeline = K.AugmentationSequential(*order, data_keys=["image"])
        assert pipeline(noise(2, 3, 32, 32, dtype=dtype)).dtype == dtype
        assert pipeline.transform_matrix.dtype == torch.float32
    inner = K.AugmentationSequential(ours, other, data_keys=["image"])
    outer = K.AugmentationSequential(other, inner, data_keys=["image"])
    outer(noise(2, 3, 32, 32, dtype=dtype))
    assert outer.transform_matrix.dtype == torch.float32


def test_the_matrix_of_a_mixed_container_is_float32_under_autocast():
    pipeline = K.AugmentationSequential(K.RandomHorizontalFlip(p=1.0), RandomSymmetry("d4"), data_keys=["image"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pipeline(noise(2, 3, 32, 32))
        assert pipeline.transform_matrix.dtype == torch.float32


@pytest.mark.parametrize("dtype", HALF)
def test_the_matrix_of_a_mixed_container_says_where_pixels_go(dtype):
    ours = RandomSymmetry("d4")
    pipeline = K.AugmentationSequential(K.RandomHorizontalFlip(p=1.0), ours, data_keys=["image"])
    images = torch.zeros(16, 1, 30, 30, dtype=dtype)
    images[:, :, 3, 5] = 1
    moved = pipeline(images)
    at = (pipeline.transform_matrix @ torch.tensor([5.0, 3.0, 1.0]))[:, :2]
    assert at.equal(moved[:, 0].nonzero()[:, [2, 1]].float()) and not at.equal(at[:1].expand_as(at))


def test_a_precise_matrix_is_a_plain_tensor_but_for_products():
    matrix = torch.rand(2, 3, 3).as_subclass(PreciseMatrix)
    for twin in (copy.deepcopy(matrix), pickle.loads(pickle.dumps(matrix))):
        assert twin.equal(matrix)
    assert type(matrix + 1) is type(matrix[0]) is type(matrix.inverse()) is torch.Tensor
    half = torch.rand(2, 3, 3).bfloat16()
    for product in (half @ matrix, matrix @ half, torch.matmul(half, matrix), torch.bmm(matrix, half)):
        assert product.dtype == torch.float32 and type(product) is PreciseMatrix
    assert (half @ matrix).equal(half.float() @ matrix.as_subclass(torch.Tensor))
    with pytest.raises(RuntimeError, match="expected"):  # which plain tensors refuse
        half @ matrix.as_subclass(torch.Tensor)
