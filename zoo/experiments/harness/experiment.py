"""An experiment of the literature: parts that are run and reported one by one.

A part declares its datasets, its runs, what one run measures, the tables and the bands. The rest is here: making the
datasets, running what is not recorded yet, judging the bands, the section. A new experiment is a file that defines
`EXPERIMENT`, and an entry of `CATALOG`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from symdata.display import Table
from symdata.recipes.spec import Spec
from symdata.store import make
from zoo.errors import ModelError
from zoo.experiments.harness.bands import Condition, Series, judge
from zoo.experiments.harness.catalog import CATALOG
from zoo.experiments.harness.mnist import mnist_folder
from zoo.experiments.harness.provenance import CODE, provenance
from zoo.experiments.harness.runs import Job, Run, RunRecord, run_all, to_run
from zoo.experiments.harness.section import Drawing, Section
from zoo.experiments.harness.setting import Setting
from zoo.measure.statistics import summarise

Requests = Iterable[tuple[str, dict[str, Any]]]
"""Of every run: its key, and all that decides its result. A key fits a file name, and ends with `-seed0`, `-seed1` ...
where a run is repeated."""


@dataclass(frozen=True)
class PartReport:
    """The tables and numbers of a part."""

    tables: Sequence[Table]
    series: Series
    """The numbers that the bands bound."""
    drawing: Drawing | None = None
    summary: Mapping[str, Any] | None = None
    """Numbers for JSON; None: mean and deviation of every series."""


def _nothing(setting: Setting) -> Any:
    return {}


@dataclass(frozen=True)
class Part:
    """How one part is run and reported."""

    title: str
    requests: Callable[[Setting], Requests]
    run: Run
    report: Callable[[list[RunRecord], Setting], PartReport]
    data: Callable[[Setting], Mapping[str, Spec]] = _nothing
    """The datasets that the runs need: name of the folder in OUT/data -> how it is made."""
    conditions: Sequence[Condition] = ()
    """Its bands."""
    mnist: bool = False
    """Whether it needs MNIST."""
    check: Callable[[Setting], Any] = _nothing
    """Raises `ModelError`, before anything runs, if something else that the part needs is missing."""


@dataclass(frozen=True)
class Experiment:
    """What `symdata reproduce NAME` does."""

    title: str
    paper: str
    parts: Mapping[str, Part]

    def check(self, setting: Setting, parts: Sequence[str] | None = None) -> None:
        """Raise `ModelError` if something that the parts need is missing; None: all of the setting."""
        parts = setting.parts if parts is None else parts
        if mnist := [part for part in parts if self.parts[part].mnist]:
            mnist_folder(setting.data, mnist)
        for part in parts:
            self.parts[part].check(setting)

    def prepare(self, part: str, setting: Setting) -> None:
        """Make the datasets that a part needs in OUT/data, as far as they are missing."""
        for name, spec in self.parts[part].data(setting).items():
            make(spec, setting.out / "data" / name, resume=True)

    def jobs(self, part: str, setting: Setting) -> list[Job]:
        """All runs of a part, in their order."""
        kind = self.parts[part]
        return [Job(part, key, request, kind.run) for key, request in kind.requests(setting)]

    def section(self, part: str, records: Sequence[RunRecord], setting: Setting) -> Section:
        """The report on the runs of a part."""
        kind = self.parts[part]
        found = kind.report(list(records), setting)
        summary = found.summary
        if summary is None:
            summary = {name: summarise(values)._asdict() for name, values in found.series.items()}
        verdicts = judge(found.series, setting.budget.name, kind.conditions)
        return Section(part, kind.title, tuple(records), tuple(found.tables), verdicts, found.drawing, summary)


def find_experiment(name: str) -> Experiment:
    """The experiment of that name in `CATALOG`."""
    found: Experiment = import_module(f"zoo.experiments.{CATALOG[name].module}").EXPERIMENT
    return found


def reproduce(setting: Setting, say: Callable[[str], None] = lambda line: None) -> Iterator[Section]:
    """Run the parts one after another, and report each when it is done; recorded runs are not repeated.

    Args:
        setting: what to do, and where to keep it.
        say: called with a line whenever a run is finished.

    Raises:
        ModelError: before anything runs, if data that a part needs is missing, or if runs for a record would be made
            by code that no commit has.
    """
    experiment = find_experiment(setting.experiment)
    jobs = {part: experiment.jobs(part, setting) for part in setting.parts}
    missing = [part for part in setting.parts if to_run(jobs[part], setting)]
    experiment.check(setting, missing)
    if missing and setting.record is not None and (here := provenance()).dirty:
        raise ModelError(
            f"files of {', '.join(CODE)} differ from commit {here.commit}, and a record is of runs that name all of "
            "their code; commit the changes first, or leave out --record to run with them"
        )
    for part in setting.parts:
        if part in missing:
            experiment.prepare(part, setting)
        yield experiment.section(part, run_all(jobs[part], setting, say), setting)
