"""The exact action of d4: bit for bit, every dtype, both paths, a homomorphism; and agreement with escnn."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symdata import Element, Elements, Group, act
from symdata.errors import ShapeError
from symdata.transforms import lattice as lattice_module
from symdata.transforms.lattice import permutation_table, permute, permute_all
from tests.support.pixels import by_definition, letter_f, noise
from tests.support.steerable import require_escnn

D4 = Group.parse("d4")
SIZES = [27, 28, 29, 96]
DTYPES = [torch.uint8, torch.float32, torch.float64, torch.bfloat16, torch.bool, torch.int64]
MORE_DTYPES = [torch.float16, torch.int8, torch.int16, torch.int32, torch.uint16, torch.complex64, torch.complex128]


def same_bits(one, other):
    """Equal in shape, dtype and every bit: NaN equals itself, and 0.0 is not -0.0."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bytes(one.contiguous().flatten().view(torch.uint8).numpy()) == bytes(
        other.contiguous().flatten().view(torch.uint8).numpy()
    )


@pytest.mark.parametrize("dtype", DTYPES + MORE_DTYPES, ids=str)
@pytest.mark.parametrize("n", SIZES)
def test_each_element_is_what_its_definition_says(n, dtype):
    images = noise(8, 2, n, n, dtype=dtype)
    expected = torch.cat([by_definition(images[i : i + 1], e.angle, e.flip) for i, e in enumerate(D4.elements)])
    assert same_bits(act(images, D4.elements), expected)
    assert same_bits(permute(images, torch.arange(8)), expected)
    if dtype != torch.uint16:  # torch cannot gather it on the CPU
        assert same_bits(lattice_module._permute_by_table(images, torch.arange(8)), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", SIZES)
def test_the_action_is_a_homomorphism(n, dtype):
    """act(act(x, h), g) = act(x, g @ h) over all 64 pairs."""
    pairs = list(itertools.product(D4.elements, repeat=2))
    images = noise(1, 1, n, n, dtype=dtype).expand(64, 1, n, n)
    g, h = Elements.of([g for g, _ in pairs]), Elements.of([h for _, h in pairs])
    assert same_bits(act(act(images, h), g), act(images, g @ h))
    assert same_bits(act(act(images, g), ~g), images)


def test_the_wrong_order_of_composition_is_caught():
    """Negative control: 24 pairs of d4 do not commute, and an F shows it for each of them."""
    image = letter_f(29)
    wrong = [(g, h) for g in D4.elements for h in D4.elements if not act(act(image, h), g).equal(act(image, h @ g))]
    assert len(wrong) == 24 and all(g @ h != h @ g for g, h in wrong)


@pytest.mark.parametrize("n", SIZES)
def test_an_f_is_moved_by_everything_but_the_identity(n):
    orbit = [act(letter_f(n), element) for element in D4.elements]
    assert orbit[0].equal(letter_f(n))
    assert not any(one.equal(other) for one, other in itertools.combinations(orbit, 2))


def test_the_convention():
    image = torch.tensor([[[[1, 2], [3, 4]]]])
    assert act(image, Element(90)).flatten().tolist() == [2, 4, 1, 3]  # counter-clockwise: right column on top
    assert act(image, Element(90)).equal(torch.rot90(image, 1, (-2, -1)))
    assert act(image, Element(0, flip=True)).flatten().tolist() == [2, 1, 4, 3]  # left-right
    assert act(image, Element(90, flip=True)).flatten().tolist() == [1, 3, 2, 4]  # mirrored, then turned: transposed


@pytest.mark.parametrize("shape", [(20, 28), (28, 20), (1, 5), (5, 1)])
def test_images_that_are_not_square(shape):
    images = noise(6, 3, *shape, dtype=torch.uint8)
    still = [Element(0), Element(180), Element(0, flip=True), Element(180, flip=True), Element(180), Element(0)]
    expected = torch.cat([by_definition(images[i : i + 1], e.angle, e.flip) for i, e in enumerate(still)])
    assert same_bits(act(images, still), expected)
    assert same_bits(lattice_module._permute_by_table(images, Elements.of(still).to("cpu").lattice_index()), expected)
    for turned in (Element(90), Element(270), Element(90, flip=True), Element(270, flip=True)):
        height, width = shape
        with pytest.raises(ShapeError, match=rf"images are {height}x{width}, and a quarter turn needs square ones"):
            act(images, [*still[:5], turned])


@pytest.mark.parametrize("batch", [1, 2, 7, 8, 9, 511, 512, 513])
def test_chunks_and_batches_do_not_matter(batch, monkeypatch):
    monkeypatch.setattr(lattice_module, "CHUNK_BYTES", 64 * 81)  # 64 images of 9x9 at a time
    images, index = noise(batch, 1, 9, 9, dtype=torch.uint8), torch.arange(batch) * 5 % 8
    whole = permute(images, index)
    assert same_bits(whole, torch.cat([permute(images[i : i + 1], index[i : i + 1]) for i in range(batch)]))
    assert same_bits(whole, lattice_module._permute_by_table(images, index))


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (2, 0, 8, 8), (2, 3, 0, 0), (0, 1, 4, 6)])
@pytest.mark.parametrize("grad", [False, True])
def test_batches_of_nothing(shape, grad):
    images = torch.zeros(shape, requires_grad=grad)
    assert act(images, Element(180)).shape == shape
    assert act(images, [Element(180, flip=True)] * shape[0]).shape == shape


