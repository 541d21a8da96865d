"""Networks of relaxed convolutions: strict at first, counted by arithmetic, saved, and honest about what they hold."""

import pytest
import torch
from torch import nn

import zoo
from symdata.errors import ShapeError
from tests.support.checkpoints import golden, network, save
from tests.support.nets import NARROW
from zoo.errors import ModelError
from zoo.exactness.audits import audit
from zoo.layers import GroupConv2d, LiftingConv2d
from zoo.layers.bank import BankedConv2d
from zoo.layers.relaxed import RELAXATIONS, convolutions
from zoo.measure import degree_of_equivariance, model_degree
from zoo.measure.feature_error import feature_error
from zoo.models.names import ModelName
from zoo.models.registry import build, create, needs
from zoo.models.spec import NetworkSpec
from zoo.objectives import objective_of, parse_objective

NAMES = ("p4cnn_28", "p4mcnn2_28", "p4cwcnn_28", "p4resnet44_33", "p4mresnet18_33", "p4pcamresnet44_33", "p4knight_33")
FREE = {
    "likelihood": "logits",
    "residual": "free",
    "banks": "mixture",
    "bias": "taps",
    "partial": "keep",
    "free": "weight",
}
"""The last part of the name of the parameters that break the symmetry."""


def make(name, relax, **choices):
    return create(name, relax=relax, width=NARROW.get(ModelName.parse(name).architecture, 3), seed=0, **choices)


