"""The same run for several seeds: a model folder for each, and their mean and spread."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdata.display import Result, Table
from symdata.errors import is_whole
from symdata.pictures.curves import COLOURS, STYLES
from symdata.pictures.figure import INK, LINE, new_figure
from symdata.store import read_manifest
from symdata.store.remake import make_with_test
from zoo.errors import ModelError
from zoo.measure.statistics import MeanOverSeeds, summarise
from zoo.models.code import Arch
from zoo.training import run_folder
from zoo.training.callback import Callback
from zoo.training.config import TrainConfig
from zoo.training.engine import engine
from zoo.training.loop import is_done, train
from zoo.training.plan import TrainingPlan, prepare
from zoo.training.result import TrainedModel, unseen_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 1000
"""Seeds of one command."""


@dataclass(frozen=True)
class TrainedSeeds(Result):
    """Models that differ by their seed alone; the result of `train_seeds`.

    Example:
        >>> from symdata import Spec, make
        >>> from zoo.training import TrainConfig, train_seeds
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=96), "letters")
        >>> config = TrainConfig(data="letters", model="p4cnn_12", epochs=1, width=2, batch_size=16, out="model")
        >>> print(train_seeds(config, 2))
        seed  model     epoch  validation %
        ----  --------  -----  ------------
        0     model-s0  1      ...
        1     model-s1  1      ...
        <BLANKLINE>
        validation  ...±... % (mean ± sample standard deviation over 2 seeds)
        next        symdata report model-s0 model-s1 --data letters
    """

    runs: tuple[TrainedModel, ...]
    """In the order of the seeds."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each run."""
        return tuple(run.config["training"]["seed"] for run in self.runs)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The model folder of each run."""
        return tuple(run.folder for run in self.runs)

    @property
    def validation_accuracies(self) -> tuple[float | None, ...]:
        """Of each run, of the weights that it kept; None where no images were held out."""
        return tuple(run.config["training"].get("validation_accuracy") for run in self.runs)

    @property
    def mean(self) -> MeanOverSeeds | None:
        """Mean, sample standard deviation and number of the validation accuracies; None where there are none."""
        known = [accuracy for accuracy in self.validation_accuracies if accuracy is not None]
        return summarise(known) if known else None

    def parts(self) -> Iterable[str | Table]:
        """A row for each seed; mean and spread; what to do next."""
        configs = [run.config for run in self.runs]
        rows = [
            (str(t["seed"]), str(run.folder), str(t["kept_epoch"]), _percent(t.get("validation_accuracy")))
            for run, t in zip(self.runs, (config["training"] for config in configs), strict=True)
        ]
        own = any(config["dataset"].get("validation_split") == "train" for config in configs)
        note = "Each seed holds out its own images of the train split." if own else ""
        yield Table(("seed", "model", "epoch", "validation %"), rows, notes=[note] if note else [])
        lines = {"next": self._next()}
        if (found := self.mean) is not None:
            text = MeanOverSeeds(100 * found.mean, None if found.sd is None else 100 * found.sd, found.n).text()
            of = f"mean ± sample standard deviation over {found.n} seeds" if found.n > 1 else "1 seed has no deviation"
            lines = {"validation": f"{text} % ({of})"} | lines
        yield "\n".join(f"{name:<10}  {value}" for name, value in lines.items())

    def _next(self) -> str:
        """The command that compares the seeds on images that they have not seen, or the one that makes such images."""
        data = self.runs[0].data
        unseen = unseen_images(data)
        if unseen is None:
            return make_with_test(data, read_manifest(data))
        code = self.runs[0].code
        if code == "":
            return f"zoo.compare([result], {data!r})"
        arch = f" --arch {code}" if code else ""
        return f"symdata report {' '.join(shlex.quote(str(folder)) for folder in self.folders)} {unseen}{arch}"

    def to_dict(self) -> dict[str, Any]:
        """The seeds, their folders and accuracies, and mean and spread, as plain data for JSON."""
        found = self.mean
        return {
            "seeds": list(self.seeds),
            "folders": [str(folder) for folder in self.folders],
            "validation_accuracies": list(self.validation_accuracies),
            "mean": None if found is None else found.mean,
            "sd": None if found is None else found.sd,
        }

    def plot(self) -> "Figure":
        """Validation accuracy over the epochs, a curve for each seed; training accuracy where nothing was held out."""
        name = "accuracy" if self.mean is None else "validation_accuracy"
        figure = new_figure(6.4, 3.6, layout="constrained")
        axes: Any = figure.add_subplot()
        for k, (seed, run) in enumerate(zip(self.seeds, self.runs, strict=True)):
            points = [(line["epoch"], 100 * line[name]) for line in run.metrics.epochs if name in line]
            look = {"color": COLOURS[k % len(COLOURS)], "ls": STYLES[k // len(COLOURS) % len(STYLES)], "marker": "."}
            axes.plot(*zip(*points, strict=True), label=f"seed {seed}", **look)
        axes.set_xlabel("epoch", color=INK)
        axes.set_ylabel(f"{name.replace('_', ' ')} %", color=INK)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color=LINE)
        axes.legend(frameon=False)
        return figure


def train_seeds(
    what: TrainConfig | TrainingPlan,
    seeds: int | Sequence[int] = 5,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda images: None,
    report: Callable[[dict[str, Any]], None] = lambda metrics: None,
    callbacks: Sequence[Callback] = (),
    arch: Arch | None = None,
) -> TrainedSeeds:
    """Train once for each of several seeds; every run is, bit for bit, what `train` makes of that seed alone.

    Args:
        what: the run, or its plan by `prepare`; seed k goes into the folder `<out>-s<k>`.
        seeds: how many, from `config.seed` on, or which.
        resume: leave finished runs as they are, go on with one that was stopped, and begin the others.
        overwrite: replace models and runs in the folders.
        progress: called with the number of images that were trained on since the last call.
        report: called at the end of every epoch with its line of metrics.jsonl, to which `seed` is added.
        callbacks: as for `train`; the same ones are called for every seed.
        arch: a network of your own, as for `prepare`.

    Raises:
        ModelError: in any case of bad input, before anything is written, and in the cases of `train`.
        DivergedError: if a loss is not finite; runs of earlier seeds are kept, and those of later ones not begun.

    Example:
        >>> from symdata import Spec, make
        >>> from zoo.training import TrainConfig
        >>> _ = make(Spec(source="glyphs:OXAF", size=12, count=96), "glyphs")
        >>> config = TrainConfig(data="glyphs", model="p4cnn_12", epochs=1, width=2, batch_size=16, out="more")
        >>> trained = train_seeds(config, [3, 7])
        >>> trained.seeds, [str(folder) for folder in trained.folders], trained.mean.n
        ((3, 7), ['more-s3', 'more-s7'], 2)
    """
    config = what.config if isinstance(what, TrainingPlan) else what
    every = list_seeds(config, seeds)
    if isinstance(what, TrainingPlan) and config.seed == every[0]:
        first = what
    else:
        first = prepare(replace(config, seed=every[0]), arch)
    done = [_is_done(seed_plan(first, seed), resume, overwrite) for seed in every]  # before hours are spent
    runs = []
    with ExitStack() as stack:
        if not all(done):
            # Several processes stay one group: torch makes no second one at its port.
            stack.enter_context(engine(first))
        for seed, finished in zip(every, done, strict=True):
            own = seed_plan(first, seed)
            if finished:
                progress(first.images)
            else:
                whole = first if seed == every[0] else prepare(replace(config, seed=seed), arch)
                whole = replace(whole, config=replace(whole.config, out=own.config.out), folder=own.folder)
                said = partial(_report, report, seed)
                train(whole, resume=resume, overwrite=overwrite, progress=progress, report=said, callbacks=callbacks)
            runs.append(TrainedModel.of(own, arch))
    return TrainedSeeds(tuple(runs))


def list_seeds(config: TrainConfig, seeds: int | Sequence[int]) -> list[int]:
    """The seeds as a list; `ModelError` unless they are different whole numbers."""
    found = seeds
    if isinstance(seeds, int) and is_whole(seeds, 1, MOST):
        found = range(config.seed, config.seed + seeds)
    if (
        not isinstance(found, Sequence)
        or not 1 <= len(found) <= MOST
        or not all(is_whole(seed, 0, (1 << 63) - 1) for seed in found)
        or len(set(found)) < len(found)
    ):
        raise ModelError(f"seeds is {seeds!r}, expected a number from 1 to {MOST}, or different seeds, as in [0, 1, 2]")
    return list(found)


def seed_plan(plan: TrainingPlan, seed: int) -> TrainingPlan:
    """The plan of a run with the seed and the folder of another; its images and weights are still those of `plan`."""
    folder = Path(f"{Path(plan.config.out or plan.name)}-s{seed}")
    return replace(plan, config=replace(plan.config, seed=seed, out=str(folder)), folder=folder)


def _is_done(plan: TrainingPlan, resume: bool, overwrite: bool) -> bool:
    if is_done(plan, resume=resume, overwrite=overwrite):
        return True
    if not overwrite and (saved := run_folder.read_state(plan.folder)) is not None:
        run_folder.check_state(saved, plan.config, plan.data_digest, plan.folder)
    return False


def _report(report: Callable[[dict[str, Any]], None], seed: int, metrics: dict[str, Any]) -> None:
    report({"seed": seed, **metrics})


def _percent(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{100 * accuracy:.2f}"
