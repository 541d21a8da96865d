"""Whatever the bytes of a file are, opening it gives a source or a SourceError in one line."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symdata.errors import SourceError
from symdata.sources import open_source
from tests.support.images import encoded, noise

PIXELS, LABELS = noise(4, 5, 5), np.array([0, 1, 0, 1])


def npz() -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, images=PIXELS, labels=LABELS)
    return out.getvalue()


def npy() -> bytes:
    out = io.BytesIO()
    np.save(out, PIXELS)
    return out.getvalue()


def csv() -> bytes:
    return b'path,label,split\r\n0.png,a,train\r\n1.png,"b ""c""",test\r\n2.png,a,val\r\n'


def jsonl() -> bytes:
    return b"\n".join(json.dumps({"image": f"{k}.png", "label": k, "x": [k, None, {}]}).encode() for k in range(4))


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as shard:
        for k, image in enumerate(PIXELS):
            for name, content in ((f"{k}.png", encoded(image)), (f"{k}.json", b'{"label": %d, "a": "\\u00e9"}' % k)):
                info = tarfile.TarInfo("\u00e9" * 60 + name)  # a name that needs an extended header
                info.size = len(content)
                shard.addfile(info, io.BytesIO(content))
    return out.getvalue()


FILES: dict[str, Callable[[], bytes]] = {"a.npz": npz, "x.npy": npy, "a.csv": csv, "a.jsonl": jsonl, "a.tar": tar}


@pytest.fixture(params=FILES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for k, image in enumerate(PIXELS):
        (tmp_path / f"{k}.png").write_bytes(encoded(image))
    if request.param == "x.npy":
        (tmp_path / "pair").mkdir()
        np.save(tmp_path / "pair" / "y.npy", LABELS)
        return tmp_path / "pair" / "x.npy"
    return tmp_path / str(request.param)


@st.composite
def damages(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes of a file after a cut, some wrong bytes, or a piece put elsewhere; or any bytes at all."""
    kind = draw(st.sampled_from(["cut", "flip", "move", "any"]))
    if kind == "any":
        return draw(st.binary(max_size=600))
    a, b = sorted((draw(st.integers(0, len(whole) - 1)), draw(st.integers(0, len(whole) - 1))))
    if kind == "cut":
        return whole[:a]
    if kind == "move":
        return whole[:a] + whole[b : b + 512] + whole[a:]
    found = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        found[draw(st.integers(0, len(whole) - 1))] = draw(st.integers(0, 255))
    return bytes(found)


def refusal(path: Path) -> str | None:
    """The sentence for a file, or None if all of its images can be read."""
    place = path.parent if path.suffix == ".npy" else path
    try:
        source = open_source(str(place), size=5)
        for split, count in source.splits.items():
            source.read(split, np.arange(count))
    except SourceError as error:
        return str(error)
    return None


def test_the_whole_file_opens(path: Path) -> None:
    path.write_bytes(FILES[path.name]())
    assert refusal(path) is None


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_give_one_sentence(path: Path, data: st.DataObject) -> None:
    path.write_bytes(data.draw(damages(FILES[path.name]())))
    said = refusal(path)
    assert said is None or ("\n" not in said and len(said) < 1500)
