"""Which source image, in which pose, under which label, is sample i of each split: plain arrays, no pixels.

Splits are divided over source images, so no two splits share one, whatever copies a recipe makes of it.
"""

from dataclasses import dataclass

import numpy as np

from symdata.errors import RecipeError
from symdata.groups import Element
from symdata.keys import permutation, split_keys, uniforms
from symdata.recipes.canvas import PAIRED
from symdata.recipes.catalog import Recipe
from symdata.sources.base import Source, split_order


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one split, before any symmetry acts."""

    origin: tuple[str, ...]
    """Source splits that `index` counts through, one after another."""
    index: np.ndarray
    """(n, m) int64: source images of each sample; m is 2 for pairs, else 1."""
    pose: np.ndarray
    """(n,) int64: which of the poses."""
    label: np.ndarray
    """(n,) int64."""

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True)
class Sampling:
    """Everything that decides the samples, besides the source."""

    recipe: Recipe | None = None
    seed: int = 0
    count: int | None = None
    """Samples in the training split (a recipe that copies images: the nearest whole number of images); the other splits
    keep their proportion to it. None: all there are."""
    validation: float = 0.0
    """Share of the source's training images that become the validation split, if the source has none."""


def poses_of(recipe: Recipe | None) -> tuple[Element, ...]:
    """The distinct pose elements of a recipe; the identity comes first."""
    if recipe is None or not recipe.poses:
        return (Element(),)
    return tuple(dict.fromkeys([Element()] + [p.element for poses in recipe.poses.values() for p in poses]))


def copies_per_image(recipe: Recipe, classes: tuple[str, ...]) -> float:
    """How many samples a recipe with poses makes of a source image, on average over the classes."""
    return sum(len(p) * recipe.keep.get(c, 1.0) for c, p in recipe.poses.items() if c in classes) / len(classes) or 1.0


def plan_samples(source: Source, sampling: Sampling) -> dict[str, Samples]:
    """The samples of every split, a pure function of the source's labels and `sampling`."""
    labels = {split: source.labels(split) for split in source.splits}
    parts = _divide(labels, sampling)
    if sampling.recipe is not None and sampling.recipe.canvas == "pair":
        return _pairs(labels, parts, sampling)
    planned = {split: _posed(origin, ids, labels, source.classes, sampling) for split, (origin, ids) in parts.items()}
    return {split: _limited(samples, split, planned, sampling) for split, samples in planned.items()}


_Part = tuple[tuple[str, ...], np.ndarray]
"""Source splits, and the chosen images as indices counted through them."""


def _divide(labels: dict[str, np.ndarray], sampling: Sampling) -> dict[str, _Part]:
    recipe = sampling.recipe
    if recipe is not None and recipe.pool:
        return _pooled(labels, sampling, recipe)
    parts: dict[str, _Part] = {split: ((split,), np.arange(len(values))) for split, values in labels.items()}
    if "train" in parts and "validation" not in parts and sampling.validation > 0.0:
        origin, ids = parts["train"]
        order = permutation(sampling.seed, "train", "validation", len(ids))
        held_out = round(len(ids) * sampling.validation)
        if not 0 < held_out < len(ids):
            raise RecipeError(
                f"a validation share of {sampling.validation:g} takes {held_out} of {len(ids)} training images; "
                "use --validation 0 or add images"
            )
        parts["train"] = (origin, np.sort(order[held_out:]))
        parts["validation"] = (origin, np.sort(order[:held_out]))
    return {split: parts[split] for split in split_order(parts)}


