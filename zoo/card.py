"""The card of a model, README.md: every number on it comes from config.json or evaluation.json."""

import math
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import jinja2
import yaml

SHOWN_CLASSES = 12


def render_card(config: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> str:
    """README.md of a model folder, as text.

    Args:
        config: config.json.
        evaluation: evaluation.json, or None if the model was not evaluated.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    template = environment.from_string((resources.files("cards") / "model.md.j2").read_text(encoding="utf-8"))
    rows = dict(accuracies(evaluation or {}))
    exactness, classes = config["exactness"], config["classes"]
    return template.render(
        front=yaml.safe_dump(_front(config, evaluation or {}, rows), sort_keys=False, allow_unicode=True),
        c=config,
        p=config["preprocessing"],
        phi=f"{max(exactness['phi']):g}",
        nearest=" or ".join(f"{h} x {w}" for h, w in exactness["nearest"]),
        command=config["training"].get("command"),
        facts=list(_facts(config)),
        rows=[(key, f"{100 * value:.2f} %") for key, value in rows.items()],
        e=evaluation,
        mean=", ".join(f"{value:.4g}" for value in config["preprocessing"]["mean"]),
        std=", ".join(f"{value:.4g}" for value in config["preprocessing"]["std"]),
        shown_classes=", ".join(classes[:SHOWN_CLASSES]) + (", ..." if len(classes) > SHOWN_CLASSES else ""),
    )


def _front(config: Mapping[str, Any], evaluation: Mapping[str, Any], rows: Mapping[str, float]) -> dict[str, Any]:
    front: dict[str, Any] = {
        "library_name": "symdata",
        "license": "apache-2.0",
        "pipeline_tag": "image-classification",
        "tags": ["symdata", "equivariance", "symmetry", "image-classification", config["group"]],
    }
    if (source := str((config["dataset"].get("source") or {}).get("ref"))).startswith("hub:"):
        front["datasets"] = [source.removeprefix("hub:").split("@")[0]]
    if rows:
        measured_on = str((evaluation.get("data") or config["dataset"]).get("name", "dataset"))
        front["model-index"] = [{"name": config["name"], "results": [_result(measured_on, rows)]}]
    return front


def _result(name: str, rows: Mapping[str, float]) -> dict[str, Any]:
    """One entry of a model-index: the task, the dataset, and its metrics as fractions."""
    return {
        "task": {"type": "image-classification"},
        "dataset": {"name": name, "type": name},
        "metrics": [{"type": "accuracy", "name": f"accuracy, {key}", "value": value} for key, value in rows.items()],
    }


def accuracies(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """What evaluation.json says in single numbers from 0 to 1, by what they are called on the card."""
    yield from _accuracy("upright", evaluation.get("upright"))
    for score in evaluation.get("elements") or ():
        if score["element"] != "e":
            yield from _accuracy(f"under {score['element']}", score)
    curve = evaluation.get("curve") or {}
    yield from _accuracy(f"mean over {len(curve.get('angles', ()))} angles", evaluation.get("mean"))
    yield from _accuracy("elements seen in training", evaluation.get("seen"))
    yield from _accuracy("elements not seen in training", evaluation.get("unseen"))


def _accuracy(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """The row of a number, or of a mapping that holds one; none where nothing was measured."""
    number = value.get("accuracy") if isinstance(value, Mapping) else value
    if isinstance(number, int | float) and math.isfinite(number):
        yield name, float(number)


def _facts(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a reader asks first about the training; config.json says the rest."""
    training, dataset = config["training"], config["dataset"]
    source, symmetry = dataset.get("source") or {}, dataset.get("symmetry")
    if isinstance(symmetry, Mapping):
        symmetry = ", ".join(f"{split} {text}" for split, text in symmetry.items())
    rows = {
        "dataset": dataset.get("name"),
        "its symmetry": symmetry,
        "its source": source.get("ref"),
        "revision of the source": source.get("revision"),
        "license of the source": source.get("license"),
        "augmentation": training.get("symmetry"),
        "images": training.get("images"),
        "epochs": training.get("epochs"),
        "steps": training.get("steps"),
        "seed": training.get("seed"),
        "accuracy on held-out images": training.get("validation_accuracy"),
    }
    yield from ((key, _shown(value)) for key, value in rows.items() if value is not None)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{100 * value:.2f} %"
    return f"{value:,}" if isinstance(value, int) else f"`{value}`"
