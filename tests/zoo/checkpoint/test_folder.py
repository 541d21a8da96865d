"""The model folder: what is written is what is read, whole or not at all."""

import os
import shutil

import pytest
import safetensors.torch
import torch

from symdata.errors import SymdataError
from tests.support import checkpoints
from tests.support.checkpoints import NAME, SIZE, edit, golden, network, save
from tests.support.folders import contents
from tests.support.steerable import require_escnn
from zoo.checkpoint.folder import read_checkpoint, save_checkpoint, write_evaluation
from zoo.checkpoint.manifest import read_config
from zoo.errors import ModelError
from zoo.layers import LiftingConv2d
from zoo.models.registry import create
from zoo.preprocessing import Preprocessing

FILES = {"README.md", "config.json", "golden.safetensors", "model.safetensors"}


whole, folder = checkpoints.whole, checkpoints.folder


# What is written is what is read


def test_the_same_model_comes_back(whole):
    before, read = network(), read_checkpoint(whole)
    assert not read.model.training
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), read.model.parameters(), strict=True))
    with torch.no_grad():
        assert torch.equal(read.model(golden()), before(golden()))


def test_what_is_known_about_it_comes_back(whole):
    read = read_checkpoint(whole)
    assert read.name == "p4cnn_20.squares-none"
    assert read.preprocessing == read.model.preprocessing == Preprocessing(SIZE, (0.13,), (0.31,))
    assert read.classes == read.model.classes == ("a", "b", "c", "d")
    assert read.config is read.model.config
    assert read.config["training"]["epochs"] == 2
    assert read.config["group"] == "c4"
    assert read.config["input_size"] == [SIZE, SIZE]
    assert read.config["weights"]["parameters"] == sum(p.numel() for p in read.model.parameters())
    assert read.config["exactness"]["exact"] and read.config["exactness"]["tied"]


def test_an_approximate_size_says_so(tmp_path):
    folder = save(
        tmp_path / "m", network("p4cnn_21"), preprocessing=Preprocessing(21, 0.1, 0.3), golden_images=golden(size=21)
    )
    exactness = read_config(folder)["exactness"]
    assert not exactness["exact"] and exactness["phi"] == [1.0, 1.0]
    assert exactness["nearest"] == [[20, 20], [22, 22]] and exactness["survivors"] == ["e"]
    assert "exact at 20 x 20 or 22 x 22" in (folder / "README.md").read_text()


def test_the_folder_holds_these_files_and_no_others(whole):
    assert set(contents(whole)) == FILES


def test_plain_torch_reads_the_weights(whole):
    tensors = safetensors.torch.load_file(whole / "model.safetensors")
    model = create(NAME, in_chans=1, width=3, num_classes=4)
    model.load_state_dict(tensors)
    assert all(t.is_contiguous() for t in tensors.values())
    with torch.no_grad():
        assert torch.equal(model.eval()(golden()), network()(golden()))


@pytest.mark.parametrize("name", ["p4cnn_28", "z2cnn_28", "p4mcnn_28"])
def test_a_checkpoint_is_little_more_than_its_parameters(tmp_path, name):
    model = create(name, in_chans=1)
    folder = save(
        tmp_path / "m",
        model,
        preprocessing=Preprocessing(28, 0.1, 0.3),
        classes=list("0123456789"),
        golden_images=golden(size=28),
    )
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    assert (folder / "model.safetensors").stat().st_size <= 1.05 * parameters
    assert sum(map(len, contents(folder).values())) < 300_000


def test_the_same_model_gives_the_same_bytes(whole, tmp_path):
    assert contents(save(tmp_path / "again")) == contents(whole)


def test_saving_leaves_the_model_and_the_generator_alone(tmp_path):
    model = network().train()
    state, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    save(tmp_path / "m", model)
    assert model.training and not hasattr(model, "preprocessing")
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_reading_leaves_the_generator_alone(whole):
    random = torch.get_rng_state()
    read_checkpoint(whole)
    assert torch.equal(torch.get_rng_state(), random)


def test_memory_format_does_not_matter(whole, tmp_path):
    folder = save(tmp_path / "m", network().to(memory_format=torch.channels_last))
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_steerable_model_is_saved_in_plain_torch(tmp_path):
    require_escnn()
    model = create("c8cnn_29", in_chans=1, width=2, num_classes=4).eval()
    folder = save(tmp_path / "m", model, preprocessing=Preprocessing(29, 0.1, 0.3), golden_images=golden(size=29))
    with torch.no_grad():
        assert torch.allclose(read_checkpoint(folder).model(golden(size=29)), model(golden(size=29)), atol=1e-5)


# Whole or not at all


class Kill(BaseException):
    """What no `except` of ours catches, as if the process were gone."""


