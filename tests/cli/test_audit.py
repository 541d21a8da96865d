"""`symdata audit`: what it prints is what the library says, and every refusal is one sentence."""

import json
import textwrap
import time

import pytest

from tests.support import commands
from tests.support.checkpoints import network, save
from tests.support.commands import refused, run, said
from tests.support.steerable import require_escnn
from zoo import audit, cost
from zoo.models.registry import create

here = commands.here


# audit


def test_an_exact_network():
    out = said("audit", "p4cnn_28")
    assert out.startswith("p4cnn_28: exact: at 28x28 its feature maps move with the image under c4.\n")
    assert "trunk.pool2  max pool 2x2, stride 2  28x28  14x14  0  0    all" in out
    assert "survivors     e, r90, r180, r270 of c4" in out
    assert "first broken" not in out and "mend" not in out


def test_an_approximate_network():
    out = said("audit", "p4cnn_28", "--size", 29)
    assert "approximate: at 29x29 trunk.pool2 (max pool 2x2, stride 2): its input is 29x29, which leaves" in out
    assert "trunk.pool2  max pool 2x2, stride 2  29x29  14x14  1  1    e\n" in out
    assert "first broken  trunk.pool2\nexact sizes   28x28, 30x30 are the nearest" in out
    assert "To mend it, one of:\n  - resize the input to 28x28: torch.nn.functional.interpolate(x, " in out


def test_the_size_in_the_name_is_the_default():
    assert said("audit", "p4cnn_27") == said("audit", "p4cnn_28", "--size", 27).replace("p4cnn_28", "p4cnn_27")


@pytest.mark.parametrize("size", ["28", "20x21"])
def test_measured_beside_predicted(size):
    found = json.loads(said("audit", "p4mcnn_28", "--size", size, "--measure", "--json"))
    alive = found["survivors"]
    assert found["measured"]["agrees"] is True
    for element, error in found["measured"]["by_element"].items():
        assert error < 1e-9 if element in alive else error > 1e-3
    out = said("audit", "p4mcnn_28", "--size", size, "--measure")
    assert "The two agree." in out
    assert out.count(" exact  ") == len(alive)


def test_json_is_what_the_library_says():
    found = json.loads(said("audit", "p4cnn_27", "--json"))
    expected = audit(create("p4cnn_27"), 27).to_dict() | {"cost": cost("p4cnn_27").to_dict()}
    assert found == json.loads(json.dumps({"name": "p4cnn_27", "tied": True} | expected))


def test_exact_sizes_of_a_range():
    assert (
        said("audit", "p4cnn_28", "--sizes", "20..30") == "Exact sizes from 20 to 30, 6 of 11: 20, 22, 24, 26, 28, 30\n"
    )
    both = said("audit", "p4cnn_28", "--sizes", "21..21", "--size", 29)
    assert both.startswith("p4cnn_28: approximate") and both.endswith("Exact sizes from 21 to 21, 0 of 1: none\n")
    assert json.loads(said("audit", "z2cnn_28", "--sizes", "27..28", "--json"))["exact_sizes"] == [28]


def test_a_plain_network_is_told_so():
    out = said("audit", "z2cnn_27")
    assert "No layer ties its weights by a group: this is about the sampling grids alone." in out
    assert "e, r90m of d4" in out


def test_a_folder(here):
    save(here / "m", network())
    assert "m: exact: at 20x20" in said("audit", "m")
    assert "m: approximate: at 21x21" in said("audit", "m", "--size", 21)


def test_a_steerable_network_is_held_against_its_lattice_part():
    require_escnn()
    out = said("audit", "c8cnn_28", "--measure")
    assert "exact: at 28x28 its feature maps move with the image under c4" in out
    assert "The two agree." in out and "No layer ties" not in out
    assert "The two agree." in said("audit", "c8cnn_28", "--size", 29, "--measure")


NET = """
    from torch import nn
    print("hello")
    def build():
        return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1))
    class Odd(nn.Conv2d):
        def __init__(self): super().__init__(3, 1, 1)
        def forward(self, x): return {}["no"]
    class TooSmall(Exception): pass
    class Own(nn.Conv2d):
        def __init__(self): super().__init__(3, 1, 1)
        def forward(self, x):
            if x.shape[-1] != 31: raise TooSmall("the patches\\nwant 31 pixels.")
            return super().forward(x)
    class Silent(Odd):
        def forward(self, x): assert x.shape[-1] == 31
    class Cropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        def forward(self, x): return self.head(self.stem(x)[:, :, :-1, :-1])
    class NoConv(nn.Module):
        def forward(self, x): return x.mean()
"""


