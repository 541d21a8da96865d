"""The symmetry of the glyph source: exact in the atlas, byte for byte in images, and in distribution."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symdata.sources.glyphs import atlas, strokes
from symdata.sources.glyphs.source import open_glyphs
from symdata.sources.glyphs.strokes import Jitter

ELEMENTS = range(8)


@cache
def fields(character: str) -> np.ndarray:
    return atlas.build_atlas((character,)).fields


def act(element: int, images: torch.Tensor) -> torch.Tensor:
    """The action in torch, from the convention: mirror left-right first, then rotate counter-clockwise."""
    mirrored = images.flip(-1) if element >= 4 else images
    return torch.rot90(mirrored, element % 4, (-2, -1))


def turned_draws(element: int, draws: np.ndarray) -> np.ndarray:
    """The draws whose jitter is g . p . g^-1: a signed permutation, from mirrors and quarter turns."""
    out = draws.copy()
    if element >= 4:
        out[:, [2, 4]] *= -1  # tilt and shear
        out[:, 5] *= -1  # the shift to the right
        for term, (j, _) in enumerate(strokes._BENDS):
            out[:, 7 + 2 * term] *= (-1) ** (j + 1)
            out[:, 8 + 2 * term] *= (-1) ** j
    for _ in range(element % 4):
        before = out.copy()
        out[:, [3, 4]] *= -1  # stretch and shear
        out[:, 5], out[:, 6] = before[:, 6], -before[:, 5]
        for term, (j, k) in enumerate(strokes._BENDS):
            source = strokes._BENDS.index((k, j))
            out[:, 7 + 2 * term] = (-1) ** k * before[:, 8 + 2 * source]
            out[:, 8 + 2 * term] = -((-1) ** k) * before[:, 7 + 2 * source]
    return out


def some_draws(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return strokes.symmetric(rng.random((n, strokes._DRAWS))), rng.random(n)


# --- the atlas


@pytest.mark.parametrize("character", atlas.CHARACTERS)
def test_fields_are_invariant_under_the_stabiliser_and_under_nothing_else(character: str) -> None:
    own = fields(character)
    for element in ELEMENTS:
        moved = atlas.apply(element, own)
        if element in atlas.stabiliser(character):
            assert moved.tobytes() == own.tobytes()
        else:
            assert (np.abs(moved - own).max(axis=(1, 2)) > 2).all()  # cells, in every face


@pytest.mark.parametrize("character", atlas.CHARACTERS)
def test_the_field_of_an_image_is_the_image_of_the_field(character: str) -> None:
    for element in ELEMENTS:
        image = atlas.image_of(character, element)
        if image is not None:
            assert fields(image).tobytes() == atlas.apply(element, fields(character)).tobytes()


@pytest.mark.parametrize("character", atlas.CHARACTERS)
def test_stabilisers_are_groups_with_a_name(character: str) -> None:
    own = atlas.stabiliser(character)
    assert {atlas.D4.product(a, b) for a in own for b in own} == set(own)
    assert set(own) == {element for element in ELEMENTS if atlas.image_of(character, element) == character}
    name = atlas.stabiliser_name(character)
    assert int(name[1]) * (2 if name[0] == "d" else 1) == len(own)


def test_images_compose() -> None:
    for character in atlas.CHARACTERS:
        for first in ELEMENTS:
            between = atlas.image_of(character, first)
            if between is None:
                continue
            for second in ELEMENTS:
                assert atlas.image_of(between, second) == atlas.image_of(character, atlas.D4.product(second, first))


def test_the_known_orbits() -> None:
    assert [atlas.image_of("b", e) for e in ELEMENTS] == ["b", None, "q", None, "d", None, "p", None]
    assert atlas.image_of("N", 1) == atlas.image_of("N", 3) == "Z"
    assert atlas.image_of("Z", 1) == atlas.image_of("Z", 3) == "N"
    assert atlas.image_of("6", 2) == "9"
    assert atlas.image_of("9", 2) == "6"
    assert atlas.image_of("M", 2) == "W"
    assert atlas.image_of("n", 2) == "u"
    assert atlas.image_of("b", 2, "bdp") is None
    names = {c: atlas.stabiliser_name(c) for c in "OXHINZSAWEF"}
    expected = {
        "d4": "OX",
        "d2": "HI",
        "c2": "NZS",
        "d1 (left-right mirror)": "AW",
        "d1 (up-down mirror)": "E",
        "c1": "F",
    }
    assert names == {character: name for name, characters in expected.items() for character in characters}


def test_the_o_is_round_to_the_eye_only() -> None:
    centre = (atlas.SIDE - 1) // 2
    along, across = fields("O")[:, centre, centre + 41], fields("O")[:, centre + 29, centre + 29]  # 29 sqrt(2) = 41.01
    assert np.abs(along - across).max() > 1  # cells: a rotation by 45 degrees is not a symmetry


def test_apply_is_the_action_on_tensors() -> None:
    image = np.arange(12.0).reshape(1, 3, 4)
    for element in ELEMENTS:
        assert np.array_equal(atlas.apply(element, image), act(element, torch.from_numpy(image)).numpy())


def test_distances_are_euclidean() -> None:
    side = (atlas.SIDE - 1) * atlas._FINE + 1
    y, x = np.mgrid[:side, :side] - (side - 1) // 2
    radius = 30 * atlas._FINE
    signed = atlas._signed_distances((x * x + y * y <= radius * radius)[None])[0] / atlas._UNITS / atlas._FINE
    cells = np.hypot(*(np.mgrid[: atlas.SIDE, : atlas.SIDE] - (atlas.SIDE - 1) / 2))
    limit = atlas._CAP / atlas._FINE
    assert np.abs(signed - np.clip(30 - cells, -limit, limit)).max() < 1.1 / atlas._FINE


# --- the law is symmetric: every draw has a mirror image, and gives the mirror image, byte for byte


@pytest.mark.parametrize("size", [8, 28, 29, 65])
@pytest.mark.parametrize("element", ELEMENTS)
def test_turned_draws_render_the_turned_image_of_the_turned_class(element: int, size: int) -> None:
    source = open_glyphs("glyphs:OXHINZSbdpq69AWM", size=size)
    drawn = atlas.build_atlas(source.classes)
    draws, face = some_draws(24)
    jitter, turned = Jitter.of(draws, face), Jitter.of(turned_draws(element, draws), face)
    for label in range(len(source.classes)):
        image = source.image_of(label, element)
        if image is None:
            continue
        which = np.floor(face * drawn.counts[label]).astype(np.int64)
        before, after = (
            strokes.render(torch.from_numpy(drawn.fields), torch.from_numpy(which + drawn.starts[c]), j, size)
            for c, j in ((label, jitter), (image, turned))
        )
        assert torch.equal(after, act(element, before))


def test_turned_draws_compose_and_untouched_draws_do_not_pass() -> None:
    draws, face = some_draws(24)
    for a in ELEMENTS:
        assert np.array_equal(np.sort(np.abs(turned_draws(a, draws)), axis=1), np.sort(np.abs(draws), axis=1))
        for b in ELEMENTS:
            both = turned_draws(a, turned_draws(b, draws))
            assert np.array_equal(both, turned_draws(atlas.D4.product(a, b), draws))
    which = torch.zeros(24, dtype=torch.int64)
    images = strokes.render(torch.from_numpy(fields("O")), which, Jitter.of(draws, face), 28)
    assert all((act(e, images) != images).flatten(1).any(1).all() for e in ELEMENTS[1:])


@given(st.integers(0, 2**53 - 1))
def test_the_set_of_draws_is_symmetric(word: int) -> None:
    draw = strokes.symmetric(np.array([word * 2.0**-53]))[0]
    assert -1 < draw < 1
    assert (draw * 2**24) % 2 == 1
    assert strokes.symmetric(np.array([(2**53 - 1 - word) * 2.0**-53]))[0] == -draw


def test_draws_are_uniform_and_uncorrelated() -> None:
    jitter = Jitter.draw(np.arange(20000))
    warp = jitter.warp.reshape(len(jitter), -1)
    varied = warp[:, warp.std(axis=0) > 0]
    assert varied.shape[1] == 2 + 4 + 2 * len(strokes._BENDS)
    correlation = np.corrcoef(
        np.concatenate([varied, jitter.face[:, None], jitter.weight[:, None]], axis=1), rowvar=False
    )
    np.fill_diagonal(correlation, 0)
    ties = np.abs(correlation) > 0.04
    assert ties.sum() == 4  # both stretch terms share the scale, both shear terms the tilt; nothing else is tied


def images_of(character: str, n: int = 500) -> np.ndarray:
    source = open_glyphs(f"glyphs:{character}{'O' if character != 'O' else 'X'}")
    return source.read("train", 2 * np.arange(n)).flatten(1).numpy().astype(np.float32)


def difference(a: np.ndarray, b: np.ndarray, rounds: int = 400) -> float:
    """p-value of a permutation test of equal pixel means in two samples."""
    pool, n = np.concatenate([a, b]), len(a)
    signs = np.ones((rounds + 1, 2 * n), dtype=np.float32)
    signs[:, n:] = -1
    signs[1:] = np.random.default_rng(0).permuted(signs[1:], axis=1)
    statistic = np.abs(signs @ (pool - pool.mean(axis=0))).max(axis=1)
    return float((statistic >= statistic[0]).mean())


def moved(element: int, images: np.ndarray) -> np.ndarray:
    return atlas.apply(element, images.reshape(-1, 28, 28)).reshape(len(images), -1)


@pytest.mark.parametrize(
    ("character", "element", "image"), [("b", 4, "d"), ("b", 2, "q"), ("N", 1, "Z"), ("6", 2, "9")]
)
def test_samples_of_an_orbit_have_one_law(character: str, element: int, image: str) -> None:
    other = open_glyphs(f"glyphs:O{image}").read("train", 2 * np.arange(500) + 1).flatten(1).numpy().astype(np.float32)
    assert difference(moved(element, images_of(character)), other) > 0.005


@pytest.mark.parametrize(("character", "element"), [("O", 1), ("X", 5), ("H", 6), ("S", 2), ("A", 4)])
def test_samples_are_symmetric_in_law(character: str, element: int) -> None:
    images = images_of(character, 1000)
    assert difference(moved(element, images[:500]), images[500:]) > 0.005


@pytest.mark.parametrize(("character", "element"), [("F", 4), ("A", 6), ("N", 4), ("H", 1)])
def test_samples_are_not_symmetric_beyond_the_stabiliser(character: str, element: int) -> None:
    images = images_of(character, 1000)
    assert difference(moved(element, images[:500]), images[500:]) < 0.005
