"""Permutations that are found by tracing leave a network's function as it is, and others do not."""

import pytest
import torch
from torch import nn

import zoo
from zoo.alignment import PermutationSpec, plain_copy
from zoo.alignment.axes import UntiedAxesError, factors, new, regroup, tie
from zoo.alignment.permutations import permute_
from zoo.errors import ModelError


class Residual(nn.Module):
    """conv, a block with a shortcut, and one whose shortcut is a convolution."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.one, self.two = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.down, self.short = nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(6, 8, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.norm(self.stem(x)).relu()
        x = (x + self.two(self.one(x).relu())).relu()
        x = self.short(x) + self.down(x)
        return self.head(x.mean((2, 3)))


class Attention(nn.Module):
    """Tokens of a convolution, attended to by two heads."""

    def __init__(self):
        super().__init__()
        self.patch, self.norm, self.qkv = (
            nn.Conv2d(3, 8, 4, 4),
            nn.LayerNorm(8),
            nn.ModuleList(nn.Linear(8, 8) for _ in range(3)),
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.norm(self.patch(x).flatten(2).transpose(1, 2))
        q, k, v = (layer(x).view(*x.shape[:2], 2, 4).transpose(1, 2) for layer in self.qkv)
        mixed = (q @ k.transpose(2, 3)).softmax(-1) @ v
        return self.head(mixed.transpose(1, 2).flatten(2).mean(1))


def vgg():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 5), nn.ReLU(), nn.Linear(5, 3),
    )  # fmt: skip


def grouped():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"), nn.GELU(), nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 12, 1, groups=4), nn.GroupNorm(2, 12), nn.ReLU(), nn.ConvTranspose2d(12, 4, 2, 2), nn.SiLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    )  # fmt: skip


NETS = {"vgg": vgg, "residual": Residual, "attention": Attention, "grouped": grouped}


def seeded(make):
    torch.manual_seed(0)
    net = make().double().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net


def permuted(net, spec):
    draw = torch.Generator().manual_seed(3)
    orders = {t.name: torch.randperm(t.size, generator=draw) for t in spec.tied}
    return permute_(net, spec, orders)


@pytest.mark.parametrize("kind", NETS)
def test_any_permutation_of_tied_channels_leaves_the_function_as_it_is(kind):
    net, x = seeded(NETS[kind]), torch.rand(3, 3, 8, 8, dtype=torch.float64)
    spec = PermutationSpec.of(net, 8)
    before, weights = net(x), {k: v.clone() for k, v in net.state_dict().items()}
    permuted(net, spec)
    torch.testing.assert_close(net(x), before, rtol=1e-10, atol=1e-10)
    assert any(not torch.equal(weights[k], v) for k, v in net.state_dict().items())
    assert not spec.fixed


def test_half_of_a_permutation_changes_the_function():
    net, x = seeded(Residual), torch.rand(3, 3, 8, 8, dtype=torch.float64)
    before = net(x)
    net.stem.weight.data = net.stem.weight.data.flip(0)
    assert (net(x) - before).abs().max() > 1e-3


def test_a_residual_stream_has_one_permutation_and_a_block_one_of_its_own():
    spec = PermutationSpec.of(Residual(), 8)
    assert [(t.name, t.size) for t in spec.tied] == [("stem", 6), ("one", 6), ("down", 8)]
    tensors = {p.tensor for p in spec.tied[0].places}
    assert {"stem.weight", "norm.running_var", "two.weight", "one.weight", "short.weight"} <= tensors


def test_a_flatten_moves_all_positions_of_a_channel():
    spec = PermutationSpec.of(vgg(), 8)
    (place,) = (p for p in spec.tied[1].places if p.tensor == "7.weight")
    assert (place.axis, place.sizes, place.factor) == (1, (6, 4, 4), 0)


def test_orientations_and_fields_before_a_pool_over_the_group_are_permuted_apart():
    spec = PermutationSpec.of(plain_copy(zoo.create("p4cnn_12", width=3)), 12)
    assert [t.size for t in spec.tied if t.name.startswith("trunk.conv7")] == [4, 3]
    assert [t.size for t in spec.tied if t.name == "trunk.conv6"] == [12]


@pytest.mark.parametrize("name", ["p4cnn_12", "p4mresnet44_9", "z2pathcnn_16"])
def test_networks_of_the_zoo_have_permutations(name):
    net = plain_copy(zoo.create(name, width=2))
    assert not PermutationSpec.of(net, int(name.rpartition("_")[2])).fixed


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.again, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.head(self.again(self.again(self.stem(x)).relu()))


class Shuffled(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.head(self.stem(x).cumsum(1))


class Cut(Shuffled):
    def forward(self, x):
        return self.head(torch.cat([self.stem(x)[:, 2:], self.stem(x)[:, :2]], 1))


def test_shared_weights_are_refused():
    with pytest.raises(ModelError, match=r"'again.weight' is shared: it is used 2 times, in 'again'.*copy.deepcopy"):
        PermutationSpec.of(Shared(), 4)


@pytest.mark.parametrize(("kind", "word"), [(Shuffled, "cumsum"), (Cut, "slice")])
def test_an_operation_that_does_not_treat_channels_alike_is_refused_with_its_place(kind, word):
    with pytest.raises(ModelError, match=rf"no permutation of channels to find: {word} of .* in the model's own for"):
        PermutationSpec.of(kind(), 4)


def test_a_constant_of_its_own_for_every_channel_fixes_them_and_is_said():
    class Scaled(Shuffled):
        def forward(self, x):
            return self.head(self.stem(x) * torch.arange(1.0, 5.0, dtype=x.dtype).view(1, 4, 1, 1))

    with pytest.raises(ModelError, match="no hidden channels"):
        PermutationSpec.of(Scaled(), 4)
    both = nn.Sequential(nn.Conv2d(3, 3, 1), Scaled(), nn.ReLU(), nn.Conv2d(2, 2, 1))
    spec = PermutationSpec.of(both, 4)
    assert spec.fixed == ("1.stem",)
    assert "not those of 1.stem" in str(spec)


def test_a_network_without_hidden_channels_is_refused():
    with pytest.raises(ModelError, match="no hidden channels"):
        PermutationSpec.of(nn.Conv2d(3, 2, 3), 8)


def test_axes_split_where_a_part_is_tied():
    whole, (a, b) = new(12), (*new(3), *new(4))
    tie(whole, [a, b])
    assert [axis.size for axis in factors(whole)] == [3, 4]
    assert factors(whole) == factors([a, b])
    assert [[axis.size for axis in label] for label in regroup([whole], (3, 2, 2))] == [[3], [2], [2]]
    with pytest.raises(UntiedAxesError):
        tie(new(6), [*new(4), *new(2)])
    with pytest.raises(UntiedAxesError):
        regroup([new(6)], (4,))
