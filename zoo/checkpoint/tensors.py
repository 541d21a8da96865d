"""Tensors on disk: only safetensors, read once, hashed, and compared with the model that they are for.

A pickle can run code when it is opened, so none is ever opened here, whatever its name. Nothing is loaded in part:
keys, shapes and dtypes must be those of the model; a difference is an error and is never repaired silently.
"""

import errno
import json
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from zoo.errors import ModelError

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
"""Endings of files that torch.save and pickle write."""
SLACK = 1 << 20
"""Bytes of a header, at most."""
COUNTER = "num_batches_tracked"
"""Last word of the keys of batch norm counters. They have no effect, and torch too loads a state dict without them."""
SHOWN = 3
"""Differences in a message, at most."""


def serialised(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a safetensors file: contiguous tensors on the CPU that share no memory."""
    plain = {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in tensors.items()
        if not key.endswith(COUNTER)
    }
    return serialise(plain, metadata={"format": "pt"})


def read_tensors(path: Path, *, expected: str | None = None, limit: int | None = None) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Args:
        path: the file.
        expected: its sha256 in hex, if known.
        limit: bytes of its tensors, if known; a much larger file is not read.

    Raises:
        ModelError: if the file is missing, too large, changed, a pickle, or damaged.
    """
    data = _read(path, limit)
    found = sha256(data).hexdigest()
    if expected is not None and found != expected:
        _refuse_pickle(path, data)
        raise ModelError(
            f"{str(path)!r} was changed or damaged: its sha256 is {found}, expected {expected}; "
            "get the file again, or train the model again"
        )
    _refuse_pickle(path, data)
    try:
        tensors = parse(data)
        json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")], object_pairs_hook=unique)
        return tensors
    except (SafetensorError, KeyError, ValueError, RuntimeError, AssertionError, OverflowError) as error:
        reason = f"no tensor can be {error}" if isinstance(error, KeyError) else error  # a dtype that torch lacks
        raise ModelError(
            f"{str(path)!r} is not a whole safetensors file: {short(reason)}; get the file again"
        ) from None


def _read(path: Path, limit: int | None) -> bytes:
    if path.suffix in PICKLES:
        raise ModelError(_pickle(path))
    try:
        data = read_bytes(path, None if limit is None else limit + SLACK)
    except FileNotFoundError:
        raise ModelError(f"there is no file {str(path)!r}; expected weights as safetensors") from None
    except OSError as error:
        raise ModelError(f"cannot read {str(path)!r}: {error.strerror or error}; get the file again") from None
    if data is None:
        raise ModelError(
            f"{str(path)!r} has {path.stat().st_size:,} bytes and the tensors it should hold have {limit:,}; "
            "get the file again"
        )
    return data


def read_bytes(path: Path, limit: int | None) -> bytes | None:
    """Content of a regular file; None, without reading it, if it has more than `limit` bytes.

    Raises:
        OSError: if it cannot be read, or is a pipe, a device (which might never end) or a folder.
    """
    status = path.stat()  # before it is opened: opening a pipe waits until somebody writes to it
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if limit is not None and status.st_size > limit:
        return None
    with path.open("rb") as file:
        return file.read() if limit is None else file.read(status.st_size)  # and no more, if it grows meanwhile


def _refuse_pickle(path: Path, data: bytes) -> None:
    # A safetensors file begins with the length of its header in eight bytes and the brace of its JSON.
    if data[8:9] != b"{" and (data[:2] in (b"PK", b"\x1f\x8b") or (data[:1] == b"\x80" and data[1:2] <= b"\x05")):
        raise ModelError(_pickle(path))


def _pickle(path: Path) -> str:
    code = (
        f'python -c "import torch, safetensors.torch as s; s.save_file(torch.load({str(path)!r}, weights_only=True), '
        f'{path.stem + ".safetensors"!r})"'
    )
    return f"{str(path)!r} is a pickle, which may run code when it is opened, and is refused; convert it: {code}"


def load_strictly(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy `tensors` into `model`; `ModelError` unless their keys, shapes and dtypes are exactly the model's.

    Of several names for the same memory, as tied weights have, one is enough, as `safetensors.torch.save_model` writes
    them; if there are more, they must have the same values.

    Args:
        model: changed in place, or not at all.
        tensors: a whole state dict.
        source: of the tensors, for the message.
    """
    state = model.state_dict()
    given = [state[key] for key in tensors if key in state]
    own = {
        key: value
        for key, value in state.items()
        if key in tensors or not (key.endswith(COUNTER) or _is_part(value, given))
    }
    if own.keys() != tensors.keys():
        raise ModelError(f"{source} does not fit {type(model).__name__}: {_keys(own.keys(), tensors.keys(), source)}")
    wrong = [
        f"{short(key)} is {_kind(tensors[key])}, expected {_kind(value)}"
        for key, value in own.items()
        if tensors[key].shape != value.shape or tensors[key].dtype != value.dtype
    ]
    if wrong:
        raise ModelError(f"{source} does not fit {type(model).__name__}: {_some(wrong)}; {_mend(own, tensors)}")
    first: dict[Any, str] = {}
    for key, value in own.items():
        other = first.setdefault(_memory(value) or key, key)
        if not _same_bytes(tensors[key], tensors[other]):
            raise ModelError(
                f"{source} does not fit {type(model).__name__}: {short(other)} and {short(key)} are the same weights "
                "in the model and differ in the file; give the weights of this very architecture"
            )
    model.load_state_dict({**state, **tensors}, strict=True)  # names that are left out copy their memory to itself


def _is_part(tensor: Any, others: Iterable[Tensor]) -> bool:
    """Whether one of the others is the same memory, or fills a storage that the tensor lies in."""
    if not isinstance(tensor, Tensor) or (memory := _memory(tensor)) is None:
        return False
    place = tensor.untyped_storage().data_ptr()
    return any(
        _memory(other) == memory
        or (other.untyped_storage().data_ptr() == place and other.untyped_storage().nbytes() == other.nbytes)
        for other in others
    )


def _memory(tensor: Tensor) -> tuple[Any, ...] | None:
    """What two tensors have in common if they are the same numbers in memory; None for one that has no memory."""
    return (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() and tensor.data_ptr() else None


def _same_bytes(a: Tensor, b: Tensor) -> bool:
    return a is b or torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))  # NaN too


def _mend(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    if all(tensors[key].shape == value.shape for key, value in own.items()):
        return "convert them, for example with {k: v.float() for k, v in tensors.items()}, and save them again"
    return "build the model with the width, classes and channels that the weights were trained with"


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; `ValueError` if a key is in it twice, since readers differ in which value they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {short(key)!r} is in it twice")
    return found


def _kind(tensor: Tensor) -> str:
    return short(f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}")


def short(text: object, most: int = 100) -> str:
    """Text from a file, which may be anything, as part of one line."""
    line = "".join(c if c.isprintable() else " " for c in str(text)[: most + 1])
    return line if len(line) <= most else f"{line[:most]}..."


def _keys(own: Iterable[str], given: Iterable[str], source: str) -> str:
    """The difference between two sets of keys, and how to mend it if it is only a prefix."""
    missing, unexpected = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    if prefix := _prefix(own, given):
        return (
            f"every key of the file begins with {prefix!r} and no key of the model does; save the weights without it: "
            f"{{k.removeprefix({prefix!r}): v for k, v in tensors.items()}}"
        )
    if prefix := _prefix(given, own):
        return (
            f"every key of the model begins with {prefix!r} and no key of the file does; save the weights with it: "
            f"{{{prefix!r} + k: v for k, v in tensors.items()}}"
        )
    parts = [f"missing {_some(missing)}"] if missing else []
    parts += [f"unexpected {_some([short(key) for key in unexpected])}"] if unexpected else []
    return f"{'; '.join(parts)}; give the weights of this very architecture, or the architecture of these weights"


def _prefix(short: Iterable[str], long: Iterable[str]) -> str:
    """The prefix of every key in `long` that `short` lacks, if that is their only difference; else an empty text."""
    a, b = ({key for key in keys if not key.endswith(COUNTER)} for keys in (short, long))
    if not a or len(a) != len(b):
        return ""
    first = min(a)
    candidates = {key.removesuffix(first) for key in b if key.endswith(first)} - {""}
    return next((p for p in sorted(candidates) if len(p) <= 100 and {p + key for key in a} == b), "")


def _some(items: list[str]) -> str:
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")
