"""The card of a model, README.md; every number on it comes from config.json or evaluation.json."""

import math
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
import yaml

from symdata.display import template
from symdata.groups import Group
from symdata.transforms.generators import FACTOR, current_name, half_width_unit
from zoo.checkpoint.manifest import innermost
from zoo.errors import ModelError
from zoo.evaluation.report import Report, percent
from zoo.measure.estimates import Rate
from zoo.models.own import OwnArchitecture, is_own

LICENSES = (
    "afl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "gpl-3.0", "mit", "odbl", "ofl-1.1", "pddl",
    "unlicense",
)  # fmt: skip
"""Licenses of data that weights inherit, by their identifiers on the Hub."""
UNKNOWN = "unknown"
FEATURES = "image-feature-extraction"
"""The Hub's name of the task of a network that was pretrained without labels."""
SHOWN_CLASSES = 12
SHOWN_ELEMENTS = 16
"""Of a larger group the elements with the lowest accuracy are shown."""
Row = tuple[str, ...]


def render_card(
    config: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
    *,
    repo: str | None = None,
    dataset: Mapping[str, Any] | None = None,
    license: str | None = None,
) -> str:
    """README.md of a model folder, as text; it shows polar.png if there is a curve in the evaluation.

    Args:
        config: config.json.
        evaluation: evaluation.json, or None if the model was not evaluated.
        repo: `user/name` or `user/name@v1`, where the model will be found; None for a folder.
        dataset: `id` and `revision` of the repository that holds the dataset the model was trained on.
        license: of the weights, an identifier of the Hub such as `mit`; by default that of the data that the model was
            trained on, and `unknown` if that is not known.

    Raises:
        ModelError: if a value that the card shows is missing in one of the two.
    """
    report = None if evaluation is None else Report.from_dict(evaluation)
    filters = {"plain": plain, "line": _line, "numbers": _numbers}
    ref = repo or "PATH"
    code = _code(config)
    arch = f" --arch {code}" if code else ""
    try:
        front = _front(config, report, dataset, license or _inherited(config))
        return template("model.md.j2", filters, keep_trailing_newline=True).render(
            front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=math.inf),
            ref=ref,
            arch=arch,
            code=code,
            outcome=_outcome(config["exactness"]),
            config=config,
            pooled=bool(innermost(config["architecture"]).get("coset_pool")),
            learned=list(_learned(config["exactness"].get("learned"), config["group"])),
            sizes=list(_sizes(config)),
            report=report,
            rows=[] if report is None else list(_rows(report)),
            alt="" if report is None else plain(_alt(report)),
            confusion=_confusion(report),
            again=None if report is None else _again(report, ref, code),
            facts=[(key, _shown(value)) for key, value in _facts(config, dataset).items() if value is not None],
            shown_classes=SHOWN_CLASSES,
        )
    except (KeyError, TypeError, ValueError, AttributeError, jinja2.UndefinedError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(f"config.json does not say what a card tells ({reason}); save the model again") from None


def on_training_data(config: Mapping[str, Any], report: Report) -> bool:
    """Whether a model was evaluated on the dataset it was trained on, proven by the hash of the manifest."""
    return report.manifest_sha256 is not None and report.manifest_sha256 == config["dataset"].get("manifest_sha256")


def _inherited(config: Mapping[str, Any]) -> str:
    """The license of the data; `unknown` if it is not one that the Hub names."""
    found = str((config["dataset"].get("source") or {}).get("license")).lower()
    return found if found in LICENSES else UNKNOWN


def _front(
    config: Mapping[str, Any], report: Report | None, dataset: Mapping[str, Any] | None, license: str
) -> dict[str, Any]:
    """The YAML head of the card, which the Hub reads."""
    exactness = config["exactness"]
    kind = () if not exactness["tied"] else (_outcome(exactness),)
    front: dict[str, Any] = {
        "library_name": "symdata",
        "license": license,
        "pipeline_tag": "image-classification" if config["training"].get("kind") != "pretrain" else FEATURES,
        "tags": ["symdata", "equivariance", "symmetry", config["group"], *kind],
    }
    source = str((config["dataset"].get("source") or {}).get("ref"))
    if dataset is not None:
        front["datasets"] = [dataset["id"]]
    elif source.startswith("hub:"):
        front["datasets"] = [source.removeprefix("hub:").split("@")[0]]
    if report is not None:
        linked = dataset if on_training_data(config, report) else None
        front["model-index"] = [{"name": _line(config["name"]), "results": [_result(config["group"], report, linked)]}]
    return front


def _outcome(exactness: Mapping[str, Any]) -> str:
    """`exact`, `approximate` or `unknown`; older records have the first two alone."""
    return str(exactness.get("outcome", "exact" if exactness["exact"] else "approximate"))


def _code(config: Mapping[str, Any]) -> str | None:
    """What makes a network of somebody's own, as a text to be pasted; None for a network of the zoo."""
    if not is_own(config["architecture"]):
        return None
    return OwnArchitecture.from_dict(config["architecture"]).code or "package.module:callable"


def _result(group: str, report: Report, dataset: Mapping[str, Any] | None) -> dict[str, Any]:
    """One entry of a model-index: task, dataset, and accuracies in [0, 1] under the elements of the model's group."""
    name, split = _data(report)
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")
    on = {"name": _line(name), "type": slug or "dataset"}
    if dataset is not None:
        on |= {"type": dataset["id"], "revision": dataset["revision"]}
    own = {str(e) for e in Group.parse(report.group).elements if e in Group.parse(group)}
    rates = {"upright": report.upright.value}
    rates |= {f"under {s.element}": s.rate.value for s in report.elements[1:] if s.element in own}
    rates |= {} if report.curve is None else {_mean_over(report): report.curve.mean}
    return {
        "task": {"type": "image-classification"},
        "dataset": on | ({"split": _line(split)} if split else {}),
        "metrics": [{"type": "accuracy", "name": f"accuracy, {key}", "value": value} for key, value in rates.items()],
    }


def _data(report: Report) -> tuple[str, str | None]:
    """Name and split of the images; older reports store both in one field."""
    name, _, split = report.data.rpartition(", ")
    return (name, report.split or split) if name else (report.data or "dataset", report.split)


def _mean_over(report: Report) -> str:
    return f"mean over {len(report.curve.angles) if report.curve else 0} angles"


def _learned(record: Any, group: str) -> Iterator[str]:
    """Sentences about the symmetry that was learned; none if the record has another shape."""
    record = record if isinstance(record, Mapping) else {}
    layers, degree, widths = (record.get(key) for key in ("layers", "degree", "half_widths"))
    if isinstance(layers, int) and isinstance(degree, int | float):
        yield (
            f"Its convolutions began equivariant under {plain(group)} and were free to leave it: {layers} did, and "
            f"keep it to degree {degree:.2f} or more, 1 being all of it and 0 none."
        )
    if isinstance(widths, Mapping) and all(isinstance(width, int | float) for width in widths.values()):
        known = {plain(current_name(name, learned=True)): width for name, width in widths.items()}
        words = [f"{name.replace('_', ' ')} up to {_width(name, width)}" for name, width in known.items()]
        yield f"Its answers are averages over augmentations whose range it learned: {', '.join(words)}, either way."


def _width(name: str, width: float) -> str:
    unit = half_width_unit(name)
    return f"a factor of {math.exp(min(abs(width), 10.0)):.2f}" if unit == FACTOR else f"{width:.1f} {unit}"


def _sizes(config: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of the table of input sizes; the model's own is bold."""
    exactness, own = config["exactness"], config["preprocessing"]["size"]
    phi_by_size = exactness.get("sizes") if exactness["tied"] else None
    for size, phi in (phi_by_size or {}).items():
        cells = (f"{int(size)} x {int(size)}", f"{phi:g}", "approximate" if phi else "exact")
        yield tuple(f"**{cell}**" for cell in cells) if int(size) == own else cells


def _rows(report: Report) -> Iterator[Row]:
    yield "upright", _with_error(report.upright)
    moved = report.elements[1:]
    for score in moved if len(moved) < SHOWN_ELEMENTS else sorted(moved, key=lambda s: s.rate.value)[:SHOWN_ELEMENTS]:
        yield f"under {score.element}", _with_error(score.rate)
    if report.curve is not None:
        yield _mean_over(report), percent(report.curve.mean)
    if report.gap is not None and report.gap.value is not None:
        # Without an error: the same image counts under every element, so these counts are not independent.
        yield "elements seen in training", percent(report.gap.seen.value)
        yield "elements not seen in training", percent(report.gap.unseen.value)


def _confusion(report: Report | None) -> str:
    tables = () if report is None or report.scores is None else report.scores.tables([*map(plain, report.classes)])
    return "\n\n".join(table.markdown for table in tables)


def _with_error(rate: Rate) -> str:
    return f"{percent(rate.value)} ± {100 * rate.standard_error:.2f}"


def _alt(report: Report) -> str:
    """The picture in words, for those who do not see it."""
    if report.curve is None:
        return ""
    accuracy, angle = report.curve.lowest
    return (
        f"Accuracy over the angle by which images are turned: {percent(report.curve.mean)} on average, "
        f"{percent(accuracy)} at worst, at {angle:g} degrees"
    )


def _again(report: Report, ref: str, code: str | None) -> str | None:
    """The command that repeats the evaluation; None for angles that no option gives."""
    name, split = _data(report)
    angles = () if report.curve is None else report.curve.angles
    if any(abs(angle - 360 * k / len(angles)) > 1e-6 for k, angle in enumerate(angles)):
        return None
    words = ["symdata", "evaluate", ref, "--data", name, "--limit", str(report.count)]
    for option, value, usual in (
        ("--arch", code, None),
        ("--split", split, "test"),
        ("--elements", report.group, "d4"),
        ("--angles", len(angles), 36),
        ("--angle-limit", None if report.curve is None else report.curve.count, None),
        ("--fill", report.fill, "background"),
    ):
        words += [option, str(value)] if value not in (usual, None) else []
    return _line(shlex.join(words))


def _facts(config: Mapping[str, Any], repository: Mapping[str, Any] | None) -> dict[str, Any]:
    """The main facts about the training."""
    training, dataset = config["training"], config["dataset"]
    source, symmetry = dataset.get("source") or {}, dataset.get("symmetry")
    if isinstance(symmetry, Mapping):
        symmetry = ", ".join(f"{split} {text}" for split, text in symmetry.items())
    return {
        "dataset": dataset.get("name"),
        "its repository": None if repository is None else f"{repository['id']}@{repository['revision']}",
        "its symmetry": symmetry,
        "its source": source.get("ref"),
        "revision of the source": source.get("revision"),
        "license of the source": source.get("license"),
        "augmentation": training.get("symmetry"),
        "epochs": (training.get("stopped") or {}).get("epoch", training.get("epochs")),
        "images shown": training.get("images"),
        "seed": training.get("seed"),
        "accuracy on held-out images": training.get("validation_accuracy"),
    }


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return percent(value)
    return f"{value:,}" if isinstance(value, int) else f"`{_line(value)}`".replace("|", "\\|")


def _line(value: object) -> str | None:
    """A value as one line without backticks, which would end the code around it."""
    return None if value is None else " ".join(str(value).split()).replace("`", "'")


def _numbers(values: Any) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def plain(value: Any) -> str:
    """Text as one line in which nothing is Markdown or HTML."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(str(value).split()))
