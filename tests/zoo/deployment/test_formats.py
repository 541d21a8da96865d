"""Files that run without this project give the logits of the model, in batches of any size."""

import json

import pytest
import torch

import zoo
from tests.support.commands import run
from tests.support.exporting import exports
from tests.support.steerable import require_escnn
from zoo.deployment import formats
from zoo.errors import ModelError
from zoo.files import bundled
from zoo.models.registry import create, export
from zoo.preprocessing import Preprocessing

pytestmark = exports
FRESH = {
    "p4mcnn_12": {"width": 4},
    "p4cnn_12": {"width": 4, "relax": "residual"},
    "p4resnet44_9": {"width": 2},
    "gcp4resnet18_9": {"width": 2},
}
COMMON = ("p4cnn_28.mnist-none", "z2cnn_28.updown45-augerino", "p4cnn_12")
"""Tried in every run; the others with -m exhaustive."""


def listed(names):
    return [pytest.param(name, marks=() if name in COMMON else pytest.mark.exhaustive) for name in names]


def run_onnx(file, images):
    session = pytest.importorskip("onnxruntime").InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def run_pt2(file, images):
    return torch.export.load(file).module()(images)


RUN = {"onnx": run_onnx, "pt2": run_pt2}


def check(model, kind, folder):
    """Write the file, and compare its answers to other images, in batches of other sizes, with those of the model."""
    if kind == "onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    made = zoo.export_pipeline(model, folder / f"model.{kind}")
    assert made.format == kind and made.error <= formats.TOLERANCE
    whole, known = zoo.pipeline(model), zoo.pipeline(model).preprocessing
    for count in (1, 7):
        images = torch.randint(0, 256, (count, known.channels, known.size, known.size), dtype=torch.uint8)
        with torch.no_grad():
            wanted = whole(images)
        found, other = RUN[kind](made.file, images), RUN[kind](made.file, 255 - images)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))
        assert not torch.equal(other, found), "negative control: it reads its images"


@pytest.mark.parametrize("kind", RUN)
@pytest.mark.parametrize("name", listed(bundled()))
def test_bundled_networks(name, kind, tmp_path):
    check(name, kind, tmp_path)


@pytest.mark.parametrize("kind", RUN)
@pytest.mark.parametrize("name", listed(FRESH))
def test_fresh_networks(name, kind, tmp_path):
    model = create(name, seed=0, **FRESH[name]).eval()
    model.preprocessing = Preprocessing(int(name.split("_")[1]), (0.5,) * 3, (0.25,) * 3)
    check(model, kind, tmp_path)


@pytest.mark.exhaustive
def test_steerable_networks(tmp_path):
    require_escnn()
    model = export(create("c8cnn_12", seed=0, width=2).eval())
    model.preprocessing = Preprocessing(12, (0.5,) * 3, (0.25,) * 3)
    check(model, "onnx", tmp_path)


def test_the_command_and_the_library_say_the_same(tmp_path):
    out = tmp_path / "digits.bin"
    told = run("export", "z2cnn_28.mnist-none", "--to", "pt2", "--out", out, "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == zoo.export_pipeline("z2cnn_28.mnist-none", out, to="pt2").to_dict()
    assert [path.name for path in tmp_path.iterdir()] == ["digits.bin"]


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ModelError, match="name one of onnx, pt2"):
        zoo.export_pipeline("z2cnn_28.mnist-none", tmp_path / "model.tflite")


def test_a_file_with_other_logits_is_not_written(tmp_path, monkeypatch):
    def wrong(program, whole):
        data, run = formats._pt2(program, whole)
        return data, lambda images: run(images) * (1 + 1e-4)

    monkeypatch.setitem(formats.FORMATS, "pt2", wrong)
    with pytest.raises(ModelError, match="differ from those of"):
        zoo.export_pipeline("z2cnn_28.mnist-none", tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_a_network_that_decides_by_its_images_is_refused_in_a_sentence(tmp_path):
    class Deciding(torch.nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :2] if x.sum() > 0 else x.flatten(1)[:, 2:4]

    model = Deciding()
    model.preprocessing = Preprocessing(8, (0.5,), (0.5,))
    with pytest.raises(ModelError, match="cannot be exported to pt2"):
        zoo.export_pipeline(model, tmp_path / "model.pt2")
