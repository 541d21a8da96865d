"""An experiment of the literature: its parts, each run and reported by itself."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module

from zoo.experiments.harness.catalog import CATALOG
from zoo.experiments.harness.runs import Job, RunRecord, run_all
from zoo.experiments.harness.section import Section
from zoo.experiments.harness.setting import Setting


def _nothing(setting: Setting) -> None:
    pass


@dataclass(frozen=True)
class Part:
    """How one part is run and reported."""

    jobs: Callable[[Setting], list[Job]]
    report: Callable[[list[RunRecord], Setting], Section]
    prepare: Callable[[Setting], None] = _nothing
    """Makes the data that the jobs need, in OUT/data, as far as it is missing."""
    check: Callable[[Setting], None] = _nothing
    """`ModelError` before anything runs, if something that the part needs is not there."""


@dataclass(frozen=True)
class Experiment:
    """What `symdata reproduce NAME` does."""

    name: str
    title: str
    paper: str
    parts: Mapping[str, Part]


def find_experiment(name: str) -> Experiment:
    """The experiment of that name in `CATALOG`."""
    found: Experiment = import_module(f"zoo.experiments.{CATALOG[name].module}").EXPERIMENT
    return found


def reproduce(setting: Setting, say: Callable[[str], None] = lambda line: None) -> Iterator[Section]:
    """Run the parts one after another, and report each when it is done; what is recorded already is not run again.

    Args:
        setting: what to do, and where to keep it.
        say: told a line whenever a run is finished.

    Raises:
        ModelError: before anything runs, if data that a part needs is missing.
    """
    parts = find_experiment(setting.experiment).parts
    jobs = {name: parts[name].jobs(setting) for name in setting.parts}
    for name in setting.parts:
        parts[name].check(setting)
    for name in setting.parts:
        parts[name].prepare(setting)
        yield parts[name].report(run_all(jobs[name], setting, say), setting)
