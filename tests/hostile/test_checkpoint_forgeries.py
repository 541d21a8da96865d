"""Tensor files that were cut, swapped, damaged or are pickles: each is refused in a sentence, and none is loaded."""

import os
import pickle
import random
import struct
import time
import zipfile

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import checkpoints
from tests.support.checkpoints import edit, golden, refused, rehash
from zoo.checkpoint.folder import read_checkpoint
from zoo.checkpoint.tensors import read_tensors
from zoo.errors import ModelError

TENSORS = ("model.safetensors", "golden.safetensors")


whole, folder = checkpoints.whole, checkpoints.folder


def test_the_folder_itself_is_read(folder):
    """The negative control: what is refused below is refused for its change."""
    read_checkpoint(folder)
    edit(folder, lambda config: None)
    read_checkpoint(folder)


# Tensors


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("seed", range(15))
def test_a_bit_flipped_anywhere(folder, name, seed):
    data = bytearray((folder / name).read_bytes())
    where = random.Random(seed).randrange(len(data))
    data[where] ^= 1 << random.Random(seed).randrange(8)
    (folder / name).write_bytes(data)
    assert name in refused(folder, r"was changed or damaged: its sha256 is \w{64}, expected \w{64}; get the file again")


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.999])
def test_a_file_cut_short(folder, name, share):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(len(data) * share)])
    refused(folder, "was changed or damaged")


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("seed", range(15))
def test_damage_under_a_hash_that_fits_it(folder, name, seed):
    """A hash in the config does not make a file sound: what parses differs from the golden logits, or does not fit."""
    data, dice = bytearray((folder / name).read_bytes()), random.Random(seed)
    for _ in range(4):
        data[dice.randrange(min(len(data), 200))] = dice.randrange(256)
    (folder / name).write_bytes(data)
    rehash(folder, name)
    refused(folder)


def other(folder, change, name: str = "model.safetensors") -> None:
    """Tensors changed by somebody who mends the hashes."""
    tensors = safetensors.torch.load_file(folder / name)
    safetensors.torch.save_file(change(tensors), folder / name)
    rehash(folder, name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "head.bias"}, "does not fit CNN: missing head.bias; give"),
        (lambda t: t | {"extra": torch.zeros(1)}, "does not fit CNN: unexpected extra"),
        (lambda t: t | {"head.bias": torch.zeros(5)}, r"head.bias is float32 \(5,\), expected float32 \(4,\)"),
        (lambda t: {k: v.half() for k, v in t.items()}, r"is float16 .*, expected float32 .* convert them"),
        (lambda t: t | {"head.bias": t["head.bias"] + 1}, "does not give the logits that .*golden.safetensors' holds"),
        (lambda t: t | {"head.bias": t["head.bias"] * float("nan")}, "does not give the logits"),
        (lambda t: {"module." + k: v for k, v in t.items()}, "every key of the file begins with 'module.'"),
    ],
)
def test_other_weights(folder, change, sentence):
    other(folder, change)
    refused(folder, sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: {}, "holds , expected float32 images"),
        (lambda t: {"images": t["images"]}, "expected float32 images"),
        (lambda t: t | {"images": golden(size=22)}, r"holds .*images \(8, 1, 22, 22\).*, expected"),
        (lambda t: t | {"images": golden(5)}, "expected float32 images"),
        (lambda t: {k: v[:0] for k, v in t.items()}, "expected float32 images"),
        (lambda t: {k: v.double() for k, v in t.items()}, "expected float32 images"),
        (lambda t: t | {"logits": torch.tensor(1.0)}, "expected float32 images"),
        (lambda t: t | {"logits": t["logits"] * 1.001}, "does not give the logits"),
        (lambda t: t | {"images": 3 * t["images"] + 1}, "does not give the logits"),
        (lambda t: t | {"images": t["images"] * float("inf")}, "does not give the logits"),
    ],
)
def test_other_golden_logits(folder, change, sentence):
    other(folder, change, "golden.safetensors")
    refused(folder, sentence)


def test_a_missing_file(folder):
    for name in TENSORS:
        (folder / name).rename(folder / "away")
        refused(folder, rf"there is no file '.*{name}'; expected weights as safetensors")
        (folder / "away").rename(folder / name)


def test_a_folder_in_the_place_of_a_file(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()
    refused(folder, "cannot read .*: Is a directory")


def test_a_file_that_is_far_too_large(folder):
    os.truncate(folder / "model.safetensors", 10**12)  # sparse: it takes no space, and must not be read
    start = time.monotonic()
    refused(folder, "has 1,000,000,000,000 bytes and the tensors it should hold have")
    assert time.monotonic() - start < 1
    os.truncate(folder / "model.safetensors", 0)  # other tests may look at everything that is there


# Pickles


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.mark.parametrize("kind", ["pickle", "torch", "legacy", "zip", "gzip"])
def test_a_pickle_by_another_name(folder, kind, monkeypatch):
    monkeypatch.chdir(folder)
    path = folder / "model.safetensors"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Evil()))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.pkl", pickle.dumps(Evil()))
    elif kind == "gzip":
        path.write_bytes(b"\x1f\x8b" + bytes(50))
    else:
        torch.save({"x": Evil()}, path, _use_new_zipfile_serialization=kind == "torch")
    assert "model.safetensors" in refused(folder, "is a pickle, which may run code when it is opened, and is refused")
    rehash(folder, "model.safetensors")
    refused(folder, "is a pickle, which may run code")
    assert not (folder / "evil").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.ckpt", "w.pkl"])
def test_a_pickle_by_its_name(tmp_path, name):
    torch.save({}, tmp_path / name)
    with pytest.raises(ModelError, match=r"is a pickle, .* convert it: python -c .*weights_only=True"):
        read_tensors(tmp_path / name)


def test_a_header_of_a_length_that_looks_like_a_pickle(tmp_path):
    """Its first byte is that of a pickle, and it is none."""
    for extra in range(200):
        safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors", {"pad": "x" * extra})
        if (tmp_path / "x.safetensors").read_bytes()[0] == 0x80:
            break
    assert (tmp_path / "x.safetensors").read_bytes()[0] == 0x80
    assert read_tensors(tmp_path / "x.safetensors")["x"].shape == (1,)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=200)
def test_no_bytes_end_in_a_traceback(tmp_path_factory, data, framed):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(struct.pack("<Q", len(data)) + data if framed else data)
    try:
        read_tensors(path)
    except ModelError:
        return
