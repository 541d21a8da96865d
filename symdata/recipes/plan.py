"""From a source, a symmetry and a seed to images: a pure function of (spec, split, index).

`Spec` is the whole description of a dataset and goes into its manifest; `resolve` opens the source and checks
everything before the first pixel; `DatasetPlan.block` makes any samples, alike in any order, batch, process and on
resuming.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import torch

from symdata.errors import RecipeError, ShapeError, SourceError, SymmetryError
from symdata.groups import Element, Elements, Group, wrap
from symdata.keys import split_keys, uniforms
from symdata.recipes.canvas import canvas_classes, canvas_shape, compose
from symdata.recipes.catalog import Recipe, find_recipe
from symdata.recipes.sampling import Samples, Sampling, copies_per_image, plan_samples, poses_of, scaled
from symdata.sources import Source, open_source
from symdata.sources.base import Ref
from symdata.symmetry import Symmetry
from symdata.transforms.action import move
from symdata.transforms.warp import Resampling

Rows = np.ndarray | range
"""Which samples of a split."""
MAX_SIZE = 4096
MAX_COUNT = 10**9
"""Largest training split: beyond it the indices alone would fill the memory."""


@dataclass(frozen=True)
class Spec:
    """The whole description of a dataset; JSON in the manifest, and the argument of every worker."""

    source: str | None = None
    """Reference of the source; None: the recipe's, or `glyphs`."""
    recipe: str | None = None
    symmetry: str | None = None
    """Of all splits but the test split; None: the recipe's, or `none`."""
    test_symmetry: str | None = None
    """Of the test split; None: as the others."""
    size: int | None = None
    """Side of the upright images in pixels; None: as they come."""
    resize: str = "bilinear"
    """How `size` is reached; one of `symdata.sources.RESIZES`."""
    count: int | None = None
    """Samples in the training split; the others keep their proportion."""
    seed: int = 0
    validation: float | None = None
    """Share of training images held out where the source has no validation split; None: the recipe's, or 0."""
    resample: str = "auto"
    """How pixels are read off the lattice; this and the next three as for `act`, decided once for all splits."""
    mask: str = "auto"
    padding: str = "border"
    supersample: int = 1

    def __post_init__(self) -> None:
        for name in ("symmetry", "test_symmetry"):  # only canonical text is stored
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, str(Symmetry.parse(text)))
        if self.count is not None and not 1 <= self.count <= MAX_COUNT:
            raise RecipeError(f"count {self.count} is outside 1..{MAX_COUNT}; leave it out for all images")
        if self.size is not None and not 2 <= self.size <= MAX_SIZE:
            raise RecipeError(f"size {self.size} is outside 2..{MAX_SIZE} pixels; leave it out to keep the source's")
        if self.validation is not None and not 0.0 <= self.validation < 1.0:
            raise RecipeError(f"validation share {self.validation:g} is outside [0, 1); 0.1 holds out a tenth")

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Spec":
        return cls(**fields)


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
    """(n,) int64 where the canvas has quadrants."""


