"""A state dict in one safetensors file, or in several that an index lists, as transformers and accelerate write it."""

from pathlib import Path

from torch import Tensor

from zoo.checkpoint.tensors import read_tensors, short
from zoo.errors import ModelError

INDEX = ".safetensors.index.json"
"""How the name of an index ends."""


def is_index(path: str | Path) -> bool:
    """Whether a file has the name of an index."""
    return str(path).endswith(INDEX)


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, or of the files beside an index: each in the file that the index names.

    Raises:
        ModelError: if the index is damaged, or one of the files is missing, damaged or not what the index says.
    """
    if not is_index(path):
        return read_tensors(path)
    files = _listed(path)
    tensors: dict[str, Tensor] = {}
    for name, keys in files.items():
        found = read_tensors(path.with_name(name))
        if different := sorted(keys ^ found.keys()):
            what = "is not in" if different[0] in keys else "is in"
            raise ModelError(
                f"{str(path)!r} is not the index of {name!r}: {short(different[0])!r} {what} that file; get both again"
            )
        tensors |= found
    return tensors


def _listed(path: Path) -> dict[str, set[str]]:
    """File -> the keys that it holds, of an index."""
    from symdata.store.files import read_json  # loads pyarrow

    if not path.exists():
        raise ModelError(f"there is no file {str(path)!r}; expected the index of several safetensors files")
    content = read_json(path)
    listed = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(listed, dict) or not listed or not all(isinstance(name, str) for name in listed.values()):
        raise ModelError(f"{str(path)!r} is no index: it has no weight_map of keys and files; get the file again")
    files: dict[str, set[str]] = {}
    for key, name in listed.items():
        if Path(name).name != name or "\\" in name:
            raise ModelError(f"{str(path)!r} names {short(name)!r}, expected files beside it; get the file again")
        files.setdefault(name, set()).add(key)
    return files
