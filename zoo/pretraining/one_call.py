"""`zoo.pretrain`: a network, a dataset and the words of `symdata pretrain`, in one call."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import ModelError
from zoo.pretraining.config import PretrainConfig
from zoo.pretraining.plan import PretrainPlan, prepare_pretraining
from zoo.training import loop
from zoo.training.callback import Callback
from zoo.training.one_call import Data, check_whole, folder_of
from zoo.training.result import TrainedModel


@dataclass(frozen=True)
class PretrainedModel(TrainedModel):
    """What a pretraining made; a path of the model folder, too.

    `validation` is the share of held-out images whose pretext label, or other view, is found: a check that something
    is learned, not of how good the features are, which probes say (`zoo.measure.probe`).

    Example:
        >>> import symdata, zoo
        >>> _ = symdata.make("glyphs:OXAF", "letters", size=12, count=16)
        >>> print(zoo.pretrain("p4cnn_12", "letters", epochs=1, width=2, batch_size=8, out="body"))
        model        body
        parameters   1,036
        validation   ...%
        audit        exact: at 12x12 its feature maps move with the image under c4
        next         symdata train letters --model p4cnn_12 --width 2 --init body
    """

    def _next(self) -> str:
        training = self.config["training"]
        width = training["width"]
        words = ["symdata", "train", self.data, "--model", training["model"]]
        if width is not None:
            words += ["--width", ",".join(map(str, width)) if isinstance(width, list) else str(width)]
        return shlex.join([*words, "--init", str(self.folder)])


def pretrain(
    model: str | PretrainConfig | PretrainPlan,
    data: Data | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda images: None,
    report: Callable[[dict[str, Any]], None] = lambda metrics: None,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> PretrainedModel:
    """Train the body of a network without labels, and write it as a model folder: `symdata pretrain` in one call.

    `zoo.train(..., init=folder)` begins with the body; the head is new then, and the classifier reads invariants again.

    Args:
        model: a name of the zoo on a lattice group. Or a whole run, as a `PretrainConfig` or by `prepare_pretraining`.
        data: as for `zoo.train`; its labels are not used.
        resume: go on with a run that was stopped; begin if there is none; leave a finished one as it is.
        overwrite: replace a model or a run in the folder.
        progress: called with the number of images that were trained on since the last call.
        report: called at the end of every epoch with its line of metrics.jsonl.
        callbacks: called after every epoch, and may stop the run; see `zoo.training.Callback`.
        options: the options of `symdata pretrain` by name: `objective="jigsaw", epochs=1, out="mine"`.

    Raises:
        ModelError: in any case of bad input, before anything is written.
        DivergedError: if the loss is not finite; the last good state is kept.
        ImportError: without accelerate.

    Example:
        >>> import symdata, zoo
        >>> _ = symdata.make("glyphs:OXAF", "others", size=12, count=16)
        >>> small = {"width": 2, "batch_size": 8, "epochs": 1}
        >>> body = zoo.pretrain("p4cnn_12", "others", objective="erased-quadrant", out="pretrained", **small)
        >>> tuned = zoo.train("p4cnn_12", "others", init=str(body.folder), out="mine", **small)
        >>> body.model.classes[0], tuned.model.classes
        ('top left', ('O', 'X', 'A', 'F'))
    """
    if isinstance(model, PretrainConfig | PretrainPlan):
        check_whole(model, data, options)
        plan = model if isinstance(model, PretrainPlan) else prepare_pretraining(model)
    else:
        if not isinstance(model, str):
            raise ModelError(
                f"model is a {type(model).__name__}, and a pretraining takes a network of the zoo by its name, such as "
                "'p4cnn_28'"
            )
        config = PretrainConfig.from_dict({"data": folder_of(data), "model": model, **options})
        assert isinstance(config, PretrainConfig)
        plan = prepare_pretraining(config)
    loop.train(plan, resume=resume, overwrite=overwrite, progress=progress, report=report, callbacks=callbacks)
    return PretrainedModel.of(plan)
