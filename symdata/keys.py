"""Counter-based random numbers: those of image i depend on (seed, split, purpose, i) alone.

Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") maps a counter and a key to four
random words. It has no state, so batch size, number of workers, number of shards and resuming cannot change a draw.

It is written by hand because it needs only `* >> & ^` on 64-bit integers that hold 32-bit words. These work alike on
numpy arrays and on torch tensors on any device, so datasets and compiled augmentations share one implementation.
"""

import hashlib
import operator
from typing import Any, TypeVar

import numpy as np

from symdata.errors import ShapeError

Array = TypeVar("Array")
"""An int64 numpy array or torch tensor; the result is of the same type."""

Words = tuple[Any, Any, Any, Any]
"""Four int64 arrays with values in [0, 2^32)."""

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Philox 4x32-10 of four counter words under a key of two words.

    Each word and each result is an int64 array, at least one-dimensional, with values in [0, 2^32). A product of two
    words may overflow int64; its 64 bits are still correct, and the mask after the shift removes the sign.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) & _WORD ^ c1 ^ k0, p1 & _WORD, (p0 >> 32) & _WORD ^ c3 ^ k1, p0 & _WORD
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return c0, c1, c2, c3


def _key(*path: object) -> tuple[int, int]:
    # repr keeps the parts distinct whatever they contain: ("a/b", "c") is not ("a", "b/c").
    digest = hashlib.sha256(repr([str(part) for part in path]).encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def split_keys(seed: int, split: str, purpose: str, indices: Array) -> Array:
    """One 64-bit key per index; each key gives its own stream of random numbers.

    Args:
        seed: any integer, also negative or longer than 64 bits.
        split: name of the split; train and test draw independently.
        purpose: what the numbers are for ("symmetry", "order", ...); two purposes draw independently.
        indices: (n,) integers, the index of each image in its split; a list or range is taken as a numpy array.

    Returns:
        (n,) int64, of the same kind (numpy or torch, device) as `indices`.

    Raises:
        ShapeError: if the indices are not integers.

    Example:
        >>> from symdata import split_keys
        >>> whole, part = split_keys(0, "train", "symmetry", range(5)), split_keys(0, "train", "symmetry", [3])
        >>> bool(whole[3] == part[0])
        True
    """
    low, high = _halves(_integers(indices))
    w0, w1, _, _ = philox((low, high, low * 0, low * 0), _key(int(operator.index(seed)), split, purpose))
    keys: Array = w0 | (w1 << 32)
    return keys


def _integers(values: Any) -> Any:
    if hasattr(values, "is_floating_point"):  # a torch tensor
        exact, wide = not (values.is_floating_point() or values.is_complex()), values.long()
    else:
        values = np.asarray(values)
        exact, wide = values.dtype.kind in "iu" or not values.size, values.astype(np.int64, copy=False)
    if not exact or values.ndim == 0:
        raise ShapeError(
            f"indices are {values.dtype} of shape {tuple(values.shape)}, expected (n,) integers; use arange"
        )
    return wide


def _halves(values: Any) -> tuple[Any, Any]:
    """The lower and upper 32-bit words of int64 values."""
    return values & _WORD, (values >> 32) & _WORD


_UNIFORMS_KEY = _key("uniforms")


def uniforms(keys: Array, n: int) -> list[Array]:
    """`n` independent uniform numbers in [0, 1) per key: n arrays (len(keys),), float64 with 53 random bits."""
    low, high = _halves(keys)
    draws: list[Array] = []
    for counter in range((n + 1) // 2):
        w0, w1, w2, w3 = philox((low, high, low * 0 + counter, low * 0), _UNIFORMS_KEY)
        draws += [_unit(w0, w1), _unit(w2, w3)]
    return draws[:n]


def _unit(high: Any, low: Any) -> Any:
    # Joined as integers: an integer tensor times a float is float32.
    bits = ((high >> 5) << 26) | (low >> 6)
    return (bits.astype(np.float64) if isinstance(bits, np.ndarray) else bits.double()) * 2.0**-53


def permutation(seed: int, split: str, purpose: str, n: int) -> np.ndarray:
    """A random permutation of 0..n-1, (n,) int64: the indices sorted by their keys."""
    return np.argsort(split_keys(seed, split, purpose, np.arange(n)), kind="stable")
