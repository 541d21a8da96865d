"""The files of a model folder by name, and the folders of the models that come with the package."""

import re
from importlib import resources
from pathlib import Path

CONFIG, WEIGHTS, GOLDEN = "config.json", "model.safetensors", "golden.safetensors"
CARD, EVALUATION, PICTURE = "README.md", "evaluation.json", "polar.png"
RECIPE, METRICS = "recipe.yaml", "metrics.jsonl"
"""How it was trained, and its losses; not read to load a model."""
MAX_SIZE = 4096
"""Largest side of the images that a model takes, in pixels."""
DATASET = "symdata.json"
"""The file that makes a folder a dataset."""

NAME = re.compile(r"(?P<name>[\w.+-]+)(@(?P<revision>[\w./-]+))?", re.ASCII)
"""The name of a model without an owner, perhaps at a revision."""


def bundled() -> tuple[str, ...]:
    """The names of the models that come with the package."""
    folder = _weights()
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if (path / CONFIG).is_file()))


def bundled_folder(name: str) -> Path:
    """The folder of a bundled model."""
    return _weights() / name


def is_bundled(text: str) -> bool:
    """Whether a model of that name comes with the package."""
    return bool(NAME.fullmatch(text)) and (_weights() / text / CONFIG).is_file()


def _weights() -> Path:
    return Path(str(resources.files("zoo"))) / "weights"
