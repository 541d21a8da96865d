"""Models that differ by their seed alone: means and spreads of their accuracies, and paired tests between them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from symdata.display import PlainData, Result, Table
from symdata.pictures.curves import COLOURS
from symdata.pictures.figure import INK, LINE, new_figure
from zoo.evaluation.report import Report
from zoo.measure.paired import LEAST_P, PairedDifference
from zoo.measure.statistics import MeanOverSeeds, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OTHER = (
    "seed", "command", "data", "out", "device", "tracker", "checkpoint_every", "log_every",
    "parameters", "steps", "images", "kept_epoch", "stopped", "seconds", "processes", "device_type",
    "loss", "accuracy", "validation_loss", "validation_accuracy", "class_weight_values",
)  # fmt: skip
"""What config.json says of a training besides its recipe; the dataset is known by its hash."""
MEASURED = ("mean", "std")
"""In the recipe only if they were given: otherwise they are those of the training images, which a seed chooses."""


@dataclass(frozen=True)
class SeededRun(PlainData):
    """The seed of a training, and everything else that decided it.

    Example:
        >>> one, two = ({"training": {"lr": 0.1, "seed": k}, "dataset": {}} for k in (0, 1))
        >>> SeededRun.of(one).recipe == SeededRun.of(two).recipe
        True
    """

    seed: int
    recipe: str
    """As JSON, without what has its usual value of none or 0: older records lack the options that came later."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "SeededRun | None":
        """From a config.json; None if it records no training with a seed."""
        training, dataset = config.get("training"), config.get("dataset")
        if not isinstance(training, Mapping) or not isinstance(training.get("seed"), int):
            return None
        left_out = OTHER if " --mean " in str(training.get("command")) else (*OTHER, *MEASURED)
        fields = {name: value for name, value in training.items() if name not in left_out}
        fields["architecture"] = config.get("architecture")
        fields["dataset"] = dataset.get("manifest_sha256") if isinstance(dataset, Mapping) else None
        said = {name: value for name, value in fields.items() if value and value != "none"}
        return cls(training["seed"], json.dumps(said, sort_keys=True))


@dataclass(frozen=True)
class SeedGroup(PlainData):
    """Models that differ by their seed alone, on the same images.

    Example:
        >>> group = SeedGroup("p4cnn_28.mnist-none", (0, 1), {"upright": (0.98, 0.99)})
        >>> group.mean("upright").text()
        '0.98±0.01'
    """

    name: str
    seeds: tuple[int, ...]
    scores: Mapping[str, tuple[float, ...]]
    """Score -> its value for each seed, in [0, 1]."""

    def mean(self, score: str) -> MeanOverSeeds:
        """Mean, sample standard deviation and number of seeds."""
        return summarise(self.scores[score])


@dataclass(frozen=True)
class SeedPair(PlainData):
    """Two groups, by one score, over the seeds that both have.

    Example:
        >>> SeedPair("a", "b", "upright", (0, 1), PairedDifference.of([0.9, 0.8], [0.7, 0.7])).cells[2:]
        ('2', '15.00±7.07', '0.205', '0.5, the smallest possible')
    """

    first: str
    second: str
    score: str
    seeds: tuple[int, ...]
    difference: PairedDifference
    """First minus second."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Of a table: names, score, seeds, difference in points, and the two p-values."""
        found = self.difference
        t = "-" if found.t_p is None else f"< {LEAST_P:g}" if found.t_p <= LEAST_P else f"{found.t_p:.3g}"
        smallest = ", the smallest possible" if found.flip_p == found.smallest_p else ""
        flip = "-" if found.flip_p is None else f"{found.flip_p:.3g}{smallest}"
        points = MeanOverSeeds(100 * found.mean, 100 * found.sd, found.n).text()
        return (f"{self.first} - {self.second}", self.score, str(found.n), points, t, flip)


