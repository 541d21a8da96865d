"""Models of timm, with random weights: their input is what timm's own transform makes, and audits download nothing."""

import pytest
import torch
from PIL import Image

from tests.support import checkpoints
from tests.support.commands import refused, run
from zoo import ModelError, Preprocessing, open_model

timm = pytest.importorskip("timm", reason="pip install 'symdata[timm]'")
here = checkpoints.here


@pytest.mark.parametrize("name", ["resnet18", "test_vit", "levit_128s", "inception_v3", "eva02_tiny_patch14_336"])
def test_the_input_is_that_of_its_transform(name):
    opened = open_model(f"timm:{name},pretrained=no")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(opened.model), is_training=False)
    image = torch.randint(0, 256, (1, 3, 90, 70), generator=torch.Generator().manual_seed(0)).byte()
    theirs = transform(Image.fromarray(image[0].permute(1, 2, 0).numpy()))
    assert torch.allclose(opened.preprocessing(image)[0], theirs, atol=1e-5) and not opened.trained
    known = opened.preprocessing
    squashed = Preprocessing(known.size, known.mean, known.std)(image)
    assert (squashed[0] - theirs).abs().max() > 0.3  # the negative control: without its crop


def test_an_audit_downloads_no_weights(monkeypatch):
    def offline(*arguments, **options):
        raise AssertionError("weights were asked for")

    monkeypatch.setattr(timm.models._builder, "load_pretrained", offline)
    said = run("audit", "timm:resnet18")
    assert said.exit_code == 0 and "timm:resnet18: approximate: at 224x224 conv1" in said.output
    with pytest.raises(ModelError, match="weights were asked for"):
        open_model("timm:resnet18")


def test_a_new_classifier_is_not_trained(here):
    said = run(
        "evaluate", "timm:resnet18,pretrained=no,num_classes=10", "--data", "glyphs:digits", "--limit", "4",
        "--angles", "0", "--elements", "c2",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    assert "has 1000 outputs and there are 10 classes" in refused(
        "evaluate", "timm:resnet18,pretrained=no", "--data", "glyphs:digits", "--limit", "4"
    )
    assert "num_classes is 'ten', expected a number" in refused("audit", "timm:resnet18,num_classes=ten")