def broken(model, relax):
    """The same network, with the symmetry of all its relaxed layers broken."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(f".{FREE[relax]}"):
                p.add_(0.5 * torch.randn_like(p))
                if relax == "partial":
                    p[0] = -1
    return model.eval()


@pytest.mark.parametrize("relax", ["none", *RELAXATIONS])
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_arithmetic(name, relax):
    if (name, relax) == ("p4knight_33", "partial"):
        pytest.skip("refused")
    model = make(name, relax)
    assert needs(model.architecture, 33).parameters == sum(p.numel() for p in model.parameters())
    assert model.architecture.get("relax", "none") == relax
    assert ("relax" in model.architecture) is (relax != "none")
    again = build(model.architecture)
    assert again.architecture == model.architecture
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}
    convs = [m for m in model.modules() if isinstance(m, BankedConv2d)]
    kinds = set(convolutions(relax)) if len(convs) > 1 else {convolutions(relax)[0]}
    assert {type(m) for m in convs} == kinds


@pytest.mark.parametrize("relax", RELAXATIONS)
@pytest.mark.parametrize("name", ["p4mcnn_28", "p4resnet44_33"])
def test_a_network_starts_exact_and_leaves_its_group(name, relax):
    model, size = make(name, relax).eval(), ModelName.parse(name).size
    assert max(feature_error(model, size, images=2).by_element.values()) < 1e-9
    assert audit(model, size).exact and model_degree(degree_of_equivariance(model)) == 1.0
    broken(model, relax)
    assert max(feature_error(model, size, images=2).by_element.values()) > 1e-3
    assert model_degree(degree_of_equivariance(model)) < 0.95


def test_an_audit_tells_grids_from_weights():
    model = make("p4cnn_28", "residual").eval()
    strict = audit(model, 28)
    assert strict.exact and strict.relaxed == () and strict.verdict.startswith("exact: ")
    assert "relaxed" not in strict.to_dict()
    with torch.no_grad():
        model.trunk.conv3.free.normal_(std=0.02)
    said = audit(model, 28)
    assert not said.exact and said.phi == (0, 0) and said.relaxed == ("trunk.conv3",)
    assert said.degree == pytest.approx(model_degree(degree_of_equivariance(model)))
    assert said.verdict.startswith("approximate: at 28x28 the grids are exact under c4; 1 layer is relaxed, ")
    assert said.verdict.endswith(f"up to degree {said.degree:.2g}")
    assert said.to_dict()["relaxed"] == ["trunk.conv3"] and said.to_dict()["exact"] is False
    assert audit(model, 27).verdict.startswith("approximate: at 27x27 trunk.pool2")


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("relax", RELAXATIONS)
def test_a_checkpoint_comes_back_and_does_not_claim_too_much(tmp_path, relax, left):
    model = network(relax=relax, width=2).eval()
    if left:
        broken(model, relax)
    loaded = zoo.load(save(tmp_path / "m", model))
    images = golden()
    with torch.no_grad():
        assert torch.equal(loaded(images), model(images))
    assert loaded.architecture == model.architecture and loaded.architecture["relax"] == relax
    said, card = loaded.config["exactness"], (tmp_path / "m" / "README.md").read_text()
    assert said["exact"] is said["tied"] is not left
    assert said["verdict"].startswith("approximate" if left else "exact")
    assert ("**Exactly**" in card) is not left and ("**As far as it learned.**" in card) is left


@pytest.mark.parametrize(
    ("name", "relax", "sentence"),
    [
        ("z2cnn_28", "bias", "relax is 'bias' and z2cnn_28 has no group to leave; take p4cnn_28"),
        (
            "gcp4resnet44_33",
            "banks",
            "gcp4resnet44_33 has separable filters, which are not relaxed; take p4resnet44_33",
        ),
        ("p4knight_33", "partial", "p4knight_33 has a lifting layer alone, which stays a full one; take 'bias'"),
        (
            "p4cnn_28",
            "loose",
            "relax is 'loose', expected none or one of banks, bias, free, likelihood, partial, residual",
        ),
        ("p4cnn_28", 3, "relax is 3, expected none or one of"),
        ("z2pathcnn_16", "bias", "relax is 'bias' and z2pathcnn_16 has no such choice"),
    ],
)
def test_what_cannot_be_relaxed_is_refused(name, relax, sentence):
    with pytest.raises(ModelError, match=sentence):
        create(name, relax=relax)


def test_an_unknown_word_is_refused_by_the_layers_too():
    assert convolutions() == (LiftingConv2d, GroupConv2d)
    with pytest.raises(ShapeError, match="relaxation 'loose' is unknown"):
        convolutions("loose")


@pytest.mark.parametrize("value", [None, 1, "loose", ["bias"]])
def test_an_architecture_from_elsewhere_is_checked(value):
    architecture = NetworkSpec.of("p4cnn_28").to_dict() | {"relax": value}
    with pytest.raises(ModelError, match="expected none or one of"):
        build(architecture)


# Objectives


@pytest.mark.parametrize("word", ["likelihood", "residual", "banks", "partial"])
def test_each_objective_acts_on_its_own_network_alone(word):
    model = make("p4cnn_28", word)
    objective = objective_of(model, "auto")
    assert objective.name == word and str(parse_objective(str(objective))) == word
    groups = objective.groups(model, 1e-4)
    counted = [id(p) for group in groups for p in group["params"]]
    assert sorted(counted) == sorted(id(p) for p in model.parameters())  # each once
    penalty = objective.penalty(model)
    assert penalty is None if word == "residual" else float(penalty.detach()) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ModelError, match=f"make it with relax='{word}'"):
        objective_of(make("p4cnn_28", "bias"), word)


def test_the_penalties_of_likelihoods():
    model = make("p4cnn_28", "likelihood").double()
    chances = [m for m in model.modules() if hasattr(m, "misalignment")]
    first, second = [0.1, 0.6, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1]
    chances[0].assign(torch.tensor(first, dtype=torch.float64))
    chances[1].assign(torch.tensor(second, dtype=torch.float64))

    def kl(p, q):
        p, q = torch.tensor(p), torch.tensor(q)
        return float((p * (p / q).log()).sum())

    flat = [0.25] * 4
    terms = {
        "align=1,kl=0,uniform=0": torch.tensor(6.0).log(),
        "align=0,kl=1,uniform=0": kl(second, first) + kl(flat, second),
        "align=0,kl=0,uniform=1": kl(first, flat),
    }
    for text, wanted in terms.items():
        found = parse_objective(f"likelihood:{text}").penalty(model)
        assert float(found.detach()) == pytest.approx(float(wanted), rel=1e-5), text


def test_a_later_likelihood_is_pulled_to_the_one_before_and_not_the_other_way():
    model = make("p4cnn_28", "likelihood")
    logits = [m.logits for m in model.modules() if hasattr(m, "misalignment")]
    nn.init.constant_(logits[3], 0.3)
    parse_objective("likelihood:align=0,kl=1,uniform=0").penalty(model).backward()
    moved = [i for i, p in enumerate(logits) if p.grad is not None and float(p.grad.norm()) > 1e-6]
    assert moved == [3, 4]  # 3 to the uniform 2, and 4 to 3; 2 is not pulled to 3


def test_the_groups_of_the_optimiser():
    def special(word, text):
        model = make("p4cnn_28", word)
        rest, own = parse_objective(text).groups(model, 1e-4)
        names = {id(p): name.split(".")[-1] for name, p in model.named_parameters()}
        assert rest["weight_decay"] == 1e-4
        return {names[id(p)] for p in own["params"]}, own["weight_decay"], own["lr_scale"]

    assert special("likelihood", "likelihood") == ({"logits"}, 0.0, 10.0)
    assert special("partial", "partial") == ({"keep"}, 0.0, 10.0)
    assert special("residual", "residual:free_decay=0.5") == ({"free"}, 0.5, 1.0)


def test_the_penalties_of_banks_and_subsets():
    model = make("p4cnn_28", "banks").double()
    with torch.no_grad():
        model.trunk.conv2.mixture[1, 2] += 0.5
    assert float(parse_objective("banks:alpha=2").penalty(model).detach()) == pytest.approx(2 * 6 * 0.5)
    model = make("p4cnn_28", "partial").double()
    with torch.no_grad():
        model.trunk.conv3.keep[0] = 0.0  # dropped to 0.5 here, and kept by the next layer
    usual = float(torch.tensor(2.0).sigmoid())
    assert float(parse_objective("partial:monotone=2").penalty(model).detach()) == pytest.approx(2 * (usual - 0.5))
