"""Bad model folders, made from a good one by somebody who knows the format: the same ones in every run.

A case is a name and a function that damages a copy of the good folder. None of them may be loaded.
"""

import copy
import json
import os
import random
import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from tests.support.checkpoints import rehash

Damage = Callable[[Path], object]
CONFIG, WEIGHTS, GOLDEN = "config.json", "model.safetensors", "golden.safetensors"

JUNK = {
    "null": None,
    "truth": True,
    "negative": -1,
    "number": 10**18,
    "text": "../x",
    "list": [[]],
    "object": {"a": {"b": 1}},
}
TOO_LARGE, NO_TEXT = 10**400, "\ud800"
"""A whole number beyond every float, and half of a character."""

OBJECTS = ("architecture", "preprocessing", "training", "dataset", "exactness", "weights", "golden", "versions")
CHECKED: dict[tuple[str | int, ...], str] = {
    **{(key,): "object" for key in OBJECTS},
    **{(key,): "text" for key in ("library_name", "name", "group")},
    **{(key,): "list" for key in ("input_size", "classes")},
    ("format",): "number",
    **{("architecture", key): "number" for key in ("classes", "channels", "width", "dropout")},
    ("architecture", "name"): "text",
    ("architecture", "coset_pool"): "truth",
    **{("preprocessing", key): "list" for key in ("mean", "std")},
    **{("preprocessing", *key): "number" for key in (("size",), ("mean", 0), ("std", 0))},
    ("preprocessing", "resize"): "text",
    **{("input_size", side): "number" for side in (0, 1)},
    ("exactness", "exact"): "truth",
    ("exactness", "phi"): "list",
    ("exactness", "phi", 0): "number",
    **{("classes", index): "text" for index in (0, 3)},
    **{(part, key): "text" for part in ("weights", "golden") for key in ("file", "sha256")},
    ("weights", "parameters"): "number",
}
"""Places of config.json, and what must stand there."""


def forged(config: Any) -> bytes:
    """config.json with the hash that it should have, whatever is in it."""
    plain = {key: value for key, value in config.items() if key != "sha256"}
    digest = sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    return json.dumps(plain | {"sha256": digest}).encode()


