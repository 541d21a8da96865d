"""`zoo.train`: a network, a dataset and the words of `symdata train`, in one call."""

from collections.abc import Callable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

from symdata.store import ImageDataset
from symdata.store.dataset_folder import Made
from zoo.errors import ModelError
from zoo.models.code import Arch
from zoo.training import loop
from zoo.training.callback import Callback
from zoo.training.config import TrainConfig
from zoo.training.own_network import model_words
from zoo.training.plan import TrainingPlan, prepare
from zoo.training.result import TrainedModel
from zoo.training.seeds import TrainedSeeds, train_seeds

Data = str | Path | ImageDataset | Made
"""A dataset folder, what `symdata.make` returned, or what `symdata.load` opened."""


@overload
def train(model: Any, data: Data | None = None, *, seeds: None = None, **options: Any) -> TrainedModel: ...
@overload
def train(model: Any, data: Data | None = None, *, seeds: int | Sequence[int], **options: Any) -> TrainedSeeds: ...
def train(
    model: Arch | TrainConfig | TrainingPlan,
    data: Data | None = None,
    *,
    seeds: int | Sequence[int] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda images: None,
    report: Callable[[dict[str, Any]], None] = lambda metrics: None,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> TrainedModel | TrainedSeeds:
    """Train a network on a dataset, and write it as a model folder: `symdata train` in one call, with the same words.

    Args:
        model: a name of the zoo, `package.module:callable`, a module, or a callable that makes one and may take
            `num_classes` and `in_chans`. A module is copied: its weights are where the training begins, and it is not
            changed. Or a whole run, as a `TrainConfig` or by `zoo.training.prepare`.
        data: a dataset folder, what `symdata.make` returned, or the train split that `symdata.load` opened.
        seeds: train once for each of them, or for so many from `seed` on; see `train_seeds`.
        resume: go on with a run that was stopped; begin if there is none; leave a finished one as it is. A module has
            to be given again.
        overwrite: replace a model or a run in the folder.
        progress: called with the number of images that were trained on since the last call.
        report: called at the end of every epoch with its line of metrics.jsonl.
        callbacks: called after every epoch, and may stop the run; see `zoo.training.Callback`.
        options: the options of `symdata train` by name, with `_` for `-`: `epochs=1, batch_size=32, out="mine"`.

    Returns:
        The folder, with `.model`, `.metrics` and `.plot()`; with `seeds` one for each, their mean and spread.

    Raises:
        ModelError: in any case of bad input, before anything is written.
        DivergedError: if the loss is not finite; the last good state is kept.
        ImportError: without accelerate.

    Example:
        >>> import symdata, zoo
        >>> _ = symdata.make("glyphs:OXAF", "letters", size=12, count=16)
        >>> result = zoo.train("p4cnn_12", "letters", epochs=1, width=2, batch_size=8, out="mine")
        >>> result.folder.name, len(result.metrics.epochs), result.model.classes
        ('mine', 1, ('O', 'X', 'A', 'F'))
    """
    if isinstance(model, TrainConfig | TrainingPlan):
        check_whole(model, data, options)
        plan, arch = (model if isinstance(model, TrainingPlan) else prepare(model)), None
    else:
        if not isinstance(model, str) and not callable(model):
            raise ModelError(
                f"model is a {type(model).__name__}, expected a name such as 'p4cnn_28', a torch module, or a function "
                "that makes one"
            )
        arch = None if isinstance(model, str) else model
        config = TrainConfig.from_dict({"data": folder_of(data), "model": model_words(model), **options})
        plan = prepare(config, arch)
    calls: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "progress": progress, "report": report}
    calls["callbacks"] = callbacks
    if seeds is not None:
        return train_seeds(plan, seeds, arch=arch, **calls)
    loop.train(plan, **calls)
    return TrainedModel.of(plan, arch)


def check_whole(run: Any, data: Any, options: dict[str, Any]) -> None:
    """`ModelError` if anything is given beside a config or a plan, which say all of a run."""
    if data is not None or options:
        given = "data" if data is not None else next(iter(options))
        raise ModelError(f"{given} is given beside a whole run; put it into the {type(run).__name__}")


def folder_of(data: Any) -> str | None:
    """The folder of a dataset."""
    if isinstance(data, ImageDataset):
        if data.split != "train":
            raise ModelError(
                f"data is the split {data.split!r} of {str(data.folder)!r}, and a training opens the train split and, "
                f"if there is one, the validation split; give the folder: {str(data.folder)!r}"
            )
        if data.transform is not None:
            raise ModelError(
                "data has a transform, which a training does not apply; load it without, and augment by symmetry='d4'"
            )
        return str(data.folder)
    if isinstance(data, Made):
        if not data.written:
            raise ModelError(f"data is a dry run, which wrote no {str(data.folder)!r}; make it without dry_run")
        return str(data.folder)
    if data is None or isinstance(data, str | PathLike):
        return None if data is None else fspath(data)
    raise ModelError(
        f"data is a {type(data).__name__}, expected the folder of a dataset; make one of your images first, as in "
        "symdata.make((images, labels), 'mine', symmetry='none'), and train on 'mine'"
    )
