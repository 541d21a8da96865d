"""The tables of a regime of training on MNIST: accuracies beside the published ones, differences, what it cost."""

from collections.abc import Mapping, Sequence

from symdata.display import Table
from zoo.experiments.harness.runs import RunRecord
from zoo.experiments.harness.section import Drawing, Line, Section
from zoo.experiments.harness.setting import Setting
from zoo.experiments.harness.statistics import Figure, difference, summarise
from zoo.experiments.harness.tables import count, plus_minus
from zoo.experiments.using_and_abusing.claims import verdicts
from zoo.experiments.using_and_abusing.mnist import ANGLES, FILLS, REGIMES
from zoo.experiments.using_and_abusing.published import ACCURACY, CURVES, DIAGONAL, MEASURES, MODELS, SEEDS

TURNS = ("90", "180", "270")
COMPARED = ("0", "turned", "diagonal", "angles")
"""Measures whose difference from the exact network is tabled."""
STEP = 360 // ANGLES

Values = dict[str, list[float]]
"""Measure -> one number per seed."""


def report(regime: str, records: list[RunRecord], setting: Setting) -> Section:
    """Everything about one regime."""
    runs = {model: [r for r in records if r.request["train"]["model"] == model] for model in MODELS}
    values = {model: measures(regime, found) for model, found in runs.items()}
    figures = {model: {name: summarise(v) for name, v in by.items()} for model, by in values.items()}
    series = {f"{model} {name}": v for model, by in values.items() for name, v in by.items()}
    tables = [
        _accuracies(regime, figures, records),
        _differences(regime, figures),
        _fills(figures),
        _changes(runs),
        _seeds(runs, values),
    ]
    summary = {
        model: {name: figure._asdict() for name, figure in by.items()}
        | {"curves": {fill: mean_curve(runs[model], fill) for fill in FILLS}}
        for model, by in figures.items()
    }
    judged = verdicts(regime, series, setting.budget.name)
    title = f"MNIST, {REGIMES[regime].title}"
    drawing = _drawing(regime, runs, title)
    return Section(regime, title, tuple(records), tuple(tables), judged, (drawing,), summary)


def measures(regime: str, records: Sequence[RunRecord]) -> Values:
    """Every measure of a model, a number per seed; the names of MEASURES, `quarter` for the lower one of 90 and 270,
    and `background angles` and `background diagonal` for the other fill."""
    found: Values = {}
    for record in records:
        for name, value in _measures(regime, record).items():
            found.setdefault(name, []).append(value)
    return found


