"""`arch=` names the code of a network of one's own, wherever a function takes a model by its reference."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch

import zoo
from symdata.errors import SourceError
from tests.support.checkpoints import save
from tests.support.commands import run
from tests.support.images import write_folder
from tests.support.own_networks import own_networks
from tests.support.training import dataset
from zoo import ModelError
from zoo.errors import CodeNeededError
from zoo.models.own import OwnArchitecture
from zoo.references.evaluating import images_for

FEW = {"angles": 2, "probe": 0, "limit": 4}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with mynet.py and two models: `mine` of its class Net, and `plain` of the zoo."""
    with own_networks(tmp_path, monkeypatch) as place:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            from mynet import Net

            save(place / "mine", Net(), own=OwnArchitecture("Net", "mynet:Net"), name="mine")
        save(place / "plain", name="plain")
        yield place


def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (4, 1, 20, 20), generator=generator).byte(), [0, 1, 2, 3]


USES = {
    "evaluate": lambda ref, **arch: zoo.evaluate(ref, images(), **FEW, **arch).to_dict(),
    "predict": lambda ref, **arch: zoo.predict(ref, images()[0], **arch).to_dict(),
    "pipeline": lambda ref, **arch: zoo.pipeline(ref, **arch)(images()[0]).tolist(),
    "export_pipeline": lambda ref, **arch: zoo.export_pipeline(ref, "net.pt2", **arch).error < 1e-5,
    "cost": lambda ref, **arch: zoo.cost(ref, **arch).to_dict(),
    "report": lambda ref, **arch: zoo.report(ref, images(), measured=0, films=0, angles=0, **arch).to_dict(),
    "open_model": lambda ref, **arch: zoo.open_model(ref, **arch).classes,
}


@pytest.mark.parametrize("use", USES)
def test_the_code_in_words_or_as_it_is_gives_what_the_loaded_module_gives(here, use):
    from mynet import Net

    with pytest.raises(CodeNeededError, match="--arch mynet:Net"):
        USES[use]("mine")
    found = USES[use]("mine", arch="mynet:Net")
    assert found == USES[use](Path("mine"), arch=Net) == USES[use]("mine", arch=Net())
    if use != "open_model":
        assert found == USES[use](zoo.load("mine", arch="mynet:Net"))
    if use == "report":  # of several models; the code is for those that need it
        assert USES[use]("plain", arch="mynet:Net") == USES[use]("plain")
    else:
        with pytest.raises(ModelError, match="leave out the code"):
            USES[use]("plain", arch="mynet:Net")


def test_code_beside_a_module_is_refused(here):
    model = zoo.load("plain")
    for use in ("evaluate", "predict", "pipeline", "cost"):
        with pytest.raises(ModelError, match=r"a P4CNN was given; leave arch out|a \w+ was given; leave arch out"):
            USES[use](model, arch="mynet:Net")


def test_of_several_models_the_code_is_for_those_that_need_it(here):
    found = zoo.report(["plain", "mine"], images(), arch="mynet:Net", measured=0, films=0, angles=0)
    assert [entry.report.name for entry in found.entries] == ["plain", "mine"]
    with pytest.raises(ModelError, match="differ by their seed alone"):
        zoo.compare(["plain", "mine"], images(), arch="mynet:Net", **FEW | {"probe": 0})
    with pytest.raises(CodeNeededError):
        zoo.compare(["plain", "mine"], images(), **FEW | {"probe": 0})


def test_weights_alone_and_a_callable(here):
    from mynet import Net

    opened = zoo.open_model("mine/model.safetensors", arch=Net, size=20, mean=0.13, std=0.31)
    wanted = zoo.load("mine", arch=Net)
    assert opened.name == "model" and opened.trained
    assert torch.equal(opened.model(torch.ones(1, 1, 20, 20)), wanted(torch.ones(1, 1, 20, 20)))
    with pytest.raises(ModelError, match="two models were given, 'p4cnn_20' and --arch mynet:Net; leave one"):
        zoo.open_model("p4cnn_20", weights="mine/model.safetensors", arch=Net)


def test_a_loaded_network_of_ones_own_predicts_as_those_of_the_zoo_do(here):
    model = zoo.load("mine", arch="mynet:Net")
    found = model.predict(images()[0])
    assert found.classes == ("a", "b", "c", "d") and len(found.labels) == 4
    with torch.no_grad():
        wanted = model(model.preprocessing(images()[0])).softmax(1)
    assert torch.equal(found.probabilities, wanted)
    assert found.to_dict() == zoo.predict("mine", images()[0], arch="mynet:Net").to_dict()
    twin = deepcopy(model)
    with torch.no_grad():
        twin.head.bias.zero_()[3] = 100
    assert set(twin.predict(images()[0]).labels) == {"d"} != set(found.labels), "a copy answers for itself"
    assert model.predict(images()[0]).to_dict() == found.to_dict()


def test_a_method_of_that_name_is_left_alone(here):
    from mynet import Net

    class Ours(Net):
        def predict(self):
            return "ours"

    assert zoo.load("mine", arch=Ours).predict() == "ours"


def test_bad_images_of_a_source_are_left_out_from_python_too(here):
    root = write_folder(here / "pets", per_class=8, side=20)
    (root / "cat" / "3.png").write_text("not an image")
    net = zoo.create("z2cnn_20", num_classes=2, in_chans=3)
    model = zoo.OpenedModel(net.eval(), zoo.Preprocessing(20, (0.5,) * 3, (0.5,) * 3), classes=("cat", "dog"))
    some = {"split": "train", "angles": 0, "probe": 0}
    with pytest.raises(SourceError, match="cannot be used"):
        zoo.evaluate(model, "pets", **some)
    report = zoo.evaluate(model, "pets", skip_bad=1, **some)
    assert report.count == 15 and "left out: cat/3.png" in str(report)
    page = zoo.report(model, "pets", split="train", skip_bad=1, angles=0, measured=0, films=0)
    assert page.entries[0].report.count == 15
    assert len(images_for(model, "pets", split="train", skip_bad=1, limit=3)) == 3
    with pytest.raises(TypeError, match="skip_worst"):
        zoo.evaluate(model, "pets", skip_worst=1)


def test_what_a_training_of_several_seeds_returned_knows_its_code(here):
    dataset(here / "data", count=32)
    some = {"epochs": 1, "batch_size": 16}
    own = zoo.train("mynet:build", "data", seeds=2, out="own", **some)
    assert str(own).splitlines()[-1].endswith("symdata report own-s0 own-s1 --data data --arch mynet:build")
    plain = zoo.train("z2cnn_12", "data", seeds=2, out="plain", width=2, **some)
    found = zoo.compare([own, plain], "data", angles=0)
    assert [len(group.seeds) for group in found.groups] == [2, 2] and len(found.pairs) > 0
    page = zoo.report([own, plain.runs[0]], "data", angles=0, measured=0, films=0, limit=4)
    assert len(page.entries) == 3
    from mynet import build

    given = zoo.train(build(4), "data", seeds=2, out="given", **some)
    assert str(given).splitlines()[-1].endswith("zoo.compare([result], 'data')")


def test_code_is_made_for_the_channels_that_are_asked_for(here):
    assert zoo.open_model("mynet:channels", in_chans=3).model[0].in_channels == 3
    assert zoo.open_model("mynet:channels").model[0].in_channels == 1
    result = run("audit", "mynet:channels", "--size", 12, "--channels", 3)
    assert result.exit_code == 0 and "at 12x12" in result.output
