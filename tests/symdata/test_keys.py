"""The counter-based generator: known answers, dependence on its arguments alone, and its distribution."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from symdata import split_keys
from symdata.errors import ShapeError
from symdata.keys import permutation, philox, uniforms

KNOWN = [  # Random123, kat_vectors, philox4x32 with 10 rounds: counter, key, result
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_philox_gives_the_known_answers(counter, key, result, make):
    got = philox(tuple(make([word]) for word in words(counter)), tuple(words(key)))
    assert [int(word[0]) for word in got] == words(result)


def test_the_known_answers_tell_a_wrong_round_count(monkeypatch):
    monkeypatch.setattr("symdata.keys._ROUNDS", 9)
    got = philox(tuple(np.array([0]) for _ in range(4)), (0, 0))
    assert int(got[0][0]) != 0x6627E8D5


INDICES = np.array([0, 1, 2, 1000, 2**31, 2**32, 2**32 + 1, 2**62, -1, -(2**40)])


def test_numpy_and_torch_agree_bit_for_bit():
    for seed in (0, -1, 2**70):
        keys, same = (
            split_keys(seed, "train", "symmetry", INDICES),
            split_keys(seed, "train", "symmetry", torch.from_numpy(INDICES)),
        )
        assert keys.dtype == np.int64 and same.dtype == torch.int64
        assert np.array_equal(keys, same.numpy())
        for one, other in zip(uniforms(keys, 5), uniforms(same, 5), strict=True):
            assert one.dtype == np.float64 and other.dtype == torch.float64
            assert np.array_equal(one, other.numpy())


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20), st.integers(1, 7))
def test_a_draw_depends_on_its_index_alone(indices, n):
    together = split_keys(3, "test", "symmetry", np.array(indices))
    assert len(set(together.tolist())) == len(set(indices))
    for i, index in enumerate(indices):
        alone = split_keys(3, "test", "symmetry", np.array([index]))
        assert alone[0] == together[i]
        assert [u[0] for u in uniforms(alone, n)] == [u[i] for u in uniforms(together, 8)[:n]]


def test_the_order_and_the_batch_do_not_matter():
    order = np.random.default_rng(0).permutation(1000)
    whole = split_keys(0, "train", "symmetry", np.arange(1000))
    assert np.array_equal(split_keys(0, "train", "symmetry", order), whole[order])
    parts = [split_keys(0, "train", "symmetry", np.arange(start, start + 125)) for start in range(0, 1000, 125)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(
    "other",
    [
        (1, "train", "symmetry"),
        (-0x1_0000_0000, "train", "symmetry"),
        (2**64, "train", "symmetry"),
        (0, "test", "symmetry"),
        (0, "train", "order"),
        (0, "", "train/symmetry"),
        (0, "train/symmetry", ""),
        (0, "0/train", "symmetry"),
    ],
)
def test_seed_split_and_purpose_each_give_another_stream(other):
    one = split_keys(0, "train", "symmetry", np.arange(64))
    assert not set(one.tolist()) & set(split_keys(*other, np.arange(64)).tolist())


def test_a_slash_in_a_name_does_not_join_two_streams():
    assert split_keys(0, "a/b", "c", [0])[0] != split_keys(0, "a", "b/c", [0])[0]


@pytest.mark.parametrize("seed", [0, -1, 2**31, 2**63, 2**64 + 1, -(2**200)])
def test_any_integer_is_a_seed(seed):
    assert np.array_equal(split_keys(seed, "train", "x", np.arange(3)), split_keys(seed, "train", "x", np.arange(3)))


def test_a_numpy_integer_is_the_seed_that_it_says():
    assert split_keys(np.int64(7), np.str_("train"), "x", [0])[0] == split_keys(7, "train", "x", [0])[0]
    with pytest.raises(TypeError):
        split_keys(1.5, "train", "x", [0])


@pytest.mark.parametrize(
    "indices",
    [range(5), [0, 1, 2, 3, 4], np.arange(5, dtype=np.int32), np.arange(5, dtype=np.uint8), torch.arange(5).int()],
)
def test_every_kind_of_integers_counts_as_int64(indices):
    assert split_keys(0, "train", "x", indices).tolist() == split_keys(0, "train", "x", np.arange(5)).tolist()


@pytest.mark.parametrize("indices", [np.array([0.5]), [1.0], torch.rand(2), 3, np.array(["a"]) == "a"])
def test_other_indices_are_refused(indices):
    with pytest.raises(ShapeError, match=r"expected \(n,\) integers"):
        split_keys(0, "train", "x", indices)


@pytest.mark.parametrize("empty", [np.arange(0), [], torch.arange(0)])
def test_an_empty_batch_gives_empty_draws(empty):
    keys = split_keys(0, "train", "x", empty)
    assert len(keys) == 0
    assert [len(u) for u in uniforms(keys, 3)] == [0, 0, 0]


def test_the_values_do_not_drift():
    """The bytes of every published dataset depend on these."""
    assert split_keys(0, "train", "symmetry", [0, 1]).tolist() == KEYS
    assert uniforms(np.array([0, -1]), 3)[2].tolist() == THIRD


KEYS = [5356716543888582676, 6611447409784677980]
THIRD = [0.7361999191774445, 0.7730363337913545]


@pytest.fixture(scope="module")
def draws():
    return uniforms(split_keys(1, "train", "symmetry", np.arange(200_000)), 4)


def test_each_number_is_uniform(draws):
    for u in draws:
        assert u.min() >= 0.0 and u.max() < 1.0
        assert stats.kstest(u, "uniform").pvalue > 0.001
        low_bits = np.bincount((u * 2.0**53).astype(np.int64) & 0xFF, minlength=256)
        assert stats.chisquare(low_bits).pvalue > 0.001  # all 53 bits are random, the last eight too


def test_the_numbers_of_a_key_and_of_neighbours_are_independent(draws):
    pairs = [(draws[i], draws[j]) for i in range(4) for j in range(i)] + [(u[:-1], u[1:]) for u in draws]
    for a, b in pairs:
        table = np.histogram2d(a, b, bins=16, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(table.ravel()).pvalue > 0.001


def test_streams_of_neighbouring_seeds_and_purposes_are_independent():
    indices = np.arange(50_000)
    one = uniforms(split_keys(0, "train", "symmetry", indices), 1)[0]
    for path in ((1, "train", "symmetry"), (0, "test", "symmetry"), (0, "train", "order")):
        other = uniforms(split_keys(*path, indices), 1)[0]
        table = np.histogram2d(one, other, bins=16, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(table.ravel()).pvalue > 0.001


def test_a_permutation_is_a_fair_shuffle():
    order = permutation(0, "train", "order", 5000)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(5000))
    assert abs(stats.spearmanr(order, np.arange(5000)).statistic) < 0.06
    assert not np.array_equal(order, permutation(1, "train", "order", 5000))
    places = np.bincount([int(np.argmin(permutation(seed, "s", "p", 4))) for seed in range(2000)], minlength=4)
    assert stats.chisquare(places).pvalue > 0.001
    assert permutation(0, "s", "p", 0).tolist() == [] and permutation(0, "s", "p", 1).tolist() == [0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_does_not_matter():
    keys = split_keys(0, "train", "x", torch.arange(1000, device="cuda"))
    assert keys.device.type == "cuda"
    assert keys.cpu().equal(split_keys(0, "train", "x", torch.arange(1000)))
    assert uniforms(keys, 2)[1].cpu().equal(uniforms(keys.cpu(), 2)[1])