def _measures(regime: str, record: RunRecord) -> dict[str, float]:
    lattice, curves = record.result["lattice"], record.result["curves"]
    near = [angle // STEP for angle in DIAGONAL[regime]]
    values = {"0": lattice["0"], **{turn: lattice[turn] for turn in TURNS}}
    values["turned"] = sum(lattice[turn] for turn in TURNS) / 3
    for fill in FILLS:
        prefix = "" if fill == FILLS[0] else f"{fill} "
        values[f"{prefix}diagonal"] = sum(curves[fill][k] for k in near) / len(near)
        values[f"{prefix}angles"] = sum(curves[fill]) / ANGLES
    return values | {"quarter": min(lattice["90"], lattice["270"])}


def mean_curve(records: Sequence[RunRecord], fill: str) -> list[float]:
    """Accuracy in percent at 0, 10, ..., 350 degrees, averaged over seeds."""
    curves = [record.result["curves"][fill] for record in records]
    return [round(sum(values) / len(values), 3) for values in zip(*curves, strict=True)]


def _accuracies(regime: str, figures: Mapping[str, Mapping[str, Figure]], records: Sequence[RunRecord]) -> Table:
    rows: list[tuple[str, ...]] = []
    for model in MODELS:
        theirs, ours = ACCURACY[regime][model], figures[model]
        rows.append((model, f"published ({SEEDS[regime]})", *(plus_minus(theirs[name]) for name in MEASURES)))
        rows.append(("", f"ours ({ours['0'].n})", *(plus_minus(ours[name]) for name in MEASURES)))
    near = "40, 50°" if len(DIAGONAL[regime]) == 2 else "near 45°"
    header = ("model", "(seeds)", "0°", "90°", "180°", "270°", "mean of 90, 180, 270°", near, "36 angles")
    test, train = records[0].request["test"], records[0].request["train"]
    images = train.get("limit", 8000)
    notes = (
        f"Percent; mean ± population standard deviation over seeds. Trained on {images:,} images of MNIST's test split "
        f"for {count(train['epochs'], 'epoch')}, tested on its train split: ours 0° to 270° on {test['lattice']:,} "
        f"images and the last two columns on {test['curve']:,}, published all on 60,000.",
        "Corners that a turn leaves empty are filled with 0 after normalisation, as published.",
    )
    return Table(header, tuple(rows), "Accuracy", notes)


def _differences(regime: str, figures: Mapping[str, Mapping[str, Figure]]) -> Table:
    rows: list[tuple[str, ...]] = []
    exact, theirs = figures[MODELS[0]], ACCURACY[regime]
    for model in MODELS[1:]:
        published = [_difference(theirs[model][name], theirs[MODELS[0]][name]) for name in COMPARED]
        rows.append((f"{model} - {MODELS[0]}", "published", *published))
        rows.append(("", "ours", *(_difference(figures[model][name], exact[name]) for name in COMPARED)))
    header = ("difference", "", "0°", "mean of 90, 180, 270°", "diagonal", "36 angles")
    note = "Points ± standard error of the difference, and Welch's t with its degrees of freedom."
    return Table(header, tuple(rows), "Against the exact network", (note,))


def _difference(a: Figure, b: Figure) -> str:
    found = difference(a, b)
    if found is None:
        return f"{a.mean - b.mean:+.2f}"
    return f"{found.value:+.2f}±{found.error:.2f} (t {found.t:.1f}, {found.dof:.0f})"


def _fills(figures: Mapping[str, Mapping[str, Figure]]) -> Table:
    names = ("diagonal", "background diagonal", "angles", "background angles")
    rows = tuple((model, *(plus_minus(figures[model][name]) for name in names)) for model in MODELS)
    header = ("model", "diagonal, zero", "diagonal, background", "36 angles, zero", "36 angles, background")
    note = (
        "Zero is not the background of a normalised digit, so that turned images get grey corners; `background` goes "
        "on with the border pixels. Multiples of 90° have no corners to fill."
    )
    return Table(header, rows, "What fills the corners (ours)", (note,))


def _changes(runs: Mapping[str, Sequence[RunRecord]]) -> Table:
    rows = []
    for model, records in runs.items():
        n = records[0].request["test"]["lattice"]
        found = [" ".join(f"{r.result['changed'][turn]:,}" for r in records) for turn in TURNS]
        rows.append((model, f"{n:,}", *found))
    header = ("model", "images", "90°", "180°", "270°")
    note = (
        "How many predictions a quarter turn changes, a number for each seed. Published for the exact network: 0 or 1."
    )
    return Table(header, tuple(rows), "Predictions that a turn changes (ours)", (note,))


def _seeds(runs: Mapping[str, Sequence[RunRecord]], values: Mapping[str, Values]) -> Table:
    rows = []
    for model, records in runs.items():
        for k, record in enumerate(records):
            training = record.result["training"]
            held = training.get("validation_accuracy")
            scores = [f"{values[model][name][k]:.2f}" for name in MEASURES]
            seconds = (f"{training['seconds']:.0f}", f"{record.seconds:.0f}", f"{record.cpu_seconds:.0f}")
            valid = "-" if held is None else f"{100 * held:.2f}"
            rows.append((model, str(record.request["train"]["seed"]), *scores, valid, *seconds))
    header = ("model", "seed", *MEASURES, "validation", "training s", "all s", "CPU-s")
    return Table(header, tuple(rows), "Every run (ours)")


def _drawing(regime: str, runs: Mapping[str, Sequence[RunRecord]], title: str) -> Drawing:
    degrees = tuple(float(STEP * k) for k in range(ANGLES))
    curves = []
    for model in MODELS:
        curves.append(Line(model, degrees, tuple(mean_curve(runs[model], FILLS[0]))))
        if published := CURVES.get(regime, {}).get(model):
            curves.append(Line(f"{model}, published", degrees, published, published=True))
    return Drawing(regime, title, tuple(curves), polar=True, y_label="accuracy in percent")
