"""The networks: built as the papers have them, moving with the image, and at home wherever a torch module is."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from symdata.errors import ShapeError
from tests.support.nets import small
from zoo.errors import ModelError
from zoo.layers import GCGroupConv2d, GGroupConv2d, GroupConv2d, GroupPool, act_on_features
from zoo.layers.regular import move
from zoo.models.names import ModelName
from zoo.models.registry import build, create
from zoo.models.spec import NetworkSpec

ONE_EACH = [
    "p4cnn_12",
    "p4mcnn2_16",
    "z2cwcnn_28",
    "gcp4resnet44_13",
    "gp2mresnet18_17",
    "pmpcamresnet44_9",
    "p4knight_9",
]


def images(net, size, batch=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, net.in_chans, size, size, generator=generator, dtype=dtype)


@pytest.mark.parametrize("name", ONE_EACH)
def test_features_and_logits_have_their_shapes_and_move_with_the_image(name):
    net, size = small(name, num_classes=5).double(), ModelName.parse(name).size
    x = images(net, size, dtype=torch.float64)
    net.train()(x)
    net.eval()
    assert net(x).shape == (4, 5)
    features = net.features(x)
    assert features.shape[:2] == (4, net.group.order * net.head.in_features)
    assert NetworkSpec.of(name).phi == 0
    for e in net.group.elements:
        if net.group.order > 1:
            moved = act_on_features(features, e, net.group)
            assert (net.features(move(x, e)) - moved).norm() < 1e-12 * features.norm()


@pytest.mark.parametrize(
    ("architecture", "coset_first"), [("resnet44", True), ("resnet18", True), ("pcamresnet44", False), ("cnn", False)]
)
def test_the_order_of_pooling_is_that_of_the_paper(architecture, coset_first):
    net = small(f"p4{architecture}_16")
    x = images(net, 16)
    net.train()(x)
    stack = net.eval().features(x).unflatten(1, (4, -1))
    first, last = stack.amax(1).mean((-2, -1)), stack.mean((-2, -1)).amax(1)
    assert torch.allclose(net(x), net.head(first if coset_first else last), atol=1e-6)
    assert not torch.allclose(first, last, atol=1e-3)


def test_without_coset_pooling_the_classifier_sees_every_orientation():
    net = small("p4cnn_12", coset_pool=False).eval()
    assert net.head.in_features == 12 and not any(isinstance(m, GroupPool) for m in net.modules())
    x = images(net, 12)
    assert torch.allclose(net(x), net.head(net.features(x).mean((-2, -1))))


def test_variants_replace_the_hidden_convolutions_and_nothing_else():
    for variant, kind in (("", GroupConv2d), ("g", GGroupConv2d), ("gc", GCGroupConv2d)):
        net = small(f"{variant}p4mresnet44_33")
        blocks = [m for m in net.modules() if hasattr(m, "conv1") and hasattr(m, "shortcut")]
        assert len(blocks) == 21
        assert all(type(conv) is kind and conv.bias is None for b in blocks for conv in (b.conv1, b.conv2))
        shortcuts = [b.shortcut for b in blocks if len(b.shortcut)]
        assert [type(s.conv) for s in shortcuts] == [GroupConv2d] * 2
        assert all(s.conv.stride == 2 and s.conv.kernel_size == 1 for s in shortcuts)


def test_dropout_follows_the_layers_1_3_4_5_and_acts_in_training_only():
    net = small("p4cnn_12", dropout=0.5)
    names = [name for name, module in net.trunk.named_children() if isinstance(module, nn.Dropout)]
    assert names == ["dropout1", "dropout3", "dropout4", "dropout5"]
    assert net.state_dict().keys() == small("p4cnn_12").state_dict().keys()
    x = images(net, 12)
    assert torch.equal(net.eval()(x), small("p4cnn_12").eval()(x))
    assert not torch.equal(net.train()(x), net(x))


def test_pools_are_where_the_paper_has_them():
    def pools(name):
        return [n for n, m in small(name).trunk.named_children() if isinstance(m, nn.MaxPool2d)]

    assert pools("p4cnn_12") == pools("p4cwcnn_28") == ["pool2"] and pools("p4cnn2_16") == ["pool2", "pool3"]
    assert small("z2cwcnn_28").features(torch.zeros(2, 1, 28, 28)).shape == (2, 3, 1, 1)
    assert small("p4cnn_28").features(torch.zeros(1, 3, 28, 28)).shape == (1, 12, 11, 11)


def test_initial_weights_count_the_group_and_those_of_plain_resnets_are_published():
    hidden = create("p4resnet44_33", seed=0).trunk.stage3[1].conv1.weight
    assert hidden.abs().max() <= (64 * 4 * 9) ** -0.5 < 1.001 * hidden.abs().max()
    plain = create("z2resnet44_33", seed=0).trunk.stage3[1].conv1.weight
    assert plain.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.01)
    assert plain.abs().max() > 3 * plain.std()  # normal, not uniform


def test_a_seed_makes_the_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    a, b, c = create("p4cnn_28", seed=1), create("p4cnn_28", seed=1), create("p4cnn_28", seed=2)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.head.weight, c.head.weight)
    torch.manual_seed(1)
    assert torch.equal(create("p4cnn_28").head.weight, a.head.weight)
    with torch.device("meta"):
        assert create("p4cnn_28", seed=1).head.weight.device.type == "cpu"


@pytest.mark.parametrize("name", ONE_EACH)
def test_at_home_in_deepcopy_state_dicts_channels_last_and_autocast(name):
    size = ModelName.parse(name).size
    net = small(name)
    x = images(net, size)
    net.train()(x)
    y = net.eval()(x)
    assert torch.equal(copy.deepcopy(net)(x), y)
    for training in (True, False):
        other = build(net.architecture).train(training)
        other.load_state_dict(net.state_dict(), strict=True)
        assert torch.equal(other.eval()(x), y)
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    assert torch.allclose(last(x.to(memory_format=torch.channels_last)), y, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        F.cross_entropy(net.train()(x), torch.zeros(4, dtype=torch.long)).backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize(
    ("name", "backend"),
    [("p4cnn_12", "eager"), ("p4cnn_12", "aot_eager"), ("p4mresnet18_9", "eager"), ("p4knight_9", "aot_eager")],
)
@pytest.mark.filterwarnings("ignore")  # of torch's own machinery
def test_compiles_into_one_graph(name, backend):
    torch._dynamo.reset()
    net = small(name)
    x = images(net, ModelName.parse(name).size)
    twin = copy.deepcopy(net)
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    assert torch.allclose(compiled(x), twin(x), atol=1e-5)
    net.eval()
    assert torch.allclose(compiled(x), twin.eval()(x), atol=1e-5)


MINIMA = {"cnn": 8, "cnn2": 16, "cwcnn": 28, "resnet44": 1, "resnet18": 1, "pcamresnet44": 1, "knight": 1}


@pytest.mark.parametrize(("architecture", "least"), MINIMA.items())
def test_a_size_at_which_it_cannot_run_is_refused_with_the_minimum(architecture, least):
    net = small(f"p4{architecture}_{least}").eval()
    assert net(images(net, least)).isfinite().all()
    if least > 1:
        with pytest.raises(
            ModelError, match=rf"p4{architecture}_{least - 1} is too small: it needs at least {least} pix"
        ):
            small(f"p4{architecture}_{least - 1}")
        with pytest.raises(ShapeError, match=f"runs from {least}x{least} pixels on"):
            net(images(net, least)[..., 1:])


def test_images_that_do_not_fit_are_refused():
    net = small("p4cnn_28")
    for bad in (torch.zeros(1, 1, 28, 28), torch.zeros(3, 28, 28), torch.zeros(1, 3, 28, 28, dtype=torch.uint8)):
        with pytest.raises(ShapeError, match=r"expected floats \(B, 3, H, W\); preprocess them first"):
            net(bad)
