"""Resizing commutes with quarter turns and mirrors, and no image depends on its neighbours."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symdata.errors import SourceError
from symdata.sources.fit import Fit

MOVES = [lambda x, k=k: x.rot90(k, (-2, -1)) for k in (1, 2, 3)] + [lambda x: x.flip(-1), lambda x: x.transpose(-2, -1)]


def images(count: int, side: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def commutes(resize: object, batch: torch.Tensor) -> bool:
    return all(torch.equal(resize(move(batch).contiguous()), move(resize(batch))) for move in MOVES)  # type: ignore[operator]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["bilinear", "area", "bicubic"]), st.integers(2, 40), st.integers(1, 48), st.integers(0, 9))
def test_resizing_commutes_with_d4_bit_for_bit(how: str, side: int, size: int, seed: int) -> None:
    assert commutes(Fit(size, how), images(2, side, seed))


def test_padding_commutes_with_d4() -> None:
    assert commutes(Fit(12, "pad"), images(2, 8))


def test_the_check_sees_what_does_not_commute() -> None:
    nearest = torch.nn.functional.interpolate
    assert not commutes(lambda x: nearest(x.float(), 5, mode="nearest").to(torch.uint8), images(2, 8))
    assert not commutes(lambda x: torch.nn.functional.pad(x, (0, 1, 0, 1)), images(2, 8))


@pytest.mark.parametrize("how", ["bilinear", "area", "bicubic"])
def test_each_image_is_resized_as_if_alone(how: str) -> None:
    fit, batch = Fit(29, how), images(9, 32)
    assert torch.equal(fit(batch), torch.cat([fit(image[None]) for image in batch]))
    assert torch.equal(fit(batch.contiguous(memory_format=torch.channels_last)), fit(batch))


def test_the_right_size_passes_untouched() -> None:
    batch = images(3, 28)
    for fit in (Fit(), Fit(28), Fit(28, "pad")):
        assert torch.equal(fit(batch), batch)


def test_constant_images_stay_constant() -> None:
    for how in ("bilinear", "area", "bicubic"):
        assert (Fit(13, how)(torch.full((1, 1, 9, 20), 200, dtype=torch.uint8)) == 200).all()


def test_an_empty_batch_has_the_target_shape() -> None:
    assert Fit(9)(images(0, 4)).shape == (0, 3, 9, 9)


def test_what_does_not_commute_is_refused() -> None:
    with pytest.raises(SourceError, match=r"'nearest' does not commute with rotations; use --resize area or bilinear"):
        Fit(9, "nearest")
    with pytest.raises(SourceError, match=r"resize is 'lanczos', expected one of bilinear, area, bicubic, pad"):
        Fit(9, "lanczos")
    with pytest.raises(SourceError, match=r"size 0 is not a number of pixels"):
        Fit(0)
    with pytest.raises(SourceError, match=r"padding a 28x28 image to 31 .* moves its centre; use --size 32"):
        Fit(31, "pad").shape(28, 28)
    with pytest.raises(SourceError, match=r"odd number of pixels .* use --resize bilinear"):
        Fit(32, "pad").shape(28, 27)
    with pytest.raises(SourceError, match=r"a 28x30 image cannot be padded to 20; use --size 30 or larger"):
        Fit(20, "pad").shape(28, 30)
