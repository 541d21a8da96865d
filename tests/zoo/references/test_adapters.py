"""Classifiers of transformers, built here from their configurations: never seen before, and measured like our own."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from symdata.installation.hints import install_line
from tests.conftest import ROOT
from tests.support import checkpoints
from tests.support.commands import refused, run
from tests.support.exporting import exports
from zoo import ModelError, Preprocessing, audit, export_pipeline, open_model, pipeline
from zoo.evaluation.images import open_images
from zoo.references.adapters import adapt

transformers = pytest.importorskip("transformers", reason="pip install 'symdata[transformers]'")
pytest_plugins = ["tests.support.hub_fixture"]
here = checkpoints.here
CLASSES = {i: str(i) for i in range(10)}


def save(folder, kind: str):
    """A small model with random weights in the format of its library; returns the model."""
    torch.manual_seed(0)
    common = {"id2label": CLASSES, "label2id": {name: i for i, name in CLASSES.items()}}
    four = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    if kind == "resnet":
        config = transformers.ResNetConfig(embedding_size=8, layer_type="basic", **four, **common)
        model = transformers.ResNetForImageClassification(config)
        processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 65}, crop_pct=0.875)
    elif kind == "convnext":
        model = transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**four, **common))
        processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 32}, resample=3)
    else:
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
        config = transformers.ViTConfig(image_size=32, patch_size=8, **sizes, **common)
        model = transformers.ViTForImageClassification(config)
        processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32})
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


@pytest.mark.parametrize(("kind", "size"), [("resnet", 65), ("convnext", 32), ("vit", 32)])
def test_logits_are_those_of_the_library(here, kind, size):
    model, processor = save(here / "m", kind)
    opened = open_model("hf:m")
    assert opened.trained and opened.size == size and opened.classes == tuple(CLASSES.values())
    images = torch.randint(0, 256, (3, 3, 70, 70), generator=torch.Generator().manual_seed(1)).byte()
    theirs = processor(images=list(images.permute(0, 2, 3, 1).numpy()), return_tensors="pt")["pixel_values"]
    ours = opened.preprocessing(images)
    # Theirs may keep fractions of a gray level after resizing; we hand on bytes, as everywhere.
    assert ours.shape == theirs.shape and (ours - theirs).abs().max() <= 0.51 / 255 / 0.5
    with torch.no_grad():
        wanted = model(pixel_values=ours).logits
        assert torch.equal(opened.model(ours), wanted)


def test_a_gray_image_is_repeated(here):
    save(here / "m", "vit")
    preprocessing = adapt("hf:m").preprocessing
    gray = torch.randint(0, 256, (2, 1, 40, 40)).byte()
    assert torch.equal(preprocessing(gray), preprocessing(gray.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("kind", ["resnet", "convnext", "vit"])
def test_the_commands_take_them(here, kind):
    save(here / "m", kind)
    data = ("--data", "glyphs:digits", "--limit", "12", "--angles", "2", "--elements", "c2", "--json")
    result = run("evaluate", "hf:m", *data)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["classes"]) == 10
    said = run("audit", "hf:m", "--size", "33" if kind == "resnet" else "32")
    assert said.exit_code == 0, said.output


def test_where_a_resnet_of_transformers_is_exact(here):
    """A ResNet's strides: 32 n + 1 is exact and 64 is not, also in this library."""
    save(here / "m", "resnet")
    model = open_model("hf:m").model
    assert not audit(model, 64, in_chans=3).exact
    assert audit(model, 65, in_chans=3).phi == (0, 0)


def test_what_is_refused(here, monkeypatch):
    save(here / "m", "vit")
    assert "names no model; write hf:user/model" in refused("evaluate", "hf:", "--data", "glyphs")
    assert "'nothing' is not the name of a repository" in refused("evaluate", "hf:nothing", "--data", "glyphs")
    with monkeypatch.context() as patch:
        patch.setattr("zoo.references.adapters.find_spec", lambda library: None)
        said = refused("evaluate", "timm:resnet18", "--data", "glyphs")
    assert f"'timm:resnet18' needs timm, which is not installed: {install_line('timm')}" in said
    fields = json.loads((here / "m/preprocessor_config.json").read_text())
    (here / "m/preprocessor_config.json").write_text(json.dumps(fields | {"size": {"height": 32, "width": 40}}))
    with pytest.raises(ModelError, match=r"hf:m: its processor makes images 32x40 \(ViT.*size=.*, expected squares"):
        open_model("hf:m")
    (here / "m/preprocessor_config.json").write_text(json.dumps(fields | {"do_resize": False}))
    with pytest.raises(ModelError, match=r"\(ViT.*do_resize=False\), expected one size; save one with do_resize=True"):
        open_model("hf:m")
    (here / "m/preprocessor_config.json").write_text(json.dumps(fields))
    assert "processor makes 32x32 pixels and the size is 64" in refused(
        "evaluate", "hf:m", "--size", "64", "--data", "glyphs:digits", "--limit", "2"
    )
    with pytest.raises(ModelError, match="pretrained is 'maybe', expected yes or no"):
        open_model("hf:m,pretrained=maybe")


