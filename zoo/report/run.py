"""`zoo.report`: several models on the same images, in one call."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from symdata.groups import Group
from symdata.store.files import write_together
from zoo.errors import ModelError
from zoo.evaluation import run as evaluation
from zoo.evaluation.images import ImageSet, check_classes
from zoo.inference.opened_model import OpenedModel
from zoo.inference.views import turns
from zoo.models.code import Arch
from zoo.references.evaluating import evaluate, images_for
from zoo.references.opening import as_opened_with, foreign
from zoo.report.collect import MEASURED, STRIPS, ModelEntry, collect
from zoo.report.collect import forwards as forwards_of_errors
from zoo.report.page import check_alike
from zoo.report.record import SavedReport, read_record

CHOSEN = ("split", "limit", "skip_bad")
"""Options of `zoo.evaluate` that choose the images."""
WORDS = ("elements", "angles", "fill", "angle_limit", "batch_size", "device")
"""Those that say what is done with them."""
LOGITS = "give a network that takes images (B, C, H, W) and returns logits (B, classes)"
"""What to do if a network fails on images."""
ERRORS = "give a network that computes in float64, or leave the errors out by --measured 0"

Progress = Callable[[int], None]
Compared = OpenedModel | nn.Module | str | Path | SavedReport


def report(
    models: Compared | Sequence[Compared],
    data: ImageSet | Sequence[Any] | str | Path | None = None,
    *,
    arch: Arch | None = None,
    measured: int = MEASURED,
    films: int = STRIPS,
    aligned: int = 0,
    title: str = "",
    out: str | Path | None = None,
    progress: Progress = lambda images: None,
    **options: Any,
) -> SavedReport:
    """Compare models on the same images: what they do when images turn, and why. `zoo.report` is this function.

    Args:
        models: one or several: references as for `zoo.open_model`, what that returns, modules as `zoo.load` returns
            them, or what `zoo.train` and `zoo.train_seeds` returned; also earlier reports, or the paths of their JSON,
            whose models are not measured again.
        data: as for `zoo.evaluate`; not needed if all models are of earlier reports.
        arch: the code of those that are folders of networks of your own, as for `zoo.load`.
        measured: on how many images errors are measured in float64; 0: none.
        films: how many images turn, of each model.
        aligned: on how many images the layers of a model are matched with the same layers moved; 0: none.
        title: of the page; by default the name of the data.
        out: the page, as in `report.html`; its numbers go beside it as JSON.
        progress: called with the number of images that went through a model since the last call.
        options: split, limit, skip_bad, elements, angles, fill, angle_limit, batch_size and device, as for
            `zoo.evaluate`.

    Returns:
        The report: `print` shows the comparison, `.html` is the page, `.plot()` draws the curves.

    Raises:
        ModelError: if a model cannot run, or the models were evaluated on different images.
        SymdataError: what `zoo.evaluate` raises.

    Example:
        >>> from zoo.report import report
        >>> few = {"limit": 8, "angles": 4, "measured": 1, "films": 1}
        >>> found = report(["p4cnn_28.mnist-none", "z2cnn_28.mnist-none"], "glyphs:digits", **few)
        >>> [entry.group for entry in found.entries], found.html.startswith("<!DOCTYPE html>")
        (['c4', None], True)
    """
    if unknown := sorted(set(options) - {*CHOSEN, *WORDS}):
        raise TypeError(f"{unknown[0]!r} is no option of zoo.report; it has {', '.join((*CHOSEN, *WORDS))}")
    if out is not None and Path(out).suffix.lower() not in (".html", ".htm"):
        raise ModelError(f"out is {str(out)!r}, expected a page such as {str(Path(out).with_suffix('.html'))!r}")
    several = models if isinstance(models, Sequence) and not isinstance(models, str) else [models]
    opened = [_opened(one, arch) for model in several for one in getattr(model, "runs", (model,))]
    if earlier := [entry for one in opened if isinstance(one, SavedReport) for entry in one.entries]:
        check_alike(earlier)  # before the others are measured
    entries: list[ModelEntry] = []
    for one in opened:
        if isinstance(one, SavedReport):
            entries += one.entries
        elif data is None:
            raise ModelError(f"there are no images for {one.name!r}; give data, as in zoo.report(models, 'data/mnist')")
        else:
            images = images_for(one, data, **{name: options[name] for name in CHOSEN if name in options})
            given = {name: options[name] for name in WORDS if name in options}
            entries.append(
                entry(one, images, measured=measured, films=films, aligned=aligned, progress=progress, **given)
            )
    check_alike(entries)
    found = SavedReport(tuple(entries), title)
    if out is not None:
        write_together({Path(out).with_suffix(".json"): found.dumps(), Path(out): found.html})
    return found


def _opened(model: Compared, arch: Arch | None) -> OpenedModel | SavedReport:
    if isinstance(model, SavedReport):
        return model
    if isinstance(model, str | Path):
        text = str(model)
        if text.endswith(".json") and not text.endswith(".safetensors.index.json"):
            return read_record(text)
    return as_opened_with(model, arch)


def entry(
    opened: OpenedModel,
    images: ImageSet,
    *,
    measured: int = MEASURED,
    films: int = STRIPS,
    aligned: int = 0,
    progress: Progress = lambda images: None,
    **options: Any,
) -> ModelEntry:
    """Evaluate one model and measure everything that the page shows of it; `options` as for `zoo.evaluate`."""
    usual = {name: word.default for name, word in inspect.signature(evaluate).parameters.items()}
    given = {name: options.get(name, usual[name]) for name in WORDS}
    group = given["elements"]
    check_classes(opened.classes, images.classes)
    with foreign(f"{opened.name!r} cannot be evaluated", LOGITS):
        found, predicted = evaluation.run_evaluation(
            opened,
            images,
            Group.parse(group) if isinstance(group, str) else group,
            turns(given["angles"]),
            angle_limit=given["angle_limit"],
            probe=evaluation.PROBED,
            options={name: given[name] for name in ("fill", "batch_size", "device")} | {"progress": progress},
        )
    with foreign(f"{opened.name!r} cannot be measured", ERRORS):
        return collect(
            opened,
            images,
            found,
            strips=films,
            measured=measured,
            aligned=aligned,
            predicted=predicted,
            progress=progress,
        )


def forwards(count: int, group: Group, angles: int, angle_limit: int | None, measured: int) -> int:
    """How many images go through one model, of `count`: what the progress of `entry` adds up to."""
    return evaluation.forwards(count, group, angles, angle_limit) + forwards_of_errors(count, measured)
