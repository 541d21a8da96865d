"""config.json of a model folder: what it must say, and reading it without trusting it.

It carries the sha256 of its own content and of the two tensor files beside it, so that no part of a folder can change
without being noticed. `README.md` and `evaluation.json` are made from it and from measurements, and are not read back
to load a model.
"""

import json
import math
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from zoo.checkpoint.tensors import PICKLES, read_bytes, unique
from zoo.errors import ModelError
from zoo.files import CONFIG, DATASET, GOLDEN, WEIGHTS

FORMAT = 1
LIMIT = 1 << 20
"""Bytes of the largest config.json that is read."""
EVALUATION_LIMIT = 64 << 20
"""The same of evaluation.json, which may hold logits."""
LARGEST = 1 << 63
"""No whole number is larger: seeds are from below it, and everything else is far smaller."""


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _names(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(name, str) for name in value)


def _whole(value: Any, low: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= 1 << 40


def _file(name: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and value.get("file") == name and _hash(value.get("sha256"))


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _preprocessing(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), list) for key in ("mean", "std"))


def _exactness(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("exact"), bool):
        return False
    phi = value.get("phi")
    return isinstance(phi, list) and len(phi) == 2 and all(_number(step) and step >= 0 for step in phi)


FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "library_name": (lambda value: value == "symdata", "'symdata'"),
    "name": (_text, "a name, for example 'p4cnn_28.mnist-none'"),
    "architecture": (_mapping, "what zoo.build takes"),
    "group": (_text, "a group, for example 'c4'"),
    "input_size": (
        lambda value: isinstance(value, list) and len(value) == 2 and all(map(_whole, value)),
        "[height, width] in pixels",
    ),
    "preprocessing": (_preprocessing, "size, mean, std (a list of numbers each) and resize"),
    "classes": (_names, "the names of the classes"),
    "training": (_mapping, "how it was trained"),
    "dataset": (_mapping, "what it was trained on"),
    "exactness": (_exactness, "what the audit said: among others exact, a truth, and phi, two numbers from 0 on"),
    "weights": (
        lambda value: _file(WEIGHTS)(value) and _whole(value.get("parameters"), 0),
        f"file {WEIGHTS!r} (a name in this folder, no path), its sha256 and the number of parameters",
    ),
    "golden": (_file(GOLDEN), f"file {GOLDEN!r} (a name in this folder, no path) and its sha256"),
    "versions": (_mapping, "versions of the libraries"),
    "sha256": (_hash, "the sha256 of the other fields"),
}
"""Key -> whether a value is one, and what is expected; `format` is looked at before."""


def sealed(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with the sha256 of its content; `ModelError` for what JSON cannot hold."""
    plain = {key: value for key, value in config.items() if key != "sha256"}
    try:
        same: dict[str, Any] = parsed(json.dumps(plain, allow_nan=False))  # tuples are lists, and keys are text
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the configuration of a model must be plain data for JSON: {error}; give text, finite numbers and lists"
        ) from None
    return same | {"sha256": _digest(same)}


def check_fields(config: Mapping[str, Any], what: str, mend: str) -> None:
    """`ModelError`, from `what` to `mend`, for the first field that is missing or of another kind."""
    for key, (fits, expected) in FIELDS.items():
        if not fits(config.get(key)):
            said = f"says {key} = {quoted(config[key])}" if key in config else f"does not say {key}"
            raise ModelError(f"{what} {said}, expected {expected}; {mend}")


def _digest(config: Mapping[str, Any]) -> str:
    """sha256 of the content, however it is indented or ordered."""
    return sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model folder, every field of the right kind; `ModelError` if it is none or was changed."""
    path = folder / CONFIG
    config = read_json(path)
    if config is None:
        raise ModelError(_no_model(folder))
    if not isinstance(config, dict) or config.get("library_name") != "symdata":
        raise ModelError(f"{str(path)!r} is not of a symdata model; give a folder that `symdata train` wrote")
    if config.get("format") != FORMAT or not isinstance(config["format"], int) or config["format"] is True:
        raise ModelError(
            f"{str(path)!r} has format {quoted(config.get('format'))}, and this version reads {FORMAT}; "
            "update symdata: pip install -U symdata"
        )
    what, mend = repr(str(path)), "get the file again, or train the model again"
    said = config.get("sha256")
    # First of all: of a file that was changed, nothing else needs to be explained.
    if _hash(said) and (found := _digest({k: v for k, v in config.items() if k != "sha256"})) != said:
        raise ModelError(
            f"{what} was changed after it was written: its content has sha256 {found}, expected {said}; {mend}"
        )
    check_fields(config, what, mend)
    return config


def read_json(path: Path, limit: int = LIMIT) -> Any:
    """The content of a JSON file; None if there is none, `ModelError` for anything else and from `limit` bytes on."""
    try:
        text = read_bytes(path, limit)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ModelError(f"cannot read {str(path)!r}: {error.strerror or error}; get the file again") from None
    if text is None:
        raise ModelError(
            f"{str(path)!r} has {path.stat().st_size:,} bytes, at most {limit:,} are read; get the file again"
        )
    try:
        return parsed(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{str(path)!r} is not JSON: {error}; get the file again") from None


def parsed(text: str | bytes) -> Any:
    """JSON whose keys are unique, whose numbers fit 64 bits, and whose text can be written again.

    Raises:
        ValueError, RecursionError: for anything else.
    """
    value = json.loads(text, parse_constant=_no_constant, parse_int=_int, parse_float=_float, object_pairs_hook=unique)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # half of a pair that stands for one character
        raise ValueError(f"{error.object[error.start]!r} is no character") from None
    return value


def _int(text: str) -> int:
    if len(text) > len(str(-LARGEST)) or abs(int(text)) > LARGEST:
        raise ValueError(f"{text[:20]}... is too large a number" if len(text) > 20 else f"{text} is too large a number")
    return int(text)


def _float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _no_model(folder: Path) -> str:
    """Why a folder without config.json is no model, and what to do."""
    what = repr(str(folder))
    if (folder / DATASET).is_file():
        return f"{what} is a dataset, not a model; train one on it: symdata train {folder} --model p4cnn_28"
    if not folder.is_dir():
        return f"there is no folder {what}; give a folder that `symdata train` wrote, or a name of `symdata models`"
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        return (
            f"{what} has {pickles[0]!r}, a pickle, which may run code when it is opened, and no {CONFIG}; "
            "pickles are refused: save the weights as safetensors and give --weights and --arch"
        )
    return f"{what} has no {CONFIG}, so it is not a model; give a folder that `symdata train` wrote"


def innermost(architecture: Mapping[str, Any]) -> Mapping[str, Any]:
    """The architecture of the network itself, where it is averaged over augmentations."""
    inner = architecture.get("network")
    return inner if architecture.get("form") == "averaged" and isinstance(inner, Mapping) else architecture


def quoted(value: Any) -> str:
    """A value for a message, shortened if it is long."""
    text = repr(value) if not isinstance(value, dict | list) else json.dumps(value)[:80]
    return text if len(text) <= 60 else f"{text[:60]}..."
