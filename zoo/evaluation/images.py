"""The images that a model is evaluated on: a split of a dataset folder, or of any source that `symdata make` reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from symdata.errors import ShapeError, StoreError
from symdata.groups import Elements
from symdata.recipes.catalog import find_recipe
from symdata.sources import open_source
from symdata.sources.files import omission_notes, sha256
from symdata.store import ImageDataset, load
from symdata.store.manifest import MANIFEST
from zoo.errors import ModelError
from zoo.inference.opened_model import OpenedModel
from zoo.inference.sweep import checked, spread
from zoo.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Labelled images, and what is known about their origin and their poses.

    Example:
        >>> import torch
        >>> from zoo import ImageSet
        >>> ImageSet(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), [0, 1], classes=("cat", "dog"), name="pets")
        ImageSet('pets', 2 images of 8x8 pixels, 2 classes)
    """

    images: Any
    """uint8 (n, C, H, W), given as tensor or array and kept as tensor."""
    labels: Any
    """(n,) class indices, given as tensor, array or list and kept as an int64 tensor."""
    classes: tuple[str, ...] | None = None
    """A name for every class, where they are known."""
    name: str = ""
    """Where the images come from, for a reader."""
    split: str | None = None
    """None where there are no splits."""
    manifest_sha256: str | None = None
    """Hash of symdata.json, which holds the hash of every image; None unless they are from a dataset folder."""
    drawn: Elements | None = None
    """n elements that have moved the images already; None for upright images."""
    posed: bool = False
    """Whether the labels depend on the pose, so that a moved image needs another label."""
    fitted_by: Preprocessing | None = None
    """What has brought the images to the size of a model, where its normalisation is all that is left to do."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Images of the source that were left out, by name, with the reason."""

    @property
    def notes(self) -> list[str]:
        """A line on each image that was left out."""
        return omission_notes({"skipped": self.skipped})

    def __post_init__(self) -> None:
        images, labels = checked(self.images, self.labels)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)

    @classmethod
    def of(cls, data: "ImageSet | Sequence[Any]") -> "ImageSet":
        """From a pair of images and labels."""
        if isinstance(data, ImageSet):
            return data
        if not isinstance(data, Sequence) or len(data) != 2:
            raise ShapeError(f"data is {type(data).__name__}, expected (images, labels), an ImageSet or a reference")
        return cls(*data)

    def __len__(self) -> int:
        return len(self.images)

    def preprocessing(self, opened: OpenedModel) -> Preprocessing:
        """How these images become the input of a model; `ModelError` if they were fitted to another one."""
        known = opened.require_preprocessing()
        if self.fitted_by is None:
            return known
        if self.fitted_by is not known:
            raise ModelError(
                f"the images of {self.name!r} were resized for another model than {opened.name!r}; open them again"
            )
        return known.after_fit

    def limited(self, limit: int | None) -> "ImageSet":
        """At most `limit` of the images: the same random choice every time."""
        rows = spread(len(self), limit)
        if len(rows) == len(self):
            return self
        drawn = None if self.drawn is None else self.drawn.cpu()[rows]
        return replace(self, images=self.images[rows], labels=self.labels[rows], drawn=drawn)

    def __repr__(self) -> str:
        facts = [repr(self.name), f"{len(self):,} images of {self.images.shape[2]}x{self.images.shape[3]} pixels"]
        facts += [] if self.classes is None else [f"{len(self.classes)} classes"]
        return f"ImageSet({', '.join(facts)})"


def open_images(
    ref: str | Path, split: str, preprocessing: Preprocessing, limit: int | None = None, skip_bad: int = 0
) -> ImageSet:
    """Images of a dataset folder, or of a source at the size of the model, as `zoo.evaluate` takes them.

    Args:
        ref: a folder that `symdata make` wrote, or anything that `symdata.open_source` opens.
        split: name of the split.
        preprocessing: of the model; its size, so that images of mixed sizes can be read, and its channels.
        limit: at most so many images, the same random choice every time.
        skip_bad: how many images of a source that cannot be used are left out, and listed in `skipped`, before there is
            an error. Every image of the source is then decoded.

    Raises:
        SourceError, StoreError: if there are no such images.
        ShapeError: if their number of channels is not the model's.

    Example:
        >>> import zoo
        >>> model = zoo.load("p4cnn_28.mnist-none")
        >>> images = zoo.open_images("glyphs:digits", "test", model.preprocessing, limit=20, skip_bad=3)
        >>> len(images), images.skipped
        (20, {})
    """
    if (Path(ref) / MANIFEST).is_file():
        if skip_bad:
            raise StoreError(
                f"{str(ref)!r} is a dataset folder, which has no bad images; leave skip_bad (--skip-bad) out"
            )
        found = _of_dataset(load(ref, split), limit, sha256(Path(ref) / MANIFEST))
    else:
        found = _of_source(str(ref), split, preprocessing, limit, skip_bad)
    channels = found.images.shape[1]
    if channels not in (1, preprocessing.channels):
        raise ShapeError(
            f"the images of {str(ref)!r} have {channels} channels and the model takes {preprocessing.channels}; "
            "use a model for such images, or other images"
        )
    return found


def _of_dataset(dataset: ImageDataset, limit: int | None, digest: str) -> ImageSet:
    rows = spread(len(dataset), limit).numpy()
    recipe = dataset.manifest["spec"].get("recipe")
    canvas = "plain" if recipe is None else find_recipe(recipe).canvas
    return ImageSet(
        images=dataset.images(rows),
        labels=dataset.labels[rows],
        classes=dataset.classes,
        name=f"{dataset.manifest['name']}, {dataset.split}",
        split=dataset.split,
        manifest_sha256=digest,
        drawn=dataset.drawn.cpu()[rows],
        posed=len(dataset.manifest["poses"]) > 1 or canvas != "plain",
    )


def _of_source(ref: str, split: str, preprocessing: Preprocessing, limit: int | None, skip_bad: int) -> ImageSet:
    # Glyphs are rendered, not resized: at their own size they are what a dataset of them holds.
    fit = None if ref.startswith("glyphs") else preprocessing.fit
    source = open_source(ref, skip_bad=skip_bad) if fit is None else open_source(ref, resize=fit, skip_bad=skip_bad)
    labels = source.labels(split)
    rows = spread(len(labels), limit).numpy()
    skipped = getattr(source, "omitted", {}).get("skipped", {})
    name = f"{source.name}, {split}"
    fitted_by = None if fit is None or preprocessing.after_fit is preprocessing else preprocessing
    images = source.read(split, rows)
    return ImageSet(images, labels[rows], source.classes, name, split, fitted_by=fitted_by, skipped=skipped)


def check_classes(model: Sequence[str] | None, data: Sequence[str] | None) -> None:
    """`ModelError` unless the classes of model and images, where both are known, are the same in the same order."""
    if model is None or data is None or tuple(model) == tuple(data):
        return
    if sorted(model) == sorted(data):
        k = next(i for i, (a, b) in enumerate(zip(model, data, strict=True)) if a != b)
        raise ModelError(
            f"model and images have the same classes in another order: class {k} is {model[k]!r} to the model and "
            f"{data[k]!r} in the images; list the classes of the images in the order of the model"
        )
    raise ModelError(
        f"the model has {len(model)} classes ({_some(model)}) and the images have {len(data)} ({_some(data)}); "
        "use images of the same classes"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
