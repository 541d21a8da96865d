"""The result of a warp does not depend on the batch, the chunks, the path, autograd, the dtype or the device."""

import pytest
import torch

from symdata import Element, Elements, Group, Symmetry, act, split_keys
from symdata.errors import ShapeError, SymmetryError
from symdata.transforms import warp as warp_module
from symdata.transforms.resampling import KERNELS, PADDINGS, Resampling
from symdata.transforms.warp import warp
from tests.support.pixels import noise, smooth

C8 = Group.parse("c8")
OPTIONS = [*({"resample": kernel} for kernel in KERNELS), {"supersample": 3}, {"resample": "spline", "mask": "none"}]


def drawn(text, n):
    return Symmetry.parse(text).sample(None, split_keys(0, "train", "symmetry", torch.arange(n)))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("text", ["c8", "so2", "d3-partial@0.5"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
def test_a_sample_does_not_depend_on_its_batch(text, options, dtype, monkeypatch):
    """For finite groups, whose images are grouped by element, and continuous ones; in chunks and alone."""
    n = 150  # enough to be grouped: 16 images and more per element
    images, elements = noise(n, 1, 9, 9, dtype=dtype), drawn(text, n)
    whole = act(images, elements, **options)
    for size in (1, 17, 128):
        parts = [act(images[i : i + size], elements[i : i + size], **options) for i in range(0, n, size)]
        assert torch.cat(parts).equal(whole)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    assert act(images[order], elements[order], **options).equal(whole[order])
    for chunk in (1, 81 * 4 * 7, 81 * 4 * 128):
        monkeypatch.setattr(warp_module, "CHUNK_BYTES", chunk)
        monkeypatch.setattr(warp_module, "FINE_BYTES", 5 * chunk)
        assert act(images, elements, **options).equal(whole)


def test_batches_of_512_and_colours(monkeypatch):
    images, elements = noise(512, 3, 12, 12, dtype=torch.uint8), drawn("c8", 512)
    grouped = act(images, elements, resample="bilinear")
    monkeypatch.setattr(warp_module, "REPEATS", 10**9)
    assert act(images, elements, resample="bilinear").equal(grouped)
    for options in ({"resample": "bilinear"}, {}, {"resample": "thirds"}):
        planes = [act(images[:, c : c + 1], elements, **options) for c in range(3)]
        assert torch.cat(planes, 1).equal(act(images, elements, **options))


def test_a_half_turn_and_a_mirror_are_not_grouped_together():
    """Every element of d8 has images enough to be grouped; each is moved as it would be alone."""
    group = Group.parse("d8")
    images, elements = noise(17 * 16, 1, 9, 9), group.take(torch.arange(17 * 16) % 16)
    for options in ({"resample": "spline"}, {"resample": "bilinear", "mask": "none"}):
        moved = act(images, elements, **options)
        for k, element in enumerate(group.elements):
            assert moved[k::16].equal(torch.cat([act(image[None], element, **options) for image in images[k::16]]))


def test_both_paths_are_taken(monkeypatch):
    """Negative control of the tests above: images of a finite group are grouped, those of a continuous one are not."""
    shared = []
    chunks = warp_module._chunks
    monkeypatch.setattr(warp_module, "_chunks", lambda *a: [shared.append(s) or (r, s) for r, s in chunks(*a)])
    act(noise(200, 1, 9, 9), drawn("c8", 200), resample="bilinear")
    assert shared and all(shared)
    shared.clear()
    act(noise(200, 1, 9, 9), drawn("so2", 200), resample="bilinear")
    assert shared and not any(shared)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_autograd_takes_another_path_to_the_same_values(options):
    images, elements = noise(40, 2, 9, 9), drawn("c8", 40)
    assert act(images.clone().requires_grad_(), elements, **options).detach().equal(act(images, elements, **options))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_flow(options):
    images = noise(3, 1, 6, 6, dtype=torch.float64).requires_grad_()
    elements = [Element(0), Element(33), Element(200, flip=True)]
    assert torch.autograd.gradcheck(lambda x: act(x, elements, **options), images)
    act(images, elements, **options).sum().backward()
    assert torch.isfinite(images.grad).all() and images.grad.abs().sum() > 1.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_half_precision_is_the_float32_result_rounded(dtype, options):
    images, elements = noise(64, 2, 12, 12).to(dtype), drawn("c8", 64)
    expected = act(images.float(), elements, **options).to(dtype)
    moved = act(images, elements, **options)
    assert moved.dtype == dtype and moved.equal(expected)
    assert act(images.clone().requires_grad_(), elements, **options).detach().equal(expected)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_bytes_are_rounded_and_clamped_never_truncated(options):
    images, elements = noise(64, 1, 12, 12, dtype=torch.uint8), drawn("so2", 64)
    wide = act(images.float(), elements, **options)
    moved = act(images, elements, **options)
    assert moved.dtype == torch.uint8
    assert moved.equal(wide.round().clamp(0, 255).to(torch.uint8))
    if options.get("resample") != "nearest":
        assert not moved.equal(wide.clamp(0, 255).to(torch.uint8))
    if options.get("resample") == "bicubic":
        assert wide.max() > 256 and wide.min() < -1  # it overshoots, and bytes must not wrap


def test_float_results_are_not_clamped():
    images = noise(8, 1, 9, 9) * 1000.0
    assert act(images, Element(30)).abs().max() > 100.0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("text", ["c8", "so2"])
def test_memory_is_bounded_by_chunks(text, dtype, monkeypatch):
    """For any batch size, at most a chunk of float pixels, or one image, is resampled at a time."""
    sizes = []
    resample = warp_module._resample
    monkeypatch.setattr(warp_module, "_resample", lambda im, *a: (sizes.append(im.numel()), resample(im, *a))[1])
    act(torch.zeros(6000, 1, 28, 28, dtype=dtype), drawn(text, 6000), resample="spline")
    assert max(sizes) * 4 <= warp_module.CHUNK_BYTES and sum(sizes) == 6000 * 28 * 28
    sizes.clear()
    act(torch.zeros(3, 3, 600, 600, dtype=dtype), drawn(text, 3), resample="spline")
    assert sizes == [3 * 600 * 600] * 3


def test_memory_of_fine_images_is_bounded_by_chunks(monkeypatch):
    sizes = []
    look_up = warp_module.look_up
    monkeypatch.setattr(warp_module, "look_up", lambda f, *a, **k: (sizes.append(f.numel()), look_up(f, *a, **k))[1])
    act(torch.zeros(2000, 1, 28, 28, dtype=torch.uint8), drawn("c8", 2000))
    assert max(sizes) * 4 <= warp_module.FINE_BYTES and sum(sizes) == 2000 * 59 * 59
    sizes.clear()
    act(torch.zeros(2, 3, 300, 300), drawn("so2", 2))
    assert sizes == [3 * 603 * 603] * 2


@pytest.mark.parametrize("resample", ["halves", "thirds"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("shape", [(9, 2, 70, 66), (9, 2, 66, 9), (9, 1, 2, 2), (9, 1, 1, 3)], ids=str)
def test_wide_and_narrow_images_take_different_paths_to_the_same_values(shape, padding, resample):
    """Planes of narrow images are interleaved while they are refined; autograd does neither."""
    for dtype in (torch.float32, torch.float64):
        images, elements = noise(*shape, dtype=dtype), drawn("d3" if shape[2] == shape[3] else "o2", 9)
        options = {"resample": resample, "padding": padding, "mask": "none"}
        expected = act(images.clone().requires_grad_(), elements, **options).detach()
        assert act(images, elements, **options).equal(expected)


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (2, 0, 8, 8), (0, 3, 5, 9), (2, 1, 0, 0)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("grad", [False, True])
def test_batches_of_nothing(shape, options, grad):
    images = torch.zeros(shape, requires_grad=grad)
    assert act(images, Element(30), **options).shape == shape
    assert act(images, [Element(30)] * shape[0], **options).shape == shape


def test_one_pixel_stays():
    assert act(torch.full((1, 1, 1, 1), 7.0), Element(30)).item() == pytest.approx(7.0, rel=1e-6)
    assert act(torch.full((1, 1, 1, 1), 7, dtype=torch.uint8), Element(30)).item() == 7


def test_the_input_stays_as_it_was():
    for options in OPTIONS:
        for dtype in (torch.uint8, torch.float32):
            images = noise(4, 1, 9, 9, dtype=dtype)
            before = images.clone()
            act(images, Element(0), **options).add_(1)
            assert images.equal(before)


def test_any_memory_layout():
    base = noise(8, 4, 12, 12)
    for images in (
        base.transpose(-1, -2),
        base[:1].expand(8, 4, 12, 12),
        base.to(memory_format=torch.channels_last),
        base[::2, ::3],
    ):
        elements = drawn("so2", len(images))
        assert act(images, elements).equal(act(images.contiguous(), elements))


def test_the_disk_hides_what_is_not_a_number():
    """Scientific images often have NaN outside their field of view; the disk mask sets it to 0."""
    images = smooth(28, 2)
    images[..., 0, 0], images[..., 27, 27] = float("nan"), float("inf")
    for grad in (False, True):
        assert torch.isfinite(act(images.clone().requires_grad_(grad), Element(30))).all()
    assert torch.isfinite(act(images, Element(90), mask="disk")).all()
    assert not torch.isfinite(act(images, Element(90))).all()
    assert not (act(-smooth(28, 2), Element(30)).signbit() & (act(smooth(28, 2), Element(30)) == 0)).any()  # no -0.0


def test_what_was_cached_in_inference_mode_serves_autograd():
    warp_module._cached_disk.cache_clear()
    with torch.inference_mode():
        act(torch.rand(2, 1, 6, 6), Element(30))
    images = torch.rand(2, 1, 6, 6, requires_grad=True)
    act(images, Element(30)).sum().backward()
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("images", "elements", "options", "error", "message"),
    [
        (torch.zeros(8, 8), Element(30), {}, ShapeError, r"shape \(8, 8\), expected \(B, C, H, W\); add axes with ima"),
        (
            [[0.0]],
            Element(30),
            {},
            ShapeError,
            r"a list, expected a tensor, an array or a PIL image; use torch.as_tensor",
        ),
        (torch.zeros(2, 1, 8, 8), [Element(30)] * 3, {}, ShapeError, "3 elements for 2 images; pass one Element, or"),
        (torch.zeros(2, 1, 8, 8), 90, {}, SymmetryError, r"90 is not an element; write Element\(90\)"),
        (torch.zeros(2, 1, 8, 8).long(), Element(30), {}, ShapeError, "torch.int64, and resampling needs uint8 or"),
        (torch.zeros(2, 1, 8, 8).bool(), Element(30), {}, ShapeError, "torch.bool, and resampling needs uint8 or"),
        (
            torch.zeros(2, 1, 8, 8),
            [Element(90), Element(45, flip=True)],
            {"resample": "exact"},
            SymmetryError,
            "element r45m is off the pixel lattice; use resample='halves' instead of 'exact'",
        ),
        (
            torch.zeros(2, 1, 8, 8),
            Element(9),
            {"resample": "best"},
            SymmetryError,
            "resample is 'best', expected one of exact",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(images, elements, options, error, message):
    with pytest.raises(error, match=message):
        act(images, elements, **options)


def test_meta_tensors_have_their_shapes():
    images = torch.empty(2, 3, 8, 8, device="meta")
    assert act(images, Element(30)).shape == images.shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_cuda_agrees(options):
    images, elements = smooth(28, 64), drawn("o2", 64)
    moved = act(images.cuda(), elements.to("cuda"), **options)
    if options.get("resample") != "nearest":  # rounding decides for pixels halfway between two
        torch.testing.assert_close(moved.cpu(), act(images, elements, **options), rtol=0, atol=1e-5)
    alone = torch.cat([act(images[i : i + 1].cuda(), elements[i : i + 1].to("cuda"), **options) for i in range(64)])
    assert alone.equal(moved)


def test_the_warp_itself_takes_a_batch_of_elements():
    images = smooth(9, 2)
    how = Resampling("bilinear", "none")
    assert warp(images, Elements.of(Element(30), 2).to("cpu"), how).equal(
        act(images, Element(30), resample="bilinear", mask="none")
    )
