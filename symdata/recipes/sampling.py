"""The choice of samples: source image, pose and label of sample i of each split, as arrays without pixels.

Splits are divided over source images, so no two splits share one, even if a recipe makes several copies of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from symdata.errors import RecipeError
from symdata.groups import Element
from symdata.keys import permutation, split_keys, uniforms
from symdata.recipes.canvas import PAIRED
from symdata.recipes.catalog import PLAIN, Recipe
from symdata.recipes.stratified import hold_out
from symdata.sources.base import Source, split_order


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one split, before any symmetry acts."""

    origin: tuple[str, ...]
    """Source splits that `index` counts through, one after another."""
    index: np.ndarray
    """(n, m) int64: source images of each sample; m is 2 for pairs, else 1."""
    pose: np.ndarray
    """(n,) int64: index into the poses."""
    label: np.ndarray
    """(n,) int64."""

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: np.ndarray) -> "Samples":
        """The samples in these rows."""
        return Samples(self.origin, self.index[rows], self.pose[rows], self.label[rows])


@dataclass(frozen=True)
class Sampling:
    """What decides the samples, besides the source."""

    recipe: Recipe = PLAIN
    seed: int = 0
    count: int | None = None
    """Samples in the training split (if a recipe copies images: of the nearest whole number of images); the other
    splits keep their proportion to it. None: all."""
    validation: float = 0.0
    """Share of the source's training images that become the validation split, if the source has none."""
    test: float = 0.0
    """Likewise the test split. With this or `groups`, what is held out has its share of every class."""
    groups: Mapping[str, np.ndarray] | None = field(default=None, compare=False)
    """Split of the source -> group of each image, (n,) int64; no group is divided."""


def poses_of(recipe: Recipe) -> tuple[Element, ...]:
    """The distinct poses of a recipe, first the identity."""
    return tuple(dict.fromkeys([Element()] + [p.element for poses in recipe.poses.values() for p in poses]))


def copies_per_image(recipe: Recipe, classes: tuple[str, ...]) -> float:
    """Samples that a recipe with poses makes of a source image, on average over the classes."""
    return sum(len(p) * recipe.keep.get(c, 1.0) for c, p in recipe.poses.items() if c in classes) / len(classes) or 1.0


def scaled(counts: dict[str, int], train: int | None) -> dict[str, int]:
    """Counts in proportion, such that the training split has `train` samples."""
    if train is None or "train" not in counts:
        return counts
    return {s: train if s == "train" else max(1, round(n * train / counts["train"])) for s, n in counts.items()}


def plan_samples(source: Source, sampling: Sampling) -> dict[str, Samples]:
    """The samples of every split, a pure function of the source's labels and `sampling`."""
    recipe, count = sampling.recipe, sampling.count
    labels = {split: source.labels(split) for split in source.splits}
    parts = _pooled(labels, sampling) if recipe.pool else _held_out(labels, sampling)
    if recipe.canvas == "pair":
        return _pairs(parts, sampling)
    planned = {split: _posed(part, source.classes, recipe) for split, part in parts.items()}
    if count is None:
        return planned
    wanted = scaled(dict(recipe.counts) if recipe.pool else {s: len(p) for s, p in planned.items()}, count)
    if "train" not in wanted:
        wanted = {split: min(count, n) for split, n in wanted.items()}
    return {split: _limited(samples, wanted[split], split, sampling.seed) for split, samples in planned.items()}


class _Part(NamedTuple):
    """The source images of a split."""

    origin: tuple[str, ...]
    """Source splits."""
    ids: np.ndarray
    """(n,) int64, counted through these splits."""
    label: np.ndarray
    """(n,) int64, in the source."""


def _held_out(labels: dict[str, np.ndarray], sampling: Sampling) -> dict[str, _Part]:
    """The splits of the source; validation and test splits are taken out of the training split if there are none."""
    parts = {split: _Part((split,), np.arange(len(own)), own) for split, own in labels.items()}
    asked = {"test": sampling.test, "validation": sampling.validation} if "train" in parts else {}
    shares = {split: share for split, share in asked.items() if share > 0.0 and split not in parts}
    if "test" in shares or (shares and sampling.groups is not None):
        own, groups = labels["train"], None if sampling.groups is None else sampling.groups["train"]
        divided = hold_out(own, shares, sampling.seed, groups)
        parts |= {split: _Part(("train",), ids, own[ids]) for split, ids in divided.items()}
    elif shares:
        own = labels["train"]
        order = permutation(sampling.seed, "train", "validation", len(own))
        n = round(len(own) * sampling.validation)
        if not 0 < n < len(own):
            raise RecipeError(
                f"a validation share of {sampling.validation:g} takes {n} of {len(own)} training images; "
                "use --validation 0 or add images"
            )
        for split, ids in (("train", np.sort(order[n:])), ("validation", np.sort(order[:n]))):
            parts[split] = _Part(("train",), ids, own[ids])
    return {split: parts[split] for split in split_order(parts)}


