"""The tables of a regime of training on MNIST: accuracies beside the published ones, differences, what it cost."""

from collections.abc import Mapping, Sequence

from symdata.display import Table
from zoo.experiments.harness.experiment import PartReport
from zoo.experiments.harness.runs import RunRecord, grouped, values
from zoo.experiments.harness.section import Drawing, Line
from zoo.experiments.harness.setting import Setting
from zoo.experiments.using_and_abusing.mnist import ANGLES, FILLS, REGIMES
from zoo.experiments.using_and_abusing.published import ACCURACY, CURVES, DIAGONAL, MEASURES, MODELS, SEEDS
from zoo.measure.statistics import MeanOverSeeds, difference, summarise

TURNS = ("90", "180", "270")
COMPARED = ("0", "turned", "diagonal", "angles")
"""Measures whose difference from the exact network is tabled."""
CORNERS = ("diagonal", "background diagonal", "angles", "background angles")
"""Measures that depend on what fills the corners."""
STEP = 360 // ANGLES

Runs = Mapping[str, Sequence[RunRecord]]
"""Model -> its runs."""
Figures = Mapping[str, Mapping[str, MeanOverSeeds]]
"""Model -> measure -> mean over seeds."""


def report(regime: str, records: list[RunRecord], setting: Setting) -> PartReport:
    """Everything about one regime."""
    runs = {name.rpartition("/")[2]: found for name, found in grouped(records).items()}
    measured = {model: [measures(regime, record) for record in found] for model, found in runs.items()}
    series = {f"{model} {name}": [m[name] for m in by] for model, by in measured.items() for name in by[0]}
    figures = {model: {name: summarise(series[f"{model} {name}"]) for name in by[0]} for model, by in measured.items()}
    tables = (
        _accuracies(regime, figures, records[0]),
        _differences(regime, figures),
        _fills(figures),
        _changes(runs),
        _every_run(regime, runs),
    )
    summary = {
        model: {name: figure._asdict() for name, figure in by.items()}
        | {"curves": {fill: mean_curve(runs[model], fill) for fill in FILLS}}
        for model, by in figures.items()
    }
    return PartReport(tables, series, _drawing(regime, runs), summary)


