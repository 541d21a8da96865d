"""Hold images out of a split: every class in proportion, and no group of images divided.

Both are deterministic in the seed. What is held out for testing does not depend on the share for validation.
"""

from collections.abc import Mapping

import numpy as np

from symdata.errors import RecipeError
from symdata.keys import permutation


def hold_out(
    label: np.ndarray, shares: Mapping[str, float], seed: int, groups: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Divide images into what remains, "train", and a split for each share.

    Without groups, a split has its share of each class, rounded up or down; a class keeps one image in "train".

    Args:
        label: (n,) int64, class of each image.
        shares: split -> its share of all images.
        seed: which images.
        groups: (n,) int64; images of one group stay together, and classes are in proportion as far as that allows.

    Returns:
        Split -> its images, (k,) int64, ascending.

    Raises:
        RecipeError: if a split would be empty.
    """
    if sum(shares.values()) >= 1.0:
        said = " and ".join(f"{name} {share:g}" for name, share in shares.items())
        raise RecipeError(f"shares of {said} leave no training image; together they must be below 1")
    side = _by_class(label, shares, seed) if groups is None else _by_group(label, shares, seed, groups)
    found = {name: np.flatnonzero(side == k) for k, name in enumerate(["train", *shares])}
    for name, rows in found.items():
        if not len(rows):
            share = shares.get(name, 1.0 - sum(shares.values()))
            raise RecipeError(
                f"a {name} share of {share:g} is none of {len(label)} training images; "
                f"use a larger --{name} or add images"
                if name in shares
                else f"nothing is left of {len(label)} training images; use smaller shares or add images"
            )
    return found


def _by_class(label: np.ndarray, shares: Mapping[str, float], seed: int) -> np.ndarray:
    """Side of each image, (n,): 0 for train, then the shares in order; by largest remainders over the classes."""
    sizes = np.bincount(label)
    free = np.maximum(sizes - 1, 0)  # one image of each class stays
    order = permutation(seed, "train", "division", len(label))
    order = order[np.argsort(label[order], kind="stable")]  # by class, at random within each
    place = np.arange(len(label)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within the class
    side, start = np.zeros(len(label), np.int64), np.zeros(len(sizes), np.int64)
    for k, share in enumerate(shares.values(), 1):
        stop = start + _counts(sizes, share, free - start)
        own = label[order]
        side[order[(start[own] <= place) & (place < stop[own])]] = k
        start = stop
    return side


def _counts(sizes: np.ndarray, share: float, free: np.ndarray) -> np.ndarray:
    """How many images of each class a share takes: its part rounded up or down, together as near as possible."""
    exact = sizes * share
    counts: np.ndarray = np.minimum(np.floor(exact + 1e-9).astype(np.int64), free)
    left = round(float(sizes.sum()) * share) - int(counts.sum())
    remainder = np.where(counts < np.minimum(free, np.ceil(exact - 1e-9)), exact - counts, 0.0)
    chosen = np.argsort(-remainder, kind="stable")[: max(0, left)]
    counts[chosen[remainder[chosen] > 0.0]] += 1
    return counts


def _by_group(label: np.ndarray, shares: Mapping[str, float], seed: int, groups: np.ndarray) -> np.ndarray:
    """Side of each image: each group, from the largest on, goes where classes are then nearest to their targets."""
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 1 + len(shares):
        raise RecipeError(
            f"{len(names)} groups cannot be divided into {', '.join(['train', *shares])}; "
            "hold less out, or leave --group-by out"
        )
    counts = np.zeros((len(names), int(label.max()) + 1))  # (G, C)
    np.add.at(counts, (group, label), 1.0)
    parts = np.array([1.0 - sum(shares.values()), *shares.values()])
    missing = parts[:, None] * counts.sum(0)  # (sides, C): the target minus what is there
    weight = 1.0 / np.maximum(missing, 1e-9)
    order = permutation(seed, "train", "groups", len(names))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    side = np.zeros(len(names), np.int64)
    for g in order:
        change = (((missing - counts[g]) ** 2 - missing**2) * weight * (counts[g] > 0)).sum(1)
        side[g] = change.argmin()
        missing[side[g]] -= counts[g]
    _fill(side, order[::-1], len(parts))
    of_image: np.ndarray = side[group]
    return of_image


def _fill(side: np.ndarray, smallest: np.ndarray, sides: int) -> None:
    """Give each side that has no group the smallest one of a side that has several."""
    for k in range(sides):
        if not (side == k).any():
            side[next(g for g in smallest if (side == side[g]).sum() > 1)] = k