def _pooled(labels: dict[str, np.ndarray], sampling: Sampling) -> dict[str, _Part]:
    """All source images in a random order, divided in the proportion of the recipe's counts."""
    own, wanted = np.concatenate(list(labels.values())), scaled(dict(sampling.recipe.counts), sampling.count)
    asked, total = sum(wanted.values()), len(own)
    if asked > total:  # no two splits may share an image
        wanted = {split: n * total // asked for split, n in wanted.items()}
    order = permutation(sampling.seed, "all", "split", total)
    divided = map(np.sort, np.split(order, np.cumsum(list(wanted.values())))[:-1])
    return {split: _Part(tuple(labels), ids, own[ids]) for split, ids in zip(wanted, divided, strict=True)}


def _posed(part: _Part, classes: tuple[str, ...], recipe: Recipe) -> Samples:
    """Filter by class and make the copies of the recipe; copies of one image follow each other."""
    if not recipe.poses:
        return Samples(part.origin, part.ids[:, None], np.zeros(len(part.ids), np.int64), part.label)
    elements, rows = poses_of(recipe), []
    for name, poses in recipe.poses.items():
        if name not in classes:
            raise RecipeError(f"recipe {recipe.name!r} needs class {name!r}, but the source has {', '.join(classes)}")
        chosen = part.ids[part.label == classes.index(name)]
        chosen = chosen[: round(len(chosen) * recipe.keep.get(name, 1.0))]
        rows += [np.stack([chosen, 0 * chosen + elements.index(p.element), 0 * chosen + p.label]) for p in poses]
    copies = np.concatenate(rows, axis=1)
    index, pose, label = copies[:, np.argsort(copies[0], kind="stable")]
    return Samples(part.origin, index[:, None], pose, label)


def _limited(samples: Samples, n: int, split: str, seed: int) -> Samples:
    """As many source images as give about `n` samples; if there are too few, they are repeated from the first on."""
    if not len(samples):
        return samples
    if n >= len(samples):
        return samples.take(np.arange(n) % len(samples))
    images = np.unique(samples.index[:, 0])
    order = permutation(seed, split, "count", len(images))
    chosen = images[order[: max(1, round(n * len(images) / len(samples)))]]
    return samples.take(np.flatnonzero(np.isin(samples.index[:, 0], chosen)))


def _pairs(parts: dict[str, _Part], sampling: Sampling) -> dict[str, Samples]:
    recipe = sampling.recipe
    wanted = scaled({split: n for split, n in recipe.counts.items() if split in parts}, sampling.count)
    if not wanted:
        needs, found = ", ".join(recipe.counts), ", ".join(parts)
        raise RecipeError(f"recipe {recipe.name!r} needs one of the splits {needs}; the source has {found}")
    return {split: _paired(parts[split], n, split, sampling.seed) for split, n in wanted.items()}


def _paired(part: _Part, n: int, split: str, seed: int) -> Samples:
    """Pairs with replacement: label 10 a + b runs through 0..99, and each digit's image is drawn from its class."""
    by_class = [part.ids[part.label == c] for c in range(PAIRED)]
    sizes = np.array([len(members) for members in by_class])
    if not sizes.all():
        raise RecipeError(f"split {split!r} has no image of class {sizes.argmin()}, and pairs need the classes 0 to 9")
    label = np.arange(n) % PAIRED**2
    digits = np.stack([label // PAIRED, label % PAIRED], axis=1)
    draws = np.stack(uniforms(split_keys(seed, split, "pair", np.arange(n)), 2), axis=1)
    starts = np.cumsum(sizes) - sizes
    index = np.concatenate(by_class)[starts[digits] + np.floor(draws * sizes[digits]).astype(np.int64)]
    return Samples(part.origin, index, np.zeros(n, np.int64), label)
