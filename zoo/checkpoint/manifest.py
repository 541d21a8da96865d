"""config.json of a model folder: what it must hold, and reading it without trusting it.

It carries the sha256 of its own content and of the two tensor files beside it, so that no part of a folder can change
unnoticed. `README.md` and `evaluation.json` are made from it and from measurements; loading a model does not read them.
"""

import json
import math
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from symdata.errors import is_whole
from zoo import files
from zoo.checkpoint.tensors import PICKLES, read_bytes, unique
from zoo.errors import ModelError
from zoo.files import CONFIG, DATASET, GOLDEN, WEIGHTS

FORMAT = 1
LIMIT = 1 << 20
"""Bytes of the largest config.json that is read."""
EVALUATION_LIMIT = 64 << 20
"""Bytes of the largest evaluation.json that is read; it may hold logits."""
LARGEST = 1 << 63
"""Largest whole number: seeds are smaller, and everything else is far smaller."""


MOST = 1 << 40
"""Pixels of a side, and parameters, at most."""
FIELDS = {
    "library_name": "'symdata'",
    "name": "a name, for example 'p4cnn_28.mnist-none'",
    "architecture": "an architecture, as in the attribute `architecture` of a network",
    "group": "a group, for example 'c4'",
    "input_size": "[height, width] in pixels",
    "preprocessing": "size, mean, std (a list of numbers each) and resize",
    "classes": "the names of the classes",
    "training": "how it was trained",
    "dataset": "what it was trained on",
    "exactness": "what the audit said: among others exact, a truth, and phi, two numbers from 0 on",
    "weights": f"file {WEIGHTS!r} (a name in this folder, no path), its sha256 and the number of parameters",
    "golden": f"file {GOLDEN!r} (a name in this folder, no path) and its sha256",
    "versions": "versions of the libraries",
    "sha256": "the sha256 of the other fields",
}
"""Key -> what is expected, for an error; `format` is checked before."""


def _fits(key: str, value: Any) -> bool:
    """Whether a value of config.json has the shape that its key asks for."""
    match key, value:
        case "library_name", "symdata":
            return True
        case "architecture" | "training" | "dataset" | "versions", dict():
            return True
        case "name" | "group", str():
            return 0 < len(value) <= 200 and value.isprintable()
        case "input_size", [height, width]:
            return is_whole(height, 1, MOST) and is_whole(width, 1, MOST)
        case "preprocessing", {"mean": list(), "std": list()}:
            return True
        case "classes", [_, *_]:
            return all(isinstance(name, str) for name in value)
        case "exactness", {"exact": bool(), "phi": [_, _] as phi}:
            return all(type(step) in (int, float) and 0 <= step < math.inf for step in phi)
        case "weights", {"file": files.WEIGHTS, "sha256": digest, "parameters": count}:
            return _is_hash(digest) and is_whole(count, 0, MOST)
        case "golden", {"file": files.GOLDEN, "sha256": digest}:
            return _is_hash(digest)
        case "sha256", digest:
            return _is_hash(digest)
    return False


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def sealed(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with the sha256 of its content; `ModelError` for values that JSON cannot hold."""
    plain = {key: value for key, value in config.items() if key != "sha256"}
    try:
        same: dict[str, Any] = parsed(json.dumps(plain, allow_nan=False))  # tuples are lists, and keys are text
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the configuration of a model must be plain data for JSON: {error}; give text, finite numbers and lists"
        ) from None
    return same | {"sha256": _digest(same)}


def check_fields(config: Mapping[str, Any], what: str, mend: str) -> None:
    """`ModelError` for the first field that is missing or of another kind; it begins with `what`, ends with `mend`."""
    for key, expected in FIELDS.items():
        if not _fits(key, config.get(key)):
            found = f"says {key} = {quoted(config[key])}" if key in config else f"does not say {key}"
            raise ModelError(f"{what} {found}, expected {expected}; {mend}")


def _digest(config: Mapping[str, Any]) -> str:
    """sha256 of the content, independent of indentation and order."""
    return sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """Content of the config.json of a model folder, checked; `ModelError` if there is none or it was changed."""
    path = folder / CONFIG
    config = read_json(path)
    if config is None:
        raise ModelError(_no_model(folder))
    if not isinstance(config, dict) or config.get("library_name") != "symdata":
        raise ModelError(f"{str(path)!r} is not of a symdata model; give a folder that `symdata train` wrote")
    if not is_whole(config.get("format"), FORMAT, FORMAT):
        raise ModelError(
            f"{str(path)!r} has format {quoted(config.get('format'))}, and this version reads {FORMAT}; "
            "update symdata: pip install -U symdata"
        )
    what, mend = repr(str(path)), "get the file again, or train the model again"
    stated, found = config.get("sha256"), _digest({key: value for key, value in config.items() if key != "sha256"})
    # First of all: if the file was changed, that explains everything else.
    if _is_hash(stated) and found != stated:
        raise ModelError(
            f"{what} was changed after it was written: its content has sha256 {found}, expected {stated}; {mend}"
        )
    check_fields(config, what, mend)
    return config


def read_json(path: Path, limit: int = LIMIT) -> Any:
    """Content of a JSON file; None if there is none, `ModelError` if it is not JSON or has more than `limit` bytes."""
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
    """JSON with unique keys, numbers that fit 64 bits, and text that can be written again.

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
    """Error text for a folder without config.json."""
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
    """The architecture of a network, without the averaging over augmentations around it."""
    inner = architecture.get("network")
    return inner if architecture.get("form") == "averaged" and isinstance(inner, Mapping) else architecture


def quoted(value: Any) -> str:
    """A value for a message, cut if it is long."""
    text = repr(value) if not isinstance(value, dict | list) else json.dumps(value)[:80]
    return text if len(text) <= 60 else f"{text[:60]}..."
