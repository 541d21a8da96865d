"""The plan of a dataset: samples as a pure function of (spec, split, index).

`resolve` opens the source of a `Spec` and checks everything before the first image is made. `DatasetPlan.batch` makes
any samples; they are the same in any order, batch and process, and when a build is resumed.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import torch

from symdata.annotations import Annotations
from symdata.display import Result, Table
from symdata.errors import RecipeError, ShapeError, SymmetryError
from symdata.groups import Element, Elements, Group
from symdata.keys import split_keys, uniforms
from symdata.recipes.annotated import annotation_facts, check_recipe, check_void, moved_annotations
from symdata.recipes.canvas import QUADRANTS, canvas_classes, canvas_shape, compose
from symdata.recipes.catalog import PLAIN, Recipe, find_recipe
from symdata.recipes.extras import NO_EXTRAS, Extras
from symdata.recipes.outline import splits_table, summary
from symdata.recipes.sampling import Samples, Sampling, copies_per_image, plan_samples, poses_of, scaled
from symdata.recipes.spec import Spec
from symdata.recipes.splitting import check_splits, division, groups_of, repeats
from symdata.sources import Source, open_source
from symdata.sources.base import Ref, check_device
from symdata.symmetry import Symmetry
from symdata.transforms.action import move
from symdata.transforms.lattice import needs_square
from symdata.transforms.resampling import Resampling

Rows = np.ndarray | range
"""Indices of samples in a split."""


@dataclass(frozen=True, eq=False)
class SampleBatch:
    """Finished samples."""

    images: torch.Tensor
    """(n, C, H, W) uint8."""
    labels: np.ndarray
    """(n,) int64."""
    index: np.ndarray
    """(n, m) int64, source images."""
    pose: np.ndarray
    """(n,) int64, index into `DatasetPlan.poses`."""
    elements: tuple[Elements, ...]
    """m batches of n: the element that moved each source image, pose included."""
    quadrant: np.ndarray | None
    """(n,) int64, if the canvas has quadrants."""
    annotations: Annotations | None = None
    """Moved with the images, if the source is annotated."""


@dataclass(frozen=True, eq=False)
class DatasetPlan(Result):
    """A spec with its source opened and every choice made."""

    spec: Spec
    source: Source
    recipe: Recipe
    samples: dict[str, Samples]
    symmetries: dict[str, Symmetry]
    how: Resampling
    classes: tuple[str, ...]
    extras: Extras = NO_EXTRAS
    groups: Mapping[str, np.ndarray] | None = None
    """Split of the source -> group of each image, if `group_by` is given."""

    def parts(self) -> Iterable[Table]:
        return [splits_table(self.outline())]

    def to_dict(self) -> dict[str, Any]:
        return summary(self.outline())

    def outline(self) -> dict[str, Any]:
        """What is known of the manifest without any image."""
        splits = {split: self.split_facts(split) for split in self.samples}
        omitted = {"source": self.omitted} if self.omitted else {}
        return {"spec": self.spec.to_dict(), **omitted, **self.facts(), "splits": splits}

    def facts(self) -> dict[str, Any]:
        """What the manifest says about all images."""
        return {
            "classes": list(self.classes),
            "shape": list(self.shape),
            "poses": [{"angle": pose.angle, "flip": pose.flip} for pose in self.poses],
            "resampling": self.how.to_dict(),
            **self.extras.facts(),
            **division(self.spec, self.source, self.samples, self.groups),
            **annotation_facts(self.source),
        }

    def split_facts(self, split: str) -> dict[str, Any]:
        """What the manifest says about a split, except for its shards."""
        symmetry = self.symmetries[split]
        return {
            "symmetry": str(symmetry),
            "degree": symmetry.degree,
            "group": self.group(split).name,
            "from": list(self.samples[split].origin),
            "num_examples": len(self.samples[split]),
            **repeats(self.samples[split]),
        }

    @property
    def omitted(self) -> dict[str, Any]:
        """What the source left out, as in `FileSource.omitted`."""
        return dict(getattr(self.source, "omitted", {}))

    @property
    def name(self) -> str:
        """Slug for the folder: the recipe, or the source and its symmetry."""
        if self.recipe.name and self.spec.symmetry is None:
            return self.recipe.name
        return f"{self.recipe.name or self.source.name}-{next(iter(self.symmetries.values())).slug}"

    @cached_property
    def poses(self) -> tuple[Element, ...]:
        return poses_of(self.recipe)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the finished images."""
        return canvas_shape(self.recipe.canvas, self.source.shape)

    @property
    def pinned(self) -> str | None:
        """The source's reference, with its revision if it has one, so that it opens the same images later."""
        if self.source.revision is None:
            return self.spec.source_ref
        ref = Ref.parse(self.source.ref)
        options = ref.text.removeprefix(ref.place)
        return f"{ref.place.partition('@')[0]}@{self.source.revision}{options}"

    def group(self, split: str) -> Group:
        """The smallest group that contains every element of the split, poses included."""
        # The angles of poses are whole degrees: r(a) is in c_n if n a is a multiple of 360.
        groups = (Group(360 // math.gcd(360, int(pose.angle)), pose.flip) for pose in self.poses)
        return reduce(Group.__or__, groups, self.symmetries[split].group)

    def upright(self, split: str, rows: Rows) -> torch.Tensor:
        """The source images of some samples, (n, m, C, h, w) uint8."""
        samples = self.samples[split]
        index = samples.index[rows]
        flat = _read_through(self.source, samples.origin, index.reshape(-1))
        return flat.view(*index.shape, *flat.shape[1:])

    def quadrant(self, split: str, rows: Rows) -> np.ndarray | None:
        """The quadrant of some samples, (n,) int64; None if the canvas has no quadrants."""
        if not self.recipe.canvas.startswith("quadrant"):
            return None
        keys = split_keys(self.spec.seed, split, "quadrant", np.asarray(rows))
        drawn: np.ndarray = np.floor(len(QUADRANTS) * uniforms(keys, 1)[0]).astype(np.int64)
        return drawn

    def labels(self, split: str, rows: Rows) -> np.ndarray:
        """The labels of some samples, (n,) int64."""
        label, quadrant = self.samples[split].label[rows], self.quadrant(split, rows)
        if quadrant is not None and self.recipe.canvas == "quadrant-label":
            label = label + len(self.classes) // len(QUADRANTS) * quadrant
        return label

    def drawn(self, split: str, rows: Rows) -> tuple[Elements, ...]:
        """The random elements of some samples, without their poses; one batch per source image of a sample."""
        parts = self.samples[split].index.shape[1]
        counter, label = np.asarray(rows) * parts, self.labels(split, rows)
        return tuple(
            self.symmetries[split].sample(label, split_keys(self.spec.seed, split, "symmetry", counter + part))
            for part in range(parts)
        )

    def elements(self, split: str, rows: Rows) -> tuple[Elements, ...]:
        """The elements that move some samples, poses included, with the angles that are recorded."""
        poses = Elements.of(self.poses)[self.samples[split].pose[rows]]
        return tuple((drawn @ poses).float32() for drawn in self.drawn(split, rows))

    def batch(self, split: str, rows: Rows, device: str = "cpu") -> SampleBatch:
        """Make some samples of a split; each depends on its row alone."""
        samples, quadrant = self.samples[split], self.quadrant(split, rows)
        elements = self.elements(split, rows)
        upright = self.upright(split, rows).to(device)
        moved = [
            move(upright[:, part].contiguous(), each.to(upright.device), self.how) for part, each in enumerate(elements)
        ]
        images, labels = compose(self.recipe.canvas, moved, quadrant), self.labels(split, rows)
        index = samples.index[rows]
        annotations = moved_annotations(self.source, samples.origin, index, elements, self.how)
        return SampleBatch(images, labels, index, samples.pose[rows], elements, quadrant, annotations)


def resolve(spec: Spec, device: str = "cpu", *, check: bool = False) -> DatasetPlan:
    """Open the source, choose the samples of every split, and check that the dataset can be made.

    With `check`, every image of the source is decoded, and all that cannot be used are named.

    Raises:
        SymdataError: for anything that would fail later.

    Example:
        >>> from symdata import Spec
        >>> print(resolve(Spec(source="glyphs:OX", symmetry="c4", count=60)))
        split       images  size     symmetry  degree
        ----------  ------  -------  --------  ------
        train       60      28x28x1  c4        1.000
        validation  10      28x28x1  c4        1.000
        test        10      28x28x1  c4        1.000
    """
    check_device(device, RecipeError)
    recipe = PLAIN if spec.recipe is None else find_recipe(spec.recipe)
    train = Symmetry.parse(spec.symmetry or recipe.symmetry)
    test = Symmetry.parse(spec.test_symmetry or recipe.test_symmetry or train)
    source = _open(spec, recipe, device, check)
    check_recipe(source, recipe.name)
    extras, validation = Extras.of(source), recipe.validation if spec.validation is None else spec.validation
    groups = groups_of(spec, source, extras)
    sampling = Sampling(recipe, spec.seed, spec.count, validation, spec.test or 0.0, groups)
    samples = plan_samples(source, sampling)
    check_splits(spec, source, recipe, samples)
    classes = recipe.class_names or canvas_classes(recipe.canvas, source.classes)
    symmetries = {split: (test if split == "test" else train).resolve(classes) for split in samples}
    how = _resampling(spec, recipe, (train, test))
    plan = DatasetPlan(spec, source, recipe, samples, symmetries, how, classes, extras, groups)
    _check_square(plan)
    check_void(source, plan.how, spec)
    return plan


def _open(spec: Spec, recipe: Recipe, device: str, check: bool) -> Source:
    source = open_source(
        recipe.source if spec.source is None else spec.source,
        size=spec.size,
        resize=spec.resize,
        skip_bad=spec.skip_bad,
        device=device,
        check=check,
    )
    counts = _counts(spec, recipe, source)
    return source.with_counts(**counts) if counts and hasattr(source, "with_counts") else source


def _counts(spec: Spec, recipe: Recipe, source: Source) -> dict[str, int]:
    """How many images a source that generates them should have; empty: its own number."""
    if recipe.counts:
        return scaled(dict(recipe.counts), spec.count)
    if spec.count is None:
        return {}
    shares, n = {"train": 6, "validation": 1, "test": 1}, len(source.classes)
    if not recipe.poses:
        return scaled(shares, spec.count)
    rounds = math.ceil(spec.count / (n * copies_per_image(recipe, source.classes)))  # each has an image of every class
    return {split: n * share for split, share in scaled(shares, rounds).items()}


def _resampling(spec: Spec, recipe: Recipe, symmetries: tuple[Symmetry, ...]) -> Resampling:
    """One resampling for the whole dataset: if any split leaves the lattice, all images of all splits are resampled."""
    off = [symmetry for symmetry in symmetries if not symmetry.is_lattice]
    exact = not off and not recipe.resampled
    how = Resampling.choose(exact, spec.resample, spec.mask, spec.padding, spec.supersample)
    if how.is_exact and off:
        raise SymmetryError(
            f"symmetry {str(off[0])!r} leaves the pixel lattice and --resample is exact; use --resample halves"
        )
    return how


def _check_square(plan: DatasetPlan) -> None:
    _, h, w = plan.source.shape
    poses = any(pose.angle % 180.0 for pose in plan.poses)
    for symmetry in plan.symmetries.values() if h != w else ():
        if poses or needs_square(symmetry):
            turns = "the recipe" if poses else str(symmetry)
            raise ShapeError(
                f"source images are {h}x{w} and {turns} turns them; use --size {max(h, w)} to make them square (with "
                "--resize pad to keep their shape), or a symmetry that keeps them, as d2"
            )


def _read_through(source: Source, origin: tuple[str, ...], index: np.ndarray) -> torch.Tensor:
    """Images whose indices count through several source splits."""
    if len(origin) == 1:
        return source.read(origin[0], index)
    starts = np.cumsum([0] + [source.splits[split] for split in origin[:-1]])
    place = np.searchsorted(starts, index, side="right") - 1
    parts = [source.read(split, index[place == k] - starts[k]) for k, split in enumerate(origin)]
    order = np.argsort(place, kind="stable")
    return torch.cat(parts)[torch.from_numpy(np.argsort(order))]