@dataclass(frozen=True, eq=False)
class DatasetPlan:
    """A spec with its source open and every choice made."""

    spec: Spec
    source: Source
    recipe: Recipe | None
    samples: dict[str, Samples]
    symmetries: dict[str, Symmetry]
    how: Resampling
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Slug for the folder: the recipe, or the source and its symmetry."""
        if self.recipe is not None and self.spec.symmetry is None:
            return self.recipe.name
        first = self.recipe.name if self.recipe is not None else self.source.name
        return f"{first}-{next(iter(self.symmetries.values())).slug}"

    @property
    def canvas(self) -> str:
        return "plain" if self.recipe is None else self.recipe.canvas

    @cached_property
    def poses(self) -> tuple[Element, ...]:
        return poses_of(self.recipe)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the finished images."""
        return canvas_shape(self.canvas, self.source.shape)

    @property
    def pinned(self) -> str | None:
        """The source's reference with its revision, where it has one: it opens these very images tomorrow too."""
        if self.source.revision is None:
            return self.spec.source
        ref = Ref.parse(self.source.ref)
        options = ref.text.removeprefix(ref.place)
        return f"{ref.place.partition('@')[0]}@{self.source.revision}{options}"

    def group(self, split: str) -> Group:
        """The smallest group that holds every element of the split, poses included."""
        turns = {Element(0.0): "c1", Element(180.0): "c2", Element(90.0): "c4", Element(0.0, True): "d1"}
        return reduce(Group.__or__, (Group.parse(turns[pose]) for pose in self.poses), self.symmetries[split].group)

    def upright(self, split: str, rows: Rows) -> torch.Tensor:
        """The source images of some samples, (n, m, C, h, w) uint8."""
        samples = self.samples[split]
        index = samples.index[rows]
        flat = _read_through(self.source, samples.origin, index.reshape(-1))
        return flat.view(*index.shape, *flat.shape[1:])

    def quadrant(self, split: str, rows: Rows) -> np.ndarray | None:
        """Which quadrant some samples are in, (n,) int64, where the canvas has quadrants."""
        if not self.canvas.startswith("quadrant"):
            return None
        keys = split_keys(self.spec.seed, split, "quadrant", np.asarray(rows))
        drawn: np.ndarray = np.floor(4.0 * uniforms(keys, 1)[0]).astype(np.int64)
        return drawn

    def labels(self, split: str, rows: Rows) -> np.ndarray:
        """The labels of some samples, (n,) int64."""
        label, quadrant = self.samples[split].label[rows], self.quadrant(split, rows)
        if quadrant is not None and self.canvas == "quadrant-label":
            label = label + len(self.classes) // 4 * quadrant
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
        """The elements of some samples, poses included: rounded to the float32 that is recorded, then used."""
        poses = Elements.of(self.poses)[self.samples[split].pose[rows]]
        composed = [drawn @ poses for drawn in self.drawn(split, rows)]
        return tuple(Elements(wrap(e.angle.astype(np.float32).astype(np.float64)), e.flip) for e in composed)

    def block(self, split: str, rows: Rows, device: str = "cpu") -> SampleBatch:
        """Some samples of a split, finished; each depends on its row alone."""
        samples, quadrant = self.samples[split], self.quadrant(split, rows)
        elements = self.elements(split, rows)
        upright = self.upright(split, rows).to(device)
        moved = [
            move(upright[:, part].contiguous(), each.to(upright.device), self.how) for part, each in enumerate(elements)
        ]
        images, labels = compose(self.canvas, moved, quadrant), self.labels(split, rows)
        return SampleBatch(images, labels, samples.index[rows], samples.pose[rows], elements, quadrant)


def resolve(spec: Spec, device: str = "cpu") -> DatasetPlan:
    """Open the source, read the grammar, divide the splits; every refusal comes from here, before the first pixel."""
    _check_device(device)
    recipe = find_recipe(spec.recipe) if spec.recipe is not None else None
    train = Symmetry.parse(spec.symmetry or (recipe.symmetry if recipe else "none"))
    test = Symmetry.parse(spec.test_symmetry or (recipe and recipe.test_symmetry) or train)
    source = _open(spec, recipe, device)
    validation = spec.validation if spec.validation is not None else (recipe.validation if recipe else 0.0)
    samples = plan_samples(source, Sampling(recipe, spec.seed, spec.count, validation))
    _check_splits(spec, source, recipe, samples)
    canvas = "plain" if recipe is None else recipe.canvas
    classes = (recipe.class_names if recipe else ()) or canvas_classes(canvas, source.classes)
    symmetries = {split: test if split == "test" else train for split in samples}
    for symmetry in symmetries.values():
        symmetry.check_classes(len(classes))
    plan = DatasetPlan(spec, source, recipe, samples, symmetries, _resampling(spec, recipe, (train, test)), classes)
    _check_square(plan)
    return plan


