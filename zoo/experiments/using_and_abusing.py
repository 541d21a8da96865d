""" "Using and Abusing Equivariance" (Edixhoven, Lengyel & van Gemert, ICCVW 2023), run again part by part.

    knight    one strided convolution learns to tell a picture from its quarter turn, at 32 px and not at 31 or 33
    sizes     the exact input sizes of every architecture, predicted and measured
    upright   MNIST: exact, approximate and plain networks trained on upright digits, tested on turned ones
    uniform   the same, trained on digits turned by any angle
    biased    the same, trained on digits turned by about 45 degrees (`biased40`: a wider spread)
    cifar     CIFAR-10: ResNet44 at 32 (approximate) and 33 pixels (exact)

`reproduce` runs parts and reports each beside the published numbers; `write` records it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from zoo.experiments import accuracies, cifar, knight, mnist, sizes
from zoo.experiments.runs import Job, Record, run_all
from zoo.experiments.section import Section
from zoo.experiments.setting import Setting


@dataclass(frozen=True)
class Part:
    """How one part is run and reported."""

    jobs: Callable[[Setting], list[Job]]
    report: Callable[[list[Record], Setting], Section]


_HOW = {
    "knight": Part(knight.jobs, knight.report),
    "sizes": Part(sizes.jobs, sizes.report),
    "cifar": Part(cifar.jobs, cifar.report),
} | {regime: Part(partial(mnist.jobs, regime), partial(accuracies.report, regime)) for regime in mnist.REGIMES}


def reproduce(setting: Setting, say: Callable[[str], None] = lambda line: None) -> Iterator[Section]:
    """Run the parts one after another, and report each when it is done; what is recorded already is not run again.

    Args:
        setting: what to do, and where to keep it.
        say: told a line whenever a run is finished.

    Raises:
        ModelError: before anything runs, if data that a part needs is missing.
    """
    jobs = {part: _HOW[part].jobs(setting) for part in setting.parts}
    if regimes := [part for part in setting.parts if part in mnist.REGIMES]:
        mnist.mnist_folder(setting.data, regimes)
    if "cifar" in setting.parts:
        cifar.check(setting)
    for part in setting.parts:
        if part in mnist.REGIMES:
            mnist.prepare([part], setting)
        if part == "cifar":
            cifar.prepare(setting)
        yield _HOW[part].report(run_all(jobs[part], setting, say), setting)
