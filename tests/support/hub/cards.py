"""README metadata: the YAML between two --- lines, what the Hub refuses in it, and the tags it derives from it."""

import re
from typing import Any

import yaml

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)\r?\n?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_TEXT_LISTS = ("tags", "datasets", "language", "license", "task_categories", "size_categories", "metrics")
_PREFIXED = (
    "task_categories",
    "task_ids",
    "size_categories",
    "source_datasets",
    "annotations_creators",
    "multilinguality",
)


def metadata(readme: str) -> dict[str, Any]:
    """The card data of a README, empty when it has none or when it is not valid."""
    return {} if problems(readme)[0] else _load(readme) or {}


def problems(readme: str) -> tuple[list[str], list[str]]:
    """Errors (the Hub refuses the commit) and warnings (it does not). A part of the live Hub's schema only."""
    if not _FRONT_MATTER.match(readme):
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        card = _load(readme)
    except yaml.YAMLError as error:
        return [f"invalid yaml: {error}"], []
    if card is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(card, dict):
        return ['"value" must be of type object'], []
    return [*_type_errors(card), *_model_index_errors(card.get("model-index"))], []


def tags(card: dict[str, Any], kind: str) -> list[str]:
    """The tags the Hub lists and filters by."""
    found = _texts(card.get("tags"))
    if kind == "models":
        found += _texts(card.get("library_name")) + _texts(card.get("pipeline_tag")) + _texts(card.get("language"))
        found += [f"dataset:{name}" for name in _texts(card.get("datasets"))]
        found += [f"base_model:{name}" for name in _texts(card.get("base_model"))]
    else:
        found += [f"{key}:{value}" for key in (*_PREFIXED, "language") for value in _texts(card.get(key))]
    found += [f"license:{name}" for name in _texts(card.get("license"))]
    return list(dict.fromkeys([*found, "region:us"]))


def _load(readme: str) -> Any:
    match = _FRONT_MATTER.match(readme)
    return yaml.safe_load(match[1]) if match else None


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [str(item) for item in values]


def _type_errors(card: dict[str, Any]) -> list[str]:
    def is_text_list(value: Any) -> bool:
        return all(isinstance(item, str) for item in (value if isinstance(value, list) else [value]))

    errors = [
        f'"{key}" must be an array of strings' for key in _TEXT_LISTS if key in card and not is_text_list(card[key])
    ]
    return errors + [
        f'"{key}" must be a string'
        for key in ("library_name", "pipeline_tag")
        if not isinstance(card.get(key, ""), str)
    ]


def _model_index_errors(index: Any) -> list[str]:
    if index is None:
        return []
    if not isinstance(index, list) or not all(isinstance(model, dict) for model in index):
        return ['"model-index" must be an array']
    errors = []
    for position, model in enumerate(index):
        errors += [f'"model-index[{position}].{key}" is required' for key in ("name", "results") if key not in model]
        for number, result in enumerate(model.get("results") or []):
            keys = ("task", "dataset", "metrics")
            errors += [
                f'"model-index[{position}].results[{number}].{key}" is required' for key in keys if key not in result
            ]
    return errors
