"""Free paths beside convolutions: what they compute, what they cost, and the network that is made of them."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from symdata.errors import ShapeError
from zoo import Preprocessing, create, load, save_checkpoint
from zoo.errors import ModelError
from zoo.layers.spatial_layers import PATHS, ChannelReduction, DenseSpatial2d, FactoredSpatial2d, PathBlock
from zoo.models.families.pathcnn import PathCNN
from zoo.models.registry import build, export, list_models, needs
from zoo.models.spec import NetworkSpec

TOLERANCE = 1e-12


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def numbers(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("c", "d", "size", "after"), [(1, 3, 4, 2), (2, 3, (3, 5), (2, 1)), (4, 1, 1, 3)])
def test_a_dense_layer_is_the_einsum_over_all_pixels(c, d, size, after):
    layer = DenseSpatial2d(c, d, size, after).double()
    x = noise(2, c, *layer.in_size)
    weight = layer.weight.unflatten(1, (c, *layer.in_size)).unflatten(0, (d, *layer.out_size))
    wanted = torch.einsum("dijcyx,ncyx->ndij", weight, x) + layer.bias.unflatten(0, (d, *layer.out_size))
    assert (layer(x) - wanted).abs().max() < TOLERANCE
    assert numbers(layer) == wanted[0].numel() * (x[0].numel() + 1)


@pytest.mark.parametrize(("c", "d", "size", "after"), [(1, 3, 4, 2), (2, 3, (3, 5), (2, 1)), (4, 1, 1, 3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, TOLERANCE)])
def test_a_factored_layer_is_the_dense_one_of_its_factors(c, d, size, after, dtype, tolerance):
    layer = FactoredSpatial2d(c, d, size, after, bias=False).to(dtype)
    x = noise(2, c, *layer.contract.size).to(dtype)
    weight = torch.einsum("dcyx,dcij->dijcyx", layer.contract.weight, layer.paint.weight)
    assert (layer(x) - torch.einsum("dijcyx,ncyx->ndij", weight, x)).abs().max() < tolerance
    inside, outside = x[0, 0].numel(), layer(x)[0, 0].numel()
    assert numbers(layer) == d * c * (inside + outside)
    with_bias = FactoredSpatial2d(c, d, size, after)
    assert numbers(with_bias) - numbers(layer) == d * outside


def test_a_factored_layer_adds_its_bias_once():
    layer = FactoredSpatial2d(2, 3, 4, 2).double()
    assert torch.equal(layer(torch.zeros(1, 2, 4, 4, dtype=torch.float64))[0], layer.paint.bias)


def test_free_layers_begin_as_large_as_one_another():
    x = torch.randn(64, 4, 8, 8)
    layers = (DenseSpatial2d(4, 8, 8, 4, bias=False), FactoredSpatial2d(4, 8, 8, 4, bias=False))
    spreads = [layer(x).detach().std() for layer in layers]
    assert 0.7 < spreads[0] / spreads[1] < 1.4 and 0.4 < spreads[0] < 0.8  # sqrt(1 / 3) of the input's


@pytest.mark.parametrize(
    "layer", [DenseSpatial2d(2, 3, 4, 2), FactoredSpatial2d(2, 3, 4, 2), ChannelReduction(2, 3, 4)]
)
@pytest.mark.parametrize("shape", [(1, 2, 5, 4), (1, 3, 4, 4), (2, 4, 4)])
def test_maps_of_another_size_are_refused(layer, shape):
    with pytest.raises(ShapeError, match=r"expected \(B, 2, 4, 4\)"):
        layer(torch.zeros(shape))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("size", [7, 8])
def test_a_block_is_the_mean_of_its_paths(path, size):
    block = PathBlock(path, 2, 3, size).double()
    x = noise(2, 2, size, size)
    outs = [getattr(block, kind)(x) for kind in PATHS[path]]
    assert block(x).shape == (2, 3, 4, 4)
    assert (block(x) - sum(outs) / len(outs)).abs().max() < TOLERANCE
    assert [name for name, _ in block.named_children()] == list(PATHS[path])


@pytest.mark.parametrize("path", PATHS)
def test_only_the_convolution_moves_with_the_image(path):
    block, x = PathBlock(path, 2, 3, 8).double(), noise(1, 2, 8, 8)
    shifted = block(x.roll((2, 4), (-2, -1))) - block(x).roll((1, 2), (-2, -1))
    assert (float(shifted.detach().abs().max()) < TOLERANCE) is (path == "conv")


def test_the_convolution_is_circular():
    block, x = PathBlock("conv", 1, 2, 8).double(), noise(1, 1, 8, 8)
    padded = torch.cat([x[..., -1:], x, x[..., :1]], -1)
    padded = torch.cat([padded[..., -1:, :], padded, padded[..., :1, :]], -2)
    wanted = F.conv2d(padded, block.conv.weight, block.conv.bias, 2)
    assert (block(x) - wanted).abs().max() < TOLERANCE


@pytest.mark.parametrize(
    ("options", "sentence"),
    [(("both", 1, 1, 8), "path is 'both', expected one of conv, dense"), (("conv", 1, 1, 8, 4), "kernel_size is 4")],
)
def test_bad_blocks_are_refused(options, sentence):
    with pytest.raises(ShapeError, match=sentence):
        PathBlock(*options)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("size", [8, 11, 16])
def test_the_network_is_what_its_description_says(path, size):
    net = create(f"z2pathcnn_{size}", path=path, in_chans=2, num_classes=7, width=3, seed=0)
    assert str(net.group) == "c1" and net.architecture["path"] == path
    asked = needs(json.loads(json.dumps(net.architecture)), size)
    assert asked.parameters == numbers(net)
    maps = []
    for module in net.modules():
        module.register_forward_hook(lambda _, __, out: maps.append(out[0].numel()))
    images = torch.randn(2, 2, size, size)
    assert net(images).shape == (2, 7) and net.features(images).shape == (2, 24, -(-size // 8), -(-size // 8))
    assert max(maps) <= asked.largest_map
    twin = build(json.loads(json.dumps(net.architecture)))
    twin.load_state_dict(net.state_dict())
    assert type(twin) is type(net) and torch.equal(twin(images), net(images))
    assert export(net) is net


@pytest.mark.parametrize("path", PATHS)
def test_logits_of_convolutions_alone_do_not_know_the_quadrant(path):
    net, images = create("z2pathcnn_16", path=path, seed=0).double(), noise(2, 1, 16, 16)
    change = lambda by: float((net(images.roll(by, (-2, -1))) - net(images)).detach().abs().max())  # noqa: E731
    assert all((change(by) < TOLERANCE) is (path == "conv") for by in ((0, 8), (8, 0), (8, 8)))
    assert change((4, 0)) > 1e-6


def test_the_path_is_conv_unless_said_otherwise():
    plain, named = create("z2pathcnn_16", seed=3), create("c1pathcnn_16", path="conv", seed=3)
    assert plain.architecture == named.architecture and plain.architecture["name"] == "z2pathcnn_16"
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), named.parameters(), strict=True))
    assert create("z2pathcnn_16", path="dense").architecture["path"] == "dense"


def test_only_a_network_without_free_paths_takes_images_of_other_sizes():
    images = torch.zeros(1, 1, 24, 24)
    assert create("z2pathcnn_16").features(images).shape == (1, 64, 3, 3)
    with pytest.raises(ShapeError, match=r"expected \(B, 1, 16, 16\)"):
        create("z2pathcnn_16", path="residual")(images)


@pytest.mark.parametrize("path", ["conv", "residual-factored"])
def test_a_model_folder_keeps_weights_and_what_was_learned(path, tmp_path):
    net = create("z2pathcnn_8", path=path, num_classes=3, width=2, seed=0).eval()
    net.precisions.uniform_(1, 9), net.effective_dimensions.uniform_(1, 9), net.examples.fill_(100)
    images = torch.randn(4, 1, 8, 8)
    save_checkpoint(
        tmp_path / "m",
        net,
        name="z2pathcnn_8.squares",
        preprocessing=Preprocessing(8, (0.1,), (0.3,)),
        classes=("a", "b", "c"),
        training={"command": "symdata train squares", "epochs": 1, "seed": 0},
        dataset={"name": "squares", "source": {"ref": "hub:user/squares", "license": "mit"}},
        golden_images=images,
    )
    loaded = load(tmp_path / "m")
    assert torch.equal(loaded(images), net(images)) and loaded.architecture == net.architecture
    for name, buffer in net.named_buffers():
        assert torch.equal(loaded.get_buffer(name), buffer)
    assert {"precisions", "effective_dimensions", "examples"} <= {name for name, _ in net.named_buffers()}


def test_the_registry_lists_it():
    assert list_models("*pathcnn*") == ("z2pathcnn_16",)
    spec = NetworkSpec.of("z2pathcnn_16")
    assert spec.parameters() == numbers(create("z2pathcnn_16")) and str(spec.group) == "c1" and spec.width == 8
    for name in ("p4pathcnn_16", "c8pathcnn_16", "gz2pathcnn_16"):
        with pytest.raises(ModelError, match=r"did you mean .*z2pathcnn_16"):
            create(name)


GOOD = create("z2pathcnn_16").architecture
HOSTILE = [
    ({"path": "both"}, "path is 'both', expected one of conv, dense"),
    ({"path": ["conv"]}, r"path is \['conv'\]"),
    ({"width": 10**9}, "width is 1000000000, expected a whole number from 1 to 4096"),
    ({"width": True}, "width is True"),
    ({"width": [8]}, r"width is \[8\], expected 4 numbers of fields, one per stage, or one"),
    ({"classes": -1}, "num_classes is -1"),
    ({"channels": "1"}, "in_chans is '1'"),
    ({"path": "dense", "width": 1024}, "parameters, at most 67,108,864 are built"),
    ({"path": "dense", "name": "z2pathcnn_4096"}, "parameters, at most"),
    ({"name": "z2pathcnn_4"}, "needs at least 8 pixels"),
    ({"path": "dense", "width": 1024}, "width=8 is published"),
    ({"path": "dense", "name": "z2pathcnn_4096"}, "take a smaller size"),
    ({"name": "z2cnn_28"}, "the form of z2cnn_28 is 'paths', expected ''"),
    ({"name": "z2pathcnn_16.mnist"}, "expected a network without data: z2pathcnn_16"),
    ({"name": 16}, "is not the name of a network"),
    ({"extra": 1}, "expected exactly the keys form, name, classes, channels, width, path"),
]


@pytest.mark.parametrize(("change", "sentence"), HOSTILE)
def test_a_hostile_architecture_is_refused_before_anything_is_allocated(change, sentence, monkeypatch):
    monkeypatch.setattr(PathCNN, "__init__", _never)
    for read in (build, lambda said: needs(said, 16)):
        with pytest.raises(ModelError, match=sentence):
            read(GOOD | change)


def _never(*arguments):
    raise AssertionError("something was built")


def test_control_the_good_architecture_is_read():
    assert NetworkSpec.from_dict(GOOD) == NetworkSpec.of("z2pathcnn_16", path="conv")
    assert NetworkSpec.of("z2pathcnn_16", path="dense", width=144).parameters() > 0.9 * PathCNN.max_parameters


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("z2pathcnn_16", {"dropout": 0.1}, "z2pathcnn_16 has no such choice; leave it out, or take p4cnn_28"),
        ("z2pathcnn_16", {"coset_pool": False}, "z2pathcnn_16 has no such choice"),
        (
            "p4cnn_28",
            {"path": "dense"},
            "path is 'dense' and p4cnn_28 has no such choice; leave it out, or take z2p",
        ),
        ("p4cnn_28", {"pth": "dense"}, "no network has a choice 'pth'; did you mean path"),
        ("z2pathcnn_16", {"path": "mixed"}, "path is 'mixed'"),
    ],
)
def test_bad_choices_are_refused(name, options, sentence):
    with pytest.raises(ModelError, match=sentence):
        create(name, **options)


def test_every_layer_has_one_prior():
    net = create("z2pathcnn_16", path="residual-factored")
    assert net.layer_names[:3] == (
        "trunk.block1.conv", "trunk.block1.factored.contract", "trunk.block1.factored.paint",
    )  # fmt: skip
    assert len(net.layer_names) == len(net.precisions) == 13 and net.layer_names[-1] == "head"
    held = sum(p.numel() for m in net.layers.values() for p in m.parameters(recurse=False))
    assert held == numbers(net) and isinstance(net.layers["head"], nn.Linear)