def test_the_input_stays_as_it_was():
    for element in D4.elements:
        images = noise(2, 1, 8, 8)
        before = images.clone()
        moved = act(images, element)
        moved.add_(1.0)
        assert images.equal(before)


@pytest.mark.parametrize("layout", ["transposed", "sliced", "expanded", "channels_last", "flipped"])
def test_any_memory_layout(layout):
    base = noise(8, 4, 12, 12)
    images = {
        "transposed": base.transpose(-1, -2),
        "sliced": noise(16, 8, 14, 24)[::2, ::2, 1:13, ::2],
        "expanded": base[:1].expand(8, 4, 12, 12),
        "channels_last": base.to(memory_format=torch.channels_last),
        "flipped": base.flip(-1),
    }[layout]
    assert same_bits(act(images, D4.elements), act(images.clone(memory_format=torch.contiguous_format), D4.elements))


def test_nan_infinity_and_minus_zero_travel():
    images = torch.tensor([[[[float("nan"), float("-inf")], [-0.0, 1.0]]]])
    for element in D4.elements:
        assert same_bits(act(images, element), by_definition(images, element.angle, element.flip))
        assert same_bits(act(act(images, element), ~element), images)


def test_gradients_are_permuted_back():
    images = noise(8, 2, 5, 5, dtype=torch.float64).requires_grad_()
    weight = noise(8, 2, 5, 5, dtype=torch.float64, seed=1)
    (act(images, D4.elements) * weight).sum().backward()
    assert same_bits(images.grad, act(weight, [~element for element in D4.elements]))
    assert torch.autograd.gradcheck(lambda x: act(x, D4.elements), images)


def test_what_was_cached_in_inference_mode_serves_autograd():
    lattice_module._cached_table.cache_clear()
    with torch.inference_mode():
        lattice_module._permute_by_table(torch.rand(2, 1, 6, 6), torch.tensor([1, 5]))
    images = torch.rand(2, 1, 6, 6, requires_grad=True)
    act(images, Element(90)).sum().backward()
    assert images.grad.equal(torch.ones_like(images))


def test_the_tables_are_permutations():
    table = permutation_table(5, 5, torch.device("cpu"))
    assert table.shape == (8, 25) and table.dtype == torch.int64
    assert table.sort(dim=1).values.equal(torch.arange(25).expand(8, 25))
    for i, j in itertools.product(range(8), repeat=2):  # reading through j after i is the product i j
        assert table[j][table[i]].equal(table[D4.product(i, j)])


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 7))
def test_turn_is_the_definition(height, width, k):
    pixels = torch.arange(height * width).view(1, height, width)
    expected = by_definition(pixels, 90 * (k % 4), k >= 4)
    assert permute_all(pixels.numpy(), k).tolist() == expected.tolist()


@pytest.mark.parametrize("resample", ["auto", "exact"])
def test_the_disk_can_be_asked_for(resample):
    moved = act(torch.ones(1, 1, 9, 9, dtype=torch.int64), Element(90), resample=resample, mask="disk")
    assert moved[0, 0, 0, 0] == 0 and moved[0, 0, 4].tolist() == [1] * 9 and moved.dtype == torch.int64


def test_meta_tensors_have_their_shapes():
    images = torch.empty(2, 3, 8, 8, device="meta")
    assert act(images, Element(90)).shape == images.shape and act(images, Element(90)).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", DTYPES + MORE_DTYPES, ids=str)
def test_cuda_gives_the_same_bits(dtype):
    images = noise(64, 3, 28, 28, dtype=dtype)
    elements = Elements.of([D4.elements[i * 5 % 8] for i in range(64)])
    moved = act(images.cuda(), elements)
    assert moved.device.type == "cuda" and same_bits(moved.cpu(), act(images, elements))
    assert same_bits(act(images.cuda(), elements.to("cuda")).cpu(), moved.cpu())


@pytest.mark.parametrize(
    ("name", "n"), [("c4", 28), ("c4", 29), ("d4", 28), ("d4", 29), ("c2", 29), ("d1", 28), ("d2", 28)]
)
def test_escnn_transforms_images_alike(name, n):
    """`GeometricTensor.transform` for every element, in escnn's order; its default axis mirrors left-right."""
    escnn, group = require_escnn(), Group.parse(name)
    make = escnn.gspaces.flipRot2dOnR2 if group.flips else escnn.gspaces.rot2dOnR2
    space = make(group.rotations)
    images = escnn.nn.FieldType(space, [space.trivial_repr] * 2)(noise(3, 2, n, n))
    theirs = [images.transform(element).tensor for element in space.fibergroup.elements]
    ours = [act(images.tensor, element) for element in group.elements]
    for one, other in zip(theirs, ours, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    if group.flips:  # negative control: mirrors about the other axis differ
        space = make(group.rotations, axis=0.0)
        images = escnn.nn.FieldType(space, [space.trivial_repr] * 2)(images.tensor)
        assert not torch.allclose(
            images.transform(space.fibergroup.elements[group.rotations]).tensor, ours[group.rotations]
        )
