"""Networks of one's own in the trainer, from Python: any module, what it has to be, and what its folder holds."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import symdata
import zoo
from tests.support.own_networks import own_networks
from tests.support.training import dataset, lines, weights
from zoo.errors import CodeNeededError, ModelError
from zoo.training import TrainConfig, prepare, read_recipe
from zoo.training.own_network import check_processes
from zoo.training.recipe import recipe_text

QUICK = {"epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("own") / "data", count=48)


@pytest.fixture
def here(tmp_path, monkeypatch, made):
    (tmp_path / "data").symlink_to(made)
    with own_networks(tmp_path, monkeypatch) as place:
        yield place


def plan(model, **changes):
    return prepare(TrainConfig(data="data", model=model, **QUICK | changes))


def refused(match, model, **changes):
    with pytest.raises(ModelError, match=match) as caught:
        plan(f"mynet:{model}", **changes)
    assert "\n" not in str(caught.value)


def test_one_call_trains_a_network_by_its_words(here):
    result = zoo.train("mynet:build", "data", out="run", **QUICK)
    assert (result.folder, result.arch) == (Path("run"), "mynet:build")
    config = zoo.info(result)
    assert config["architecture"] == {"form": "own", "class_name": "Sequential", "code": "mynet:build"}
    assert config["name"] == "mynet-build.glyphs-none" and config["group"] == "c1" and not config["exactness"]["tied"]
    assert config["training"]["command"].startswith("symdata train data --model mynet:build --epochs 2")
    assert result.model.preprocessing.size == 12 and result.model.classes == ("O", "X", "A", "F")
    assert not result.model.training and str(result).splitlines()[-1].endswith("--arch mynet:build")
    files = {path.name for path in Path("run").iterdir()}
    assert files == {
        "README.md", "config.json", "golden.safetensors", "model.safetensors", "metrics.jsonl", "recipe.yaml",
    }  # fmt: skip
    card = Path("run/README.md").read_text()
    assert 'zoo.load("PATH", arch="mynet:build")' in card and "a network of its author's own, Sequential" in card


def test_the_same_words_as_for_the_zoo(here):
    result = zoo.train("p4cnn_12", "data", width=2, out="run", **QUICK)
    assert weights(result.folder) == weights(zoo.training.train(TrainConfig(
        data="data", model="p4cnn_12", width=2, out="again", **QUICK
    )))  # fmt: skip
    assert zoo.load(result).classes == result.model.classes, "a result is a path of its folder"
    assert zoo.train(TrainConfig(data="data", model="p4cnn_12", width=2, out="third", **QUICK)).arch is None
    with pytest.raises(ModelError, match="epochs is given beside a whole run; put it into the TrainConfig"):
        zoo.train(TrainConfig(data="data", model="p4cnn_12"), epochs=3)
    with pytest.raises(ModelError, match="no field 'epoch'; did you mean epochs"):
        zoo.train("p4cnn_12", "data", epoch=3)


def test_a_module_is_copied_and_its_folder_says_that_loading_needs_the_code(here):
    from mynet import Net

    module = Net()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    result = zoo.train(module, symdata.load("data"), out="run", **QUICK)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items()), "it is not changed"
    assert not torch.equal(result.model.head.weight, module.head.weight), "and what is trained is"
    assert zoo.info("run")["architecture"] == {"form": "own", "class_name": "Net", "code": None}
    assert "command" not in zoo.info("run")["training"] and "zoo.evaluate(result.model, 'data')" in str(result)
    with pytest.raises(
        CodeNeededError, match=r"its class Net was given as a module, .* --arch package.module:callable"
    ):
        zoo.load("run")
    images = torch.rand(2, 1, 12, 12)
    with torch.no_grad():
        for arch in (module, Net, "mynet:Net"):
            assert torch.equal(zoo.load("run", arch=arch)(images), result.model(images))
    assert zoo.evaluate(result.model, "data", angles=0, elements="c1", limit=8, probe=0).count == 8


def test_a_function_is_named_in_the_folder(here):
    from mynet import build

    zoo.train(build, "data", out="run", **QUICK)
    zoo.train("mynet:build", "data", out="again", **QUICK)
    assert zoo.info("run")["architecture"]["code"] == "mynet:build" and weights(Path("run")) == weights(Path("again"))
    zoo.train(lambda num_classes: build(num_classes), "data", out="nameless", **QUICK)
    assert zoo.info("nameless")["architecture"]["code"] is None and weights(Path("nameless")) == weights(Path("run"))


def test_a_network_of_the_zoo_given_as_a_module_needs_no_code(here):
    net = zoo.create("p4cnn_12", in_chans=1, num_classes=4, width=2, seed=0)
    result = zoo.train(net, "data", out="run", **QUICK)
    assert zoo.info("run")["architecture"]["name"] == "p4cnn_12" and zoo.load("run").group.order == 4
    assert result.arch is None
    with pytest.raises(ModelError, match="size is 13 and 'module CNN' takes 12 pixels; leave size out"):
        zoo.train(net, "data", size=13, **QUICK)
    # With another nonlinearity it still has the words of the zoo, and is not what they make.
    changed = next(name for name, module in net.named_modules() if isinstance(module, nn.ReLU))
    setattr(net.get_submodule(changed.rpartition(".")[0]), changed.rpartition(".")[2], nn.GELU())
    zoo.train(net, "data", out="changed", **QUICK)
    assert zoo.info("changed")["architecture"]["form"] == "own"


def test_stopped_and_resumed(here):
    from mynet import Net

    def stop(images):
        seen.append(images)
        if sum(seen) > 60:
            raise KeyboardInterrupt

    module = Net()
    whole = zoo.train(module, "data", out="whole", symmetry="c4", **QUICK)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        zoo.train(module, "data", out="run", symmetry="c4", progress=stop, **QUICK)
    other = type("Net", (nn.Sequential,), {})(nn.Flatten(), nn.Linear(144, 4))
    with pytest.raises(ModelError, match="trained another network than 'module Net' is now"):
        zoo.train(other, "data", out="run", symmetry="c4", resume=True, **QUICK)
    with pytest.raises(ModelError, match=r"given in Python; give it again: zoo.train\(module, 'data', out='run'\)"):
        zoo.train("module Net", "data", out="run", symmetry="c4", resume=True, **QUICK)
    again = zoo.train(module, "data", out="run", symmetry="c4", resume=True, **QUICK)
    assert weights(again.folder) == weights(whole.folder) and lines(again.folder) == lines(whole.folder)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("Noisy", "gives other logits for the same images in eval mode; .* training=self.training"),
        ("Tuple", r"returns tuple in training mode, expected logits \(2, 4\) alone; return one tensor"),
        ("Map", r"returns float32 \(2, 4, 10, 10\) for images \(2, 1, 12, 12\) in eval mode, expected floats \(2, 4\)"),
        ("NoGradients", "the logits of 'mynet:NoGradients' have no gradients; keep detach"),
        ("Frozen", "'mynet:Frozen' has no weights to train; set requires_grad"),
        ("Colour", "cannot run on images .* in eval mode: .*; add --channels 3, which repeats the gray channel"),
        ("Named", "Named has an attribute 'classes', int, .* give yours another name"),
        ("Lazy", r"Lazy has lazy layers: the shape of 'head.weight' is not known .* nn.Linear\(32, 10\)"),
        ("Extra", "the state of Extra has '_extra_state', dict, and a file of weights holds dense tensors alone"),
        ("nothing", "'mynet' has no 'nothing'; it has .*build"),
    ],
)
def test_what_is_no_classifier_is_refused_before_anything_is_written(here, model, sentence):
    refused(sentence, model)
    assert not (here / "run").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 3}, "width is 3 and 'mynet:build' is a network of your own; leave --width out"),
        ({"relax": "banks"}, "leave --relax out"),
        ({"size": 2}, r"cannot run on images \(2, 1, 2, 2\) in eval mode: .* or say another --size"),
    ],
)
def test_choices_that_do_not_fit(here, changes, sentence):
    refused(sentence, "build", **changes)


def test_classes_channels_and_size_arrive(here):
    small, colour = plan("mynet:build", size=9), plan("mynet:of_kwargs", channels=3)
    assert small.preprocessing.size == 9 and small.audit.size == (9, 9)
    assert colour.model[0].in_channels == 3 and colour.model[6].out_features == 4
    assert plan("mynet:classes_alone").model[6].out_features == 4, "**kwargs that go to something without in_chans"
    assert plan("mynet:Colour", channels=3).model.conv.in_channels == 3
    with pytest.raises(ModelError, match="size is 13 and 'p4cnn_12' takes 12 pixels; take p4cnn_13, or leave --size"):
        plan("p4cnn_12", size=13)
    assert plan("p4cnn_12", size=12, width=2).preprocessing.size == 12


def test_norms_that_see_a_part_of_the_batch_are_refused():
    torchs, ours = nn.Sequential(nn.BatchNorm2d(4)), nn.Sequential(zoo.layers.GroupBatchNorm2d("c4", 1))
    with pytest.raises(ModelError, match="the batch norm '0' of Sequential would see a part of each; train in one"):
        check_processes(torchs, 2, "cpu")
    check_processes(torchs, 2, "cuda")
    check_processes(torchs, 1, "cpu")
    check_processes(ours, 2, "cpu")


def test_the_seed_is_that_of_the_weights(here):
    one, same, other = (plan("mynet:build", seed=seed).model[0].weight for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_data_of_other_kinds(here):
    made = symdata.make("glyphs:OXAF", "fresh", size=12, count=32)
    assert zoo.train("mynet:build", made, out="run", epochs=1, batch_size=16).config["dataset"]["name"] == "glyphs-none"
    for data, sentence in [
        (symdata.load("data", "test"), "is the split 'test' of 'data'.* give the folder: 'data'"),
        (symdata.load("data", transform=lambda image: image), "has a transform, which a training does not apply"),
        ((torch.zeros(4, 1, 8, 8), torch.zeros(4)), r"data is a tuple, .*symdata.make\(\(images, labels\), 'mine'"),
        (None, "does not say its data"),
    ]:
        with pytest.raises(ModelError, match=sentence):
            zoo.train("mynet:build", data)
    with pytest.raises(ModelError, match="model is a int, expected a name such as 'p4cnn_28', a torch module"):
        zoo.train(3, "data")


def test_code_that_a_recipe_names_is_not_run(here):
    Path("r.yaml").write_text(recipe_text(TrainConfig(data="data", model="mynet:build")))
    with pytest.raises(ModelError, match=r"names code, 'mynet:build', and code is run only if you name it; .* --model"):
        read_recipe("r.yaml")
    assert read_recipe("r.yaml", "mynet:build")["model"] == "mynet:build"
    assert not Path("imported").exists()


def test_metrics_show_themselves(here):
    result = zoo.train("mynet:build", "data", out="run", **QUICK)
    history = result.metrics
    assert [line["epoch"] for line in history.epochs] == [1, 2] and history.columns[-1] == "validation_accuracy"
    assert str(history).splitlines()[0].split() == [
        "epoch", "loss", "accuracy", "validation", "loss", "validation", "accuracy", "lr",
    ]  # fmt: skip
    axes = result.plot().axes
    assert [panel.get_title() for panel in axes] == ["loss", "accuracy"]
    assert list(axes[1].lines[1].get_ydata()) == [line["validation_accuracy"] for line in history.epochs]
    assert json.loads(json.dumps(history.to_dict()))["epochs"][0]["epoch"] == 1
    shutil.move("run/metrics.jsonl", "away")
    with pytest.raises(ModelError, match=r"metrics.jsonl' cannot be read"):
        _ = zoo.training.TrainedModel(Path("run"), "data").metrics


def test_one_call_trains_several_seeds_and_calls_callbacks(here):
    seen = []
    result = zoo.train("mynet:build", "data", seeds=2, callbacks=[seen.append], out="run", **QUICK)
    assert [run.folder for run in result.runs] == [Path("run-s0"), Path("run-s1")]
    assert [view.epoch for view in seen] == [1, 2, 1, 2]
    assert [run.arch for run in result.runs] == ["mynet:build"] * 2
    first, second = (run.model.state_dict() for run in result.runs)
    assert not all(first[key].equal(second[key]) for key in first)
    alone = zoo.train("mynet:build", "data", seed=1, out="alone", **QUICK)
    assert weights(alone.folder) == weights(result.runs[1].folder)