def killed_after(monkeypatch, steps: int, error: BaseException) -> None:
    """Let the given number of renames and removals pass, then raise."""
    left = iter([True] * steps)

    def guarded(real):
        def step(*args, **options):
            if not next(left, False):
                raise error
            return real(*args, **options)

        return step

    monkeypatch.setattr("zoo.checkpoint.atomic_write.os.replace", guarded(os.replace))
    monkeypatch.setattr("zoo.checkpoint.atomic_write.os.fsync", guarded(os.fsync))


def outcome(act) -> str:
    try:
        return str(act())
    except (Kill, ModelError) as error:
        return str(error)


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("error", [Kill(), OSError(28, "No space left on device")], ids=["kill", "full disk"])
@pytest.mark.parametrize("steps", range(13))
def test_a_crash_leaves_no_mixture(whole, tmp_path, monkeypatch, steps, fresh, error):
    target = tmp_path / "m"
    if not fresh:
        shutil.copytree(whole, target)
    with monkeypatch.context() as patch:
        killed_after(patch, steps, error)
        said = outcome(lambda: save(target, network(seed=1)))
    if isinstance(error, OSError) and "cannot write" in said:
        assert "No space left on device; free some space" in said
        assert not fresh or not target.exists()
        assert not list(tmp_path.glob("**/.*"))
    found = outcome(lambda: f"weights {next(read_checkpoint(target).model.parameters()).sum():.6f}")
    wholes = [f"weights {next(network(seed=seed).parameters()).sum():.6f}" for seed in (0, 1)]
    assert found in wholes or "there is no folder" in found or "has no config.json" in found
    save(target, network(seed=1))
    assert torch.equal(next(read_checkpoint(target).model.parameters()), next(network(seed=1).parameters()))


def test_what_stands_beside_it_stays(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    save(tmp_path)
    assert set(contents(tmp_path)) == FILES | {"metrics.jsonl"}
    read_checkpoint(tmp_path)


def test_a_folder_is_as_open_as_others(tmp_path):
    os.mkdir(tmp_path / "plain")
    assert save(tmp_path / "m").stat().st_mode == (tmp_path / "plain").stat().st_mode


# Refusals to write


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"golden_images": golden(size=19)}, r"golden_images are \(8, 1, 19, 19\), expected \(n, 1, 20, 20\)"),
        ({"golden_images": golden(0)}, r"golden_images are \(0, 1, 20, 20\), expected"),
        ({"classes": ("a", "b")}, r"gives \(4,\) logits for 2 classes; name each of them"),
        ({"training": {"loss": float("nan")}}, "must be plain data for JSON"),
        ({"dataset": {"images": golden()}}, "must be plain data for JSON"),
        ({"name": ""}, "says name = '', expected a name"),
        ({"classes": ("a", "b", "c", 4)}, r"says classes = .*, expected the names of the classes"),
    ],
)
def test_parts_that_do_not_fit(tmp_path, changes, sentence):
    with pytest.raises(ModelError, match=sentence):
        save(tmp_path / "m", **changes)
    assert not (tmp_path / "m").exists()


def test_weights_that_are_not_numbers(tmp_path):
    model = network()
    with torch.no_grad():
        model.head.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match="gives logits that are not finite, so it is not saved"):
        save(tmp_path / "m", model)


def test_half_precision_is_said(tmp_path):
    with pytest.raises(ModelError, match=r"is bfloat16 \(3, 1, 3, 3\), expected float32 .* convert them"):
        save(tmp_path / "m", network().bfloat16())


def test_a_module_that_is_no_classifier(tmp_path):
    with pytest.raises(ModelError, match=r"gives \(4, 18, 18\) logits for 4 classes; name each of them"):
        save(tmp_path / "m", LiftingConv2d("c4", 1, 1, 3))
    assert not (tmp_path / "m").exists()


def test_what_others_wrote_is_left_alone(tmp_path):
    for name, content, sentence in [
        ("symdata.json", "{}", "is a dataset; choose another --out"),
        ("README.md", "# My project", "has a README.md that is not of a symdata model"),
    ]:
        place = tmp_path / name.split(".")[0]
        place.mkdir()
        (place / name).write_text(content)
        with pytest.raises(ModelError, match=sentence):
            save(place)
        assert contents(place) == {name: content.encode()}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelError, match="is a file, and a model is a folder"):
        save(tmp_path / "file")


def test_a_path_as_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert save_checkpoint.__doc__ and str(save("m")) == "m"
    assert read_checkpoint("m").name


def test_evaluating_what_was_changed_is_refused(folder):
    edit(folder, lambda c: c.update(name="other"), seal=False)
    with pytest.raises(SymdataError, match="was changed after it was written"):
        write_evaluation(folder, {"upright": {"accuracy": 0.5}})