def measures(regime: str, record: RunRecord) -> dict[str, float]:
    """Every measure of a run: the names of MEASURES, `quarter` for the lower one of 90 and 270 degrees, and `background
    angles` and `background diagonal` for the other fill."""
    lattice, curves = record.result["lattice"], record.result["curves"]
    near = [angle // STEP for angle in DIAGONAL[regime]]
    found = {name: lattice[name] for name in ("0", *TURNS)}
    found["turned"] = sum(lattice[turn] for turn in TURNS) / 3
    for fill in FILLS:
        prefix = "" if fill == FILLS[0] else f"{fill} "
        found[f"{prefix}diagonal"] = sum(curves[fill][k] for k in near) / len(near)
        found[f"{prefix}angles"] = sum(curves[fill]) / ANGLES
    return found | {"quarter": min(lattice["90"], lattice["270"])}


def mean_curve(records: Sequence[RunRecord], fill: str) -> list[float]:
    """Accuracy in percent at 0, 10, ..., 350 degrees, averaged over seeds."""
    curves = values(records, "curves", fill)
    return [round(sum(column) / len(column), 3) for column in zip(*curves, strict=True)]


def _accuracies(regime: str, figures: Figures, record: RunRecord) -> Table:
    rows: list[tuple[str, ...]] = []
    for model, ours in figures.items():
        theirs = ACCURACY[regime][model]
        rows.append((model, f"published ({SEEDS[regime]})", *(theirs[name].text() for name in MEASURES)))
        rows.append(("", f"ours ({ours['0'].n})", *(ours[name].text() for name in MEASURES)))
    near = "40, 50°" if len(DIAGONAL[regime]) == 2 else "near 45°"
    header = ("model", "(seeds)", "0°", "90°", "180°", "270°", "mean of 90, 180, 270°", near, "36 angles")
    test, train = record.request["test"], record.request["train"]
    epochs = "1 epoch" if train["epochs"] == 1 else f"{train['epochs']} epochs"
    notes = (
        "Percent; mean ± sample standard deviation over seeds (published ones are computed from those of the "
        f"population, by the root of n / (n - 1)). Trained on "
        f"{train.get('limit', 8000):,} images of MNIST's test split for {epochs}, tested on its train split: "
        f"ours 0° to 270° on {test['lattice']:,} images and the last two columns on {test['curve']:,}, "
        "published all on 60,000.",
        "Corners that a turn leaves empty are filled with 0 after normalisation, as published.",
    )
    return Table(header, rows, "Accuracy", notes)


def _differences(regime: str, figures: Figures) -> Table:
    rows: list[tuple[str, ...]] = []
    exact, *others = MODELS
    for model in others:
        for name, whose, by in (f"{model} - {exact}", "published", ACCURACY[regime]), ("", "ours", figures):
            rows.append((name, whose, *(_difference(by[model][measure], by[exact][measure]) for measure in COMPARED)))
    header = ("difference", "", "0°", "mean of 90, 180, 270°", "diagonal", "36 angles")
    note = "Points ± standard error of the difference, and Welch's t with its degrees of freedom."
    return Table(header, rows, "Against the exact network", (note,))


def _difference(a: MeanOverSeeds, b: MeanOverSeeds) -> str:
    found = difference(a, b)
    if found is None:
        return f"{a.mean - b.mean:+.2f}"
    return f"{found.value:+.2f}±{found.error:.2f} (t {found.t:.1f}, {found.dof:.0f})"


def _fills(figures: Figures) -> Table:
    rows = [(model, *(by[name].text() for name in CORNERS)) for model, by in figures.items()]
    header = ("model", "diagonal, zero", "diagonal, background", "36 angles, zero", "36 angles, background")
    note = (
        "Zero is not the background of a normalised digit, so that turned images get grey corners; `background` goes "
        "on with the border pixels. Multiples of 90° have no corners to fill."
    )
    return Table(header, rows, "What fills the corners (ours)", (note,))


def _changes(runs: Runs) -> Table:
    rows = []
    for model, records in runs.items():
        counts = [" ".join(f"{changed:,}" for changed in values(records, "changed", turn)) for turn in TURNS]
        rows.append((model, f"{records[0].request['test']['lattice']:,}", *counts))
    header = ("model", "images", "90°", "180°", "270°")
    note = (
        "How many predictions a quarter turn changes, a number for each seed. Published for the exact network: 0 or 1."
    )
    return Table(header, rows, "Predictions that a turn changes (ours)", (note,))


def _every_run(regime: str, runs: Runs) -> Table:
    rows = []
    for model, record in ((model, record) for model, records in runs.items() for record in records):
        training, found = record.result["training"], measures(regime, record)
        held_out = training.get("validation_accuracy")
        scores = [f"{found[name]:.2f}" for name in MEASURES]
        seconds = [f"{value:.0f}" for value in (training["seconds"], record.seconds, record.cpu_seconds)]
        validation = "-" if held_out is None else f"{100 * held_out:.2f}"
        rows.append((model, str(record.request["train"]["seed"]), *scores, validation, *seconds))
    header = ("model", "seed", *MEASURES, "validation", "training s", "all s", "CPU-s")
    return Table(header, rows, "Every run (ours)")


def _drawing(regime: str, runs: Runs) -> Drawing:
    degrees = tuple(float(STEP * k) for k in range(ANGLES))
    lines = []
    for model, records in runs.items():
        lines.append(Line(model, degrees, tuple(mean_curve(records, FILLS[0]))))
        if published := CURVES.get(regime, {}).get(model):
            lines.append(Line(f"{model}, published", degrees, published, published=True))
    return Drawing(f"MNIST, {REGIMES[regime].title}", tuple(lines), polar=True, y_label="accuracy in percent")