def _pooled(labels: dict[str, np.ndarray], sampling: Sampling, recipe: Recipe) -> dict[str, _Part]:
    """All source images in a random order, cut in the proportion of the recipe's counts."""
    origin, total = tuple(labels), sum(map(len, labels.values()))
    wanted = scaled(dict(recipe.counts), sampling.count)
    if (
        asked := sum(wanted.values())
    ) > total:  # no two splits may share an image: each gets its part of those there are
        wanted = {split: n * total // asked for split, n in wanted.items()}
    order, parts, start = permutation(sampling.seed, "all", "split", total), {}, 0
    for split, n in wanted.items():
        parts[split] = (origin, np.sort(order[start : start + n]))
        start += n
    return parts


def scaled(counts: dict[str, int], train: int | None) -> dict[str, int]:
    """Counts in proportion, such that the training split has `train` samples."""
    if train is None or "train" not in counts:
        return counts
    return {s: train if s == "train" else max(1, round(n * train / counts["train"])) for s, n in counts.items()}


def _posed(
    origin: tuple[str, ...],
    ids: np.ndarray,
    labels: dict[str, np.ndarray],
    classes: tuple[str, ...],
    sampling: Sampling,
) -> Samples:
    """Filter by class and make the copies of the recipe; copies of one image follow each other."""
    own = np.concatenate([labels[split] for split in origin])[ids]
    recipe = sampling.recipe
    if recipe is None or not recipe.poses:
        return Samples(origin, ids[:, None], np.zeros(len(ids), np.int64), own)
    elements, rows = poses_of(recipe), []
    for name, poses in recipe.poses.items():
        if name not in classes:
            raise RecipeError(f"recipe {recipe.name!r} needs class {name!r}, but the source has {', '.join(classes)}")
        chosen = ids[own == classes.index(name)]
        chosen = chosen[: round(len(chosen) * recipe.keep.get(name, 1.0))]
        rows += [np.stack([chosen, 0 * chosen + elements.index(p.element), 0 * chosen + p.label]) for p in poses]
    table = np.concatenate(rows, axis=1)
    table = table[:, np.argsort(table[0], kind="stable")]
    return Samples(origin, table[0][:, None], table[1], table[2])


def _limited(samples: Samples, split: str, planned: dict[str, Samples], sampling: Sampling) -> Samples:
    """As many source images as bring the split to its share of `count`; beyond the last, the first come again."""
    if sampling.count is None or not len(samples):
        return samples
    recipe = sampling.recipe
    pooled = recipe is not None and recipe.pool
    wanted = scaled(
        dict(recipe.counts) if recipe and pooled else {s: len(p) for s, p in planned.items()}, sampling.count
    )
    n = wanted[split] if "train" in wanted else min(sampling.count, len(samples))
    if n >= len(samples):
        pick = np.arange(n) % len(samples)
    else:
        images = np.unique(samples.index[:, 0])
        order = permutation(sampling.seed, split, "count", len(images))
        chosen = images[order[: max(1, round(n * len(images) / len(samples)))]]
        pick = np.flatnonzero(np.isin(samples.index[:, 0], chosen))
    return Samples(samples.origin, samples.index[pick], samples.pose[pick], samples.label[pick])


def _pairs(labels: dict[str, np.ndarray], parts: dict[str, _Part], sampling: Sampling) -> dict[str, Samples]:
    """Pairs with replacement: label 10 a + b runs through 0..99, and each digit's image is drawn from its class."""
    assert sampling.recipe is not None
    wanted = scaled({s: n for s, n in sampling.recipe.counts.items() if s in parts}, sampling.count)
    if not wanted:
        needs, found = ", ".join(sampling.recipe.counts), ", ".join(parts)
        raise RecipeError(f"recipe {sampling.recipe.name!r} needs one of the splits {needs}; the source has {found}")
    return {split: _paired(split, n, parts[split], labels, sampling) for split, n in wanted.items()}


def _paired(split: str, n: int, part: _Part, labels: dict[str, np.ndarray], sampling: Sampling) -> Samples:
    origin, ids = part
    own = np.concatenate([labels[s] for s in origin])[ids]
    by_class = [ids[own == c] for c in range(PAIRED)]
    if empty := [c for c, members in enumerate(by_class) if not len(members)]:
        raise RecipeError(f"split {split!r} has no image of class {empty[0]}, and pairs need the classes 0 to 9")
    label = np.arange(n) % PAIRED**2
    sizes, starts = np.array([len(m) for m in by_class]), np.cumsum([0] + [len(m) for m in by_class[:-1]])
    members, draws = np.concatenate(by_class), uniforms(split_keys(sampling.seed, split, "pair", np.arange(n)), 2)
    digits = np.stack([label // PAIRED, label % PAIRED], axis=1)
    index = members[starts[digits] + np.floor(np.stack(draws, axis=1) * sizes[digits]).astype(np.int64)]
    return Samples(origin, index, np.zeros(n, np.int64), label)