def _check_device(device: str) -> None:
    try:
        torch.zeros(1, device=device).cpu()  # the copy refuses the device "meta", which holds no pixels
    except (RuntimeError, AssertionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise RecipeError(f"device {device!r} cannot be used here ({reason}); use --device cpu") from None


def _open(spec: Spec, recipe: Recipe | None, device: str) -> Source:
    ref = spec.source or (recipe.source if recipe else "glyphs")
    source = open_source(ref, size=spec.size, resize=spec.resize, device=device)
    counts = _wanted(spec, recipe, source)
    return source.with_counts(**counts) if counts and hasattr(source, "with_counts") else source


def _wanted(spec: Spec, recipe: Recipe | None, source: Source) -> dict[str, int]:
    """How many images a source that generates them should have; empty: as many as it likes."""
    if recipe is not None and recipe.counts:
        return scaled(dict(recipe.counts), spec.count)
    if spec.count is None:
        return {}
    if recipe is None or not recipe.poses:
        return scaled({"train": 6, "validation": 1, "test": 1}, spec.count)
    n = len(source.classes)
    turns = math.ceil(spec.count / (n * copies_per_image(recipe, source.classes)))  # through all classes
    return {split: n * share for split, share in scaled({"train": 6, "validation": 1, "test": 1}, turns).items()}


def _check_splits(spec: Spec, source: Source, recipe: Recipe | None, samples: Mapping[str, Samples]) -> None:
    """Refuse options that would have no effect, and splits without samples."""
    if spec.test_symmetry is not None and "test" not in samples:
        raise RecipeError(f"there is no test split for --test-symmetry, only {', '.join(samples)}; leave it out")
    if spec.validation and recipe is not None and recipe.pool:
        raise RecipeError(f"recipe {recipe.name!r} has a validation split of its own; leave --validation out")
    if spec.validation and "validation" in source.splits:
        raise RecipeError(f"source {source.ref!r} has a validation split of its own; leave --validation out")
    if spec.validation and "train" not in source.splits:
        raise RecipeError(f"source {source.ref!r} has no training split to hold images out of; leave --validation out")
    if empty := [split for split, planned in samples.items() if not len(planned)]:
        raise SourceError(f"split {empty[0]!r} comes out empty; use a larger --count or another source")


def _resampling(spec: Spec, recipe: Recipe | None, symmetries: tuple[Symmetry, ...]) -> Resampling:
    """One path for the whole dataset: if any split leaves the lattice, every image of every split is resampled."""
    lattice = all(symmetry.is_lattice for symmetry in symmetries)
    resample = recipe.resample if recipe is not None and spec.resample == "auto" else spec.resample
    how = Resampling.choose(lattice, resample, spec.mask, spec.padding, spec.supersample)
    if how.is_exact and not lattice:
        off = next(symmetry for symmetry in symmetries if not symmetry.is_lattice)
        raise SymmetryError(
            f"symmetry {str(off)!r} leaves the pixel lattice and --resample is exact; use --resample spline"
        )
    return how


def _check_square(plan: DatasetPlan) -> None:
    _, h, w = plan.source.shape
    turning = [s for s in plan.symmetries.values() if s.group.rotations not in (1, 2)]
    if h != w and (turning or plan.group(next(iter(plan.samples))).rotations not in (1, 2)):
        text = str(turning[0]) if turning else "the recipe"
        raise ShapeError(
            f"source images are {h}x{w} and {text} turns them; use --size {max(h, w)} to make them square "
            "(with --resize pad to keep their shape)"
        )


def _read_through(source: Source, origin: tuple[str, ...], index: np.ndarray) -> torch.Tensor:
    """Images whose indices count through several source splits."""
    if len(origin) == 1:
        return source.read(origin[0], index)
    starts = np.cumsum([0] + [source.splits[split] for split in origin])
    out: torch.Tensor | None = None
    for start, stop, split in zip(starts[:-1], starts[1:], origin, strict=True):
        rows = np.flatnonzero((index >= start) & (index < stop))
        if len(rows):
            part = source.read(split, index[rows] - start)
            out = part.new_empty((len(index), *part.shape[1:])) if out is None else out
            out[torch.from_numpy(rows)] = part
    assert out is not None
    return out