@pytest.fixture
def mine(here):
    """A stranger's file with networks; its name."""
    name = f"stranger_{time.monotonic_ns()}"
    (here / f"{name}.py").write_text(textwrap.dedent(NET))
    return name


def test_a_network_of_ones_own(mine):
    result = run("audit", f"{mine}:build", "--size", 32, "--measure", "--json")
    found = json.loads(result.stdout)
    assert result.stderr == "hello\n", "what it prints is no output of ours"
    assert not found["exact"] and found["measured"]["agrees"] and not found["tied"]
    assert found["nearest"] == [[29, 29], [33, 33]]
    assert "exact: at 33x33" in said("audit", f"{mine}:build", "--size", 33)
    assert "of c4" in said("audit", f"{mine}:build", "--size", 33, "--group", "c4")


def test_an_exception_of_their_own_kind_is_no_end_of_looking_at_sizes(mine):
    assert said_after_hello("audit", f"{mine}:Own", "--sizes", "29..33").endswith(
        "Exact sizes from 29 to 33, 1 of 5: 31\n"
    )


def test_a_crop_is_named_and_not_the_layer_after_it(mine):
    out = said_after_hello("audit", f"{mine}:Cropped", "--size", 32)
    note = "cropping (asymmetric: top 0, bottom 1, left 0, right 1)"
    assert f"(forward)  {note}  32x32       1  1    e, r90m\n" in out
    assert "first broken  (forward)" in out and "conv" not in out
    assert "the forward (cropping): pad or crop the same number of pixels on every side" in out


def said_after_hello(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0 and result.stderr == "hello\n", result.output
    return result.stdout


def test_the_help_explains_r_and_phi():
    out = run("audit", "--help").stdout
    assert "r    pixels left over by the layer's window; 0 is exact" in out
    assert "phi  misalignment of the grid after the layer, in input pixels; 0 is exact" in out


def test_check_is_for_scripts(mine):
    assert run("audit", "p4cnn_28", "--check").exit_code == 0
    result = run("audit", "p4cnn_28", "--size", 29, "--check")
    assert result.exit_code == 1 and "approximate" in result.stdout
    assert result.stderr == "symdata: p4cnn_28 is not exact at 29x29\n"
    assert run("audit", "p4cnn_28", "--size", 29).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["p4cn_28"], "there is no model 'p4cn_28': neither bundled nor a folder; the nearest are "),
        (
            ["p4cnn_28", "--size", 5],
            "cannot run on an input (1, 3, 5, 5): images are 5x5, and this network runs from",
        ),
        (["p4cnn_28", "--channels", 5], "CNN cannot run on an input (1, 5, 28, 28)"),
        (["p4cnn_28", "--group", "c8"], "c8 moves pixels off their lattice"),
        (["p4cnn_28", "--group", "x"], "'x' is not a group"),
        (["p4cnn_28", "--group", "d4", "--measure"], "CNN is built on c4, which does not contain d4"),
        (["nowhere:build", "--size", 9], "'nowhere:build': there is no module 'nowhere'"),
        (["p4cnn_28.none"], "'p4cnn_28.none' is not bundled; bundled: "),
        (["os:getcwd", "--size", 9], "'os:getcwd' returned str, expected a torch.nn.Module"),
    ],
)
def test_refusals(here, arguments, sentence):
    assert sentence in refused("audit", *arguments)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("NoConv", "NoConv has no convolution to read the number of channels from; say in_chans=3"),
        ("Odd", "Odd cannot run on an input (1, 3, 32, 32): KeyError: 'no'; give a size and a number of channels that"),
        ("Own", "Own cannot run on an input (1, 3, 32, 32): TooSmall: the patches want 31 pixels; give a size and a"),
        ("Silent", "Silent cannot run on an input (1, 3, 32, 32): AssertionError; give a size and a number"),
    ],
)
def test_networks_that_cannot_be_traced(mine, name, sentence):
    result = run("audit", f"{mine}:{name}", "--size", 32)
    assert result.exit_code == 1 and result.stdout == ""
    assert sentence in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["p4cnn_28", "--size", "0"], "'0' is no size; expected pixels from 1 to 4096, as in 32, or 28x20."),
        (["p4cnn_28", "--size", "28x"], "'28x' is no size"),
        (["p4cnn_28", "--size", "99999"], "'99999' is no size"),
        (["p4cnn_28", "--sizes", "30..20"], "'30..20' is no range of sizes; expected from 1 to 4096, as in 20..100."),
        (["p4cnn_28", "--sizes", "20"], "'20' is no range"),
        (["torch.nn:ReLU"], "torch.nn:ReLU does not say its input size; add it, as in --size 32."),
    ],
)
def test_wrong_usage(here, arguments, sentence):
    assert sentence in refused("audit", *arguments, code=2)