def test_without_its_weights_a_model_is_random_and_always_the_same(here):
    save(here / "m", "vit")
    trained, one, other = (open_model(ref) for ref in ("hf:m", "hf:m,pretrained=no", "hf:m,pretrained=no"))
    (here / "m/model.safetensors").unlink()
    bare = open_model("hf:m", pretrained=False)
    images = torch.rand(2, 3, 32, 32)
    assert trained.trained and not one.trained and not bare.trained
    assert one.model(images).equal(other.model(images)) and one.model(images).equal(bare.model(images))
    assert not one.model(images).equal(trained.model(images))
    assert all(bool((parameter != 0).all()) for parameter in bare.model.parameters() if parameter.numel() < 1000)
    assert run("audit", "hf:m").exit_code == 0
    assert "'hf:m' cannot be opened" in refused("evaluate", "hf:m", "--data", "glyphs")


def test_images_of_several_sizes_come_to_the_processor_as_they_are(here):
    """Not squashed to the size of the model first, as our own models have them."""
    _, processor = save(here / "m", "resnet")  # a processor that crops
    generator, pictures = np.random.default_rng(0), []
    for k in range(10):
        size = [(90, 70), (70, 120), (100, 100), (66, 80)][k % 4]
        picture = Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8))
        (here / f"data/test/{k}").mkdir(parents=True)
        picture.save(here / f"data/test/{k}/picture.png")
        pictures.append(picture)
    opened = open_model("hf:m")
    images = open_images("data", "test", opened.require_preprocessing())
    theirs = processor(images=pictures, return_tensors="pt")["pixel_values"]
    assert (images.preprocessing(opened)(images.images) - theirs).abs().max() < 1e-5
    squashed = Preprocessing(65, opened.preprocessing.mean, opened.preprocessing.std)
    plain = open_images("data", "test", squashed)
    assert (squashed(plain.images) - theirs).abs().max() > 0.5  # negative control
    with pytest.raises(ModelError, match="were resized for another model than 'hf:m'; open them again"):
        images.preprocessing(open_model("hf:m"))
    assert run("evaluate", "hf:m", "--data", "data", "--angles", "0").exit_code == 0


@exports
def test_a_pipeline_uses_the_processor_and_a_file_needs_none(here):
    _, processor = save(here / "m", "vit")
    whole = pipeline("hf:m")
    images = torch.randint(0, 256, (2, 3, 50, 50), generator=torch.Generator().manual_seed(0)).byte()
    theirs = processor(images=list(images.permute(0, 2, 3, 1).numpy()), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        wanted = whole.network(theirs)
        assert torch.allclose(whole(images), wanted, atol=1e-5) and torch.allclose(
            whole(images / 255), wanted, atol=1e-5
        )
    assert export_pipeline("hf:m", "vit.pt2").error < 1e-5
    save(here / "r", "resnet")
    with pytest.raises(ModelError, match="its image processor changes images of 65x65 pixels too"):
        export_pipeline("hf:r", "resnet.pt2")


def test_a_folder_without_a_processor(here):
    save(here / "m", "vit")
    (here / "m/preprocessor_config.json").unlink()
    said = refused("evaluate", "hf:m", "--data", "glyphs")
    assert "hf:m has no preprocessor_config.json" in said and "processor.save_pretrained('m')" in said
    assert "huggingface.co" not in said


def test_the_processor_without_torchvision_says_nothing(here):
    code = """
        from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
        vit = ViTForImageClassification(ViTConfig(image_size=28, patch_size=7, num_labels=10, **sizes))
        vit.save_pretrained("vit")
        ViTImageProcessorPil(size={"height": 28, "width": 28}).save_pretrained("vit")
        from zoo import open_model
        assert open_model("hf:vit").size == 28
    """
    path = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    ran = subprocess.run(command, cwd=here, env=os.environ | path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "torchvision" not in ran.stderr


def test_a_pickle_is_not_opened(here):
    save(here / "m", "vit")
    tensors = load_file(here / "m/model.safetensors")
    (here / "m/model.safetensors").unlink()
    torch.save(tensors, here / "m/pytorch_model.bin")
    assert "'hf:m' cannot be opened" in refused("audit", "hf:m", "--size", "32", "--measure")
    save_file(tensors, here / "m/model.safetensors", metadata={"format": "pt"})
    assert np.isfinite(float(open_model("hf:m").model(torch.zeros(1, 3, 32, 32)).sum().detach()))


def test_from_the_hub(hub, here):
    save(here / "m", "vit")
    hub.api().create_repo("user/vit")
    hub.api().upload_folder(repo_id="user/vit", folder_path=here / "m")
    hub.api().upload_file(path_or_fileobj=b"raise SystemExit", path_in_repo="modeling.py", repo_id="user/vit")
    hub.requests.clear()
    there, local = open_model("hf:user/vit").model, open_model("hf:m").model
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(there(images), local(images))
    assert not [call for call in hub.requests if "modeling.py" in call.path]
    assert "no repository 'user/nothing' on the Hub" in refused("audit", "hf:user/nothing", "--size", "32")