@dataclass(frozen=True)
class SeedComparison(Result):
    """Several models over several seeds, on the same images; the result of `zoo.compare`.

    Example:
        >>> groups = [SeedGroup(name, (0, 1), {"upright": (0.8 + k, 0.9 + k)}) for name, k in (("a", 0), ("b", -0.1))]
        >>> print(next(SeedComparison("digits, test", 100, tuple(groups)).parts()))
        model  seeds  upright
        -----  -----  ----------
        a      2      85.00±7.07
        b      2      75.00±7.07
        Accuracy ...
    """

    data: str
    images: int
    groups: tuple[SeedGroup, ...]
    notes: tuple[str, ...] = ()

    json_fields = ("data", "images", "groups", "pairs", "notes")

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores that every group has."""
        return tuple(name for name in self.groups[0].scores if all(name in group.scores for group in self.groups))

    @property
    def pairs(self) -> tuple[SeedPair, ...]:
        """Every two groups with two or more seeds in common, by every score."""
        return tuple(
            pair for score in self.scores for two in combinations(self.groups, 2) for pair in _paired(*two, score)
        )

    def parts(self) -> Iterator[Table]:
        """A row for each group, and one for each pair and score."""
        rows = [
            (group.name, str(len(group.seeds)), *(_percent(group.mean(score)) for score in self.scores))
            for group in self.groups
        ]
        spread = "mean ± sample standard deviation over seeds"
        note = f"Accuracy in percent on {self.images:,} images of {self.data}: {spread}."
        yield Table(("model", "seeds", *self.scores), rows, notes=[note, *self.notes])
        if pairs := self.pairs:
            header = ("pair", "score", "seeds", "difference", "p, paired t", "p, sign flips")
            notes = [
                "Difference in points: mean ± sample standard deviation over the seeds that both have, on the same "
                "images. Two-sided p-values over seeds: of the paired t test, and of the exact sign-flip test, which "
                "gives at least 2 / 2^seeds. They are not corrected for the number of rows."
            ]
            yield Table(header, [pair.cells for pair in pairs], notes=notes)

    def plot(self) -> "Figure":
        """A dot for each seed and a bar for the mean, of every group, a panel for each score."""
        figure = new_figure(3.2 * len(self.scores) + 1.6, 1.4 + 0.4 * len(self.groups), layout="constrained")
        for place, score in enumerate(self.scores, 1):
            axes: Any = figure.add_subplot(1, len(self.scores), place)
            for k, group in enumerate(self.groups):
                colour, values = COLOURS[k % len(COLOURS)], [100 * value for value in group.scores[score]]
                axes.plot(values, [k] * len(values), "o", color=colour, alpha=0.7)
                axes.plot([sum(values) / len(values)] * 2, [k - 0.3, k + 0.3], color=colour, lw=2)
            names = [group.name for group in self.groups] if place == 1 else [""] * len(self.groups)
            axes.set_yticks(range(len(names)), names, fontsize=9, color=INK)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_title(f"{score} %", fontsize=11, color=INK)
            axes.grid(color=LINE, axis="x")
            for label in axes.get_yticklabels():
                label.set_parse_math(False)  # a name may have dollars in it
        return figure


def compare_seeds(evaluated: Iterable[tuple[Report, SeededRun | None]]) -> SeedComparison | None:
    """Group evaluations on the same images by their recipes; None if no two of them differ by the seed alone.

    A seed that a group has twice counts once.

    Example:
        >>> compare_seeds([]) is None
        True
    """
    groups: dict[str, dict[int, Report]] = {}
    notes = []
    for report, run in evaluated:
        if run is None:
            continue
        group = groups.setdefault(run.recipe, {})
        if run.seed in group:
            notes.append(f"Seed {run.seed} of {report.name} is there twice; the first one counts.")
        group.setdefault(run.seed, report)
    if all(len(group) < 2 for group in groups.values()):
        return None
    names = _names({recipe: next(iter(group.values())).name for recipe, group in groups.items()})
    found = [_group(names[recipe], group) for recipe, group in groups.items()]
    first = next(iter(next(iter(groups.values())).values()))
    return SeedComparison(first.data, first.count, tuple(found), tuple(dict.fromkeys(notes)))


def over_elements(report: Report) -> float:
    """Accuracy over all elements and images, in [0, 1]."""
    return sum(score.rate.value for score in report.elements) / len(report.elements)


def _group(name: str, reports: Mapping[int, Report]) -> SeedGroup:
    seeds = tuple(sorted(reports))
    ordered = [reports[seed] for seed in seeds]
    scores = {
        "upright": tuple(report.upright.value for report in ordered),
        f"all of {ordered[0].group}": tuple(map(over_elements, ordered)),
    }
    curves = [report.curve.mean for report in ordered if report.curve is not None]
    return SeedGroup(name, seeds, scores | ({"all angles": tuple(curves)} if len(curves) == len(seeds) else {}))


def _names(models: Mapping[str, str]) -> dict[str, str]:
    """Recipe -> the name of its models; of recipes with one name, the options in which they differ are added."""
    found = {}
    for recipe, name in models.items():
        alike = [json.loads(other) for other, same in models.items() if same == name]
        own = json.loads(recipe)
        differ = [key for key in own if any(own[key] != other.get(key) for other in alike)]
        words = [f"{key}={_short(own[key])}" for key in differ if key != "architecture"]
        found[recipe] = f"{name} ({', '.join(words)})" if words else name
    taken: dict[str, int] = {}
    for recipe, name in found.items():  # those whose options have their usual values, twice
        taken[name] = taken.get(name, 0) + 1
        found[recipe] = name if taken[name] == 1 else f"{name} #{taken[name]}"
    return found


def _short(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 24 else f"{text[:8]}..."


def _paired(a: SeedGroup, b: SeedGroup, score: str) -> Sequence[SeedPair]:
    """The comparison of two groups; nothing if they have less than two seeds in common."""
    common = tuple(seed for seed in a.seeds if seed in b.seeds)
    if len(common) < 2:
        return ()
    of_a, of_b = ([group.scores[score][group.seeds.index(seed)] for seed in common] for group in (a, b))
    return (SeedPair(a.name, b.name, score, common, PairedDifference.of(of_a, of_b)),)


def _percent(mean: MeanOverSeeds) -> str:
    return MeanOverSeeds(100 * mean.mean, None if mean.sd is None else 100 * mean.sd, mean.n).text()