def changed(config: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """A copy with one value replaced."""
    found = copy.deepcopy(config)
    inner = found
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return found


def _kind(value: Any) -> str:
    kinds = {bool: "truth", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return kinds.get(type(value), "null")


def _places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if at:
        yield at
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from _places(value[key], (*at, key))


def _at(config: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        config = config[key]
    return config


def _written(make: Callable[[Any], bytes]) -> Damage:
    return lambda folder: (folder / CONFIG).write_bytes(make(json.loads((folder / CONFIG).read_bytes())))


def wrong_kinds() -> Iterator[tuple[str, Damage]]:
    """At every place that is checked: values of another kind, under a hash that fits."""
    for number, (place, own) in enumerate(CHECKED.items()):
        other = [name for name in JUNK if name != own and not (own == "number" and name == "negative")]
        chosen = {name: JUNK[name] for name in random.Random(number).sample(other, 2)}
        chosen |= {"too large": TOO_LARGE} if own == "number" else {"no text": NO_TEXT} if own == "text" else {}
        for name, value in chosen.items():
            yield (
                f"sealed, {'.'.join(map(str, place))} is {name}",
                _written(lambda c, p=place, v=value: forged(changed(c, p, v))),
            )


def unsealed(count: int = 30) -> Iterator[tuple[str, Damage]]:
    """At any place: any value of another kind, under the hash of before."""

    def make(config: Any, seed: int) -> bytes:
        dice = random.Random(seed)
        place = dice.choice(list(_places(config)))
        other = [value for value in JUNK.values() if _kind(value) != _kind(_at(config, place))]
        return json.dumps(changed(config, place, dice.choice(other))).encode()

    for seed in range(count):
        yield f"unsealed {seed}", _written(lambda c, s=seed: make(c, s))


def removed() -> Iterator[tuple[str, Damage]]:
    """Without one of the entries, under a hash that fits."""
    for place in CHECKED:
        if isinstance(place[-1], int):
            continue

        def make(c: Any, p: tuple[str | int, ...] = place) -> bytes:
            inner = _at(c, p[:-1])
            del inner[p[-1]]
            return forged(c)

        if place != ("preprocessing", "resize"):  # which has a default
            yield f"sealed, no {'.'.join(map(str, place))}", _written(make)


def _nested(depth: int) -> bytes:
    return b'{"library_name": "symdata", "training": ' + b"[" * depth + b"]" * depth + b"}"


def harmful_configs() -> Iterator[tuple[str, Damage]]:
    """What somebody would write who wants a path followed, memory filled, or a reader fooled."""
    for part in ("weights", "golden"):
        for path in ("../x", "/etc/passwd", "a/b", "C:\\x", "model.safetensors\0.txt", "~/x", "", "MODEL.SAFETENSORS"):
            yield (
                f"{part} in {path!r}",
                _written(lambda c, p=part, f=path: forged(changed(c, (p, "file"), f))),
            )
    lies: dict[tuple[str | int, ...], Any] = {
        ("group",): "d4",
        ("input_size",): [10**6, 10**6],
        ("weights", "parameters"): 1,
        ("preprocessing", "mean"): [1e300],
        ("preprocessing", "std"): [1e-300],
        ("preprocessing", "size"): 4096,
        ("exactness", "phi"): [-1.0, 0.0],
        ("classes",): ["x"] * 100_000,
        ("name",): "x" * 10_000,
        ("format",): True,
    }
    for place, value in lies.items():
        said = f"{'.'.join(map(str, place))} = {str(value)[:30]}"
        yield said, _written(lambda c, p=place, v=value: forged(changed(c, p, v)))
    yield "ten million classes", _written(lambda c: forged(changed(c, ("classes",), ["c"] * 2_000_000)))
    yield "nested too deep for the parser", lambda folder: (folder / CONFIG).write_bytes(_nested(100_000))
    yield "a key twice", _written(lambda c: forged(c)[:-1] + b', "name": "other"}')
    yield "a number beyond every float", _written(lambda c: forged(c)[:-1] + b', "x": 1e999}')
    yield "in UTF-16", _written(lambda c: b"\xff\xfe" + forged(c).decode().encode("utf-16-le")[:-2])


def harmful_files() -> Iterator[tuple[str, Damage]]:
    """What is no file, or never ends."""

    def instead(name: str, make: Callable[[Path], object]) -> Damage:
        return lambda folder: ((folder / name).unlink(), make(folder / name))

    for name in (CONFIG, WEIGHTS, GOLDEN):
        yield f"{name} is a pipe", instead(name, os.mkfifo)
        yield f"{name} never ends", instead(name, lambda path: path.symlink_to("/dev/zero"))
        yield f"{name} is a link to itself", instead(name, lambda path: path.symlink_to(path.name))
        yield f"{name} is a link to nothing", instead(name, lambda path: path.symlink_to("nowhere"))


# Tensors


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows it."""
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header: bytes, body: bytes) -> bytes:
    """The inverse of `split`, for any header."""
    return struct.pack("<Q", len(header)) + header + body


def _tensors(name: str, make: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(make((folder / name).read_bytes()))
        rehash(folder, name)

    return damage


def _entry(name: str, key: str, value: Any) -> Damage:
    """A file whose header says something else of its first tensor."""

    def make(data: bytes) -> bytes:
        header, body = split(data)
        header[next(k for k in sorted(header) if k != "__metadata__")][key] = value
        return joined(json.dumps(header).encode(), body)

    return _tensors(name, make)


def lying_headers() -> Iterator[tuple[str, Damage]]:
    """Files under a hash that fits, whose header does not fit their bytes."""
    lies: list[tuple[str, Any]] = [
        *[("dtype", d) for d in ("BF16", "I64", "F64", "F8_E4M3", "F4", "C64", "U32", "X", 5)],
        *[("shape", s) for s in ([], [-1], [2**62], [2**32, 2**32], [1] * 2000, [1.5], "x")],
        *[("data_offsets", o) for o in ([0, 0], [0, 10**18], [4, 0], [-4, 0], [0, 2**64], [2**63, 2**63 + 4], [0])],
    ]
    for name in (WEIGHTS, GOLDEN):
        for key, value in lies:
            yield f"{name}, {key} is {str(value)[:30]}", _entry(name, key, value)

        def overlap(data: bytes) -> bytes:
            header, body = split(data)
            first, second = [k for k in sorted(header) if k != "__metadata__"][:2]
            header[first] = header[second]
            return joined(json.dumps(header).encode(), body)

        def twice(data: bytes) -> bytes:
            header, body = split(data)
            key = next(k for k in header if k != "__metadata__")
            again = f", {json.dumps(key)}: {json.dumps(header[key])}}}"
            return joined((json.dumps(header)[:-1] + again).encode(), body)

        def renamed(data: bytes) -> bytes:
            header, body = split(data)
            header["x\n" * 40_000] = header.pop(next(k for k in header if k != "__metadata__"))
            return joined(json.dumps(header).encode(), body)

        whole: dict[str, Callable[[bytes], bytes]] = {
            "tensors that overlap": overlap,
            "a tensor twice": twice,
            "a key of many lines": renamed,
            "a header without end": lambda data: struct.pack("<Q", 2**63) + data[8:],
            "a header of nothing": lambda data: struct.pack("<Q", 0) + data[8:],
            "a header nested deep": lambda data: joined(b'{"a":' * 10_000, split(data)[1]),
            "a header that is a list": lambda data: joined(b"[]", split(data)[1]),
            "bytes that nobody names": lambda data: data + bytes(64),
        }
        yield from ((f"{name}, {said}", _tensors(name, make)) for said, make in whole.items())


def cut_and_flipped() -> Iterator[tuple[str, Damage]]:
    """Files under a hash that fits, cut short at any place, or with a byte of their header inverted."""
    for name in (WEIGHTS, GOLDEN):
        dice = random.Random(name)
        for share in (0.0, 0.0007, *(dice.random() for _ in range(6))):
            yield f"{name} cut to {share:.2%}", _tensors(name, lambda data, s=share: data[: int(s * len(data))])
        for byte in dice.sample(range(9, 120), 6):
            said = f"{name}, byte {byte} inverted"
            yield said, _tensors(name, lambda data, b=byte: data[:b] + bytes([data[b] ^ 0xFF]) + data[b + 1 :])


def other_numbers() -> Iterator[tuple[str, Damage]]:
    """Whole files with numbers that no network has, or tensors of another shape."""

    def of(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Damage:
        return lambda folder: (
            (folder / name).write_bytes(
                save({key: change(value).contiguous() for key, value in load_file(folder / name).items()})
            ),
            rehash(folder, name),
        )

    for name in (WEIGHTS, GOLDEN):
        for value in (float("nan"), float("inf"), float("-inf"), 3e38, 0.0):
            yield f"{name} all {value}", of(name, lambda t, v=value: torch.full_like(t, v))
        yield f"{name} in bfloat16", of(name, lambda t: t.bfloat16())
        yield f"{name} in float8", of(name, lambda t: t.to(torch.float8_e4m3fn))
        yield f"{name} in int64", of(name, lambda t: t.long())
        yield f"{name} with an axis more", of(name, lambda t: t[None])
        yield f"{name} reversed", of(name, lambda t: t.flatten().flip(0).view(t.shape))
