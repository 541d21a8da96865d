"""Networks averaged over learned transformations: the average itself, its folder, and the objective that widens it."""

import json
import math

import pytest
import torch
import torch.nn.functional as F

import zoo
from symdata import Element, act
from symdata.transforms.learnable import LearnableAffine
from symdata.transforms.warp import apply_mask
from tests.support.checkpoints import NAME, SIZE, edit, golden, network, refused, save
from zoo import evaluate
from zoo.checkpoint.card import render_card
from zoo.checkpoint.manifest import sealed
from zoo.errors import CodeNeededError, ModelError
from zoo.models.averaged import AVERAGES, MAX_COPIES, InvarianceAverage
from zoo.models.registry import build, create, export, needs
from zoo.objectives.augerino import AugerinoObjective


def around(half_width, *, copies=4, average="log_prob", generators="rotation", name="z2cnn_20", **options):
    """A small lively network under an average."""
    return InvarianceAverage(network(name), LearnableAffine(generators, half_width, **options), copies, average).eval()


def logits(model, images):
    with torch.no_grad():
        return model(images)


def test_width_zero_is_the_network_itself():
    images = golden()
    still = around(0.0, average="logits", mask="none")
    assert (logits(still, images) - logits(still.network, images)).abs().max() < 1e-4
    masked, inside = around(0.0, average="logits"), apply_mask(images, "disk")
    assert (logits(masked, images) - logits(masked.network, inside)).abs().max() < 1e-4
    assert (logits(around(1.0, average="logits"), images) - logits(masked, images)).abs().max() > 1e-2


@pytest.mark.parametrize("average", AVERAGES)
def test_the_average_is_that_of_turned_images(average):
    """At a half-width of 180 degrees four copies are turned by 45, 135, 225 and 315 degrees."""
    model, images = around(math.pi, average=average), golden()
    each = torch.stack(
        [logits(model.network, act(images, Element(angle), resample="bilinear")) for angle in (45, 135, 225, 315)]
    )
    expected = {
        "logits": each.mean(0),
        "log_prob": each.log_softmax(-1).mean(0),
        "prob": each.softmax(-1).mean(0).log(),
    }
    for name, value in expected.items():
        assert ((logits(model, images) - value).abs().max() < 1e-4) == (name == average)


@pytest.mark.parametrize("average", AVERAGES)
def test_a_full_average_is_invariant_and_a_narrow_one_is_not(average):
    """Under quarter turns four copies of a full rotation only change places, and twelve under turns by 30 degrees."""
    images = apply_mask(golden(), "disk")

    def change(model, angle):
        turned = act(images, Element(angle), resample="bilinear")
        return float((logits(model, turned) - logits(model, images)).norm())

    assert change(around(math.pi, average=average), 90) < 1e-4 < 0.1 < change(around(0.0, average=average), 90)
    # White noise changes whenever it is resampled; a picture that is smooth hardly does
    images = F.avg_pool2d(F.avg_pool2d(images, 5, 1, 2), 5, 1, 2) * 10
    assert change(around(math.pi, average=average, copies=12), 30) < 0.2 * change(around(0.0, average=average), 30)


def test_evaluation_is_deterministic_and_does_not_look_at_the_batch():
    model, images = around(1.0), golden()
    first = logits(model, images)
    assert logits(model, images).equal(first)
    assert (torch.cat([logits(model, image[None]) for image in images]) - first).abs().max() < 1e-5
    state = torch.get_rng_state()
    logits(model, images)
    assert torch.get_rng_state().equal(state)


def test_training_draws_one_element_for_each_image():
    model, images = around(1.0), golden()
    model.train()
    model.network.eval()  # whose norms would look at the batch
    torch.manual_seed(3)
    first = logits(model, images)
    torch.manual_seed(3)
    draws = model.range.draw(len(images))
    assert logits(model.network, model.range(images, draws)).equal(first)
    assert len(draws.unique()) == len(images) and not logits(model, images).equal(first)


def test_the_widths_of_a_shared_augmentation_are_its_own():
    augment = LearnableAffine("rotation", 0.5)
    model = InvarianceAverage(network("z2cnn_20"), augment)
    assert model.range.half_width is augment.range.half_width
    with pytest.raises(ModelError, match="the augmentation is a Identity, expected a LearnableAffine"):
        InvarianceAverage(network("z2cnn_20"), torch.nn.Identity())


def averaged_network(generators="rotation,translate_x", **choices):
    made = create(NAME, in_chans=1, width=3, num_classes=4, seed=0, average=generators, **choices)
    made.network.load_state_dict(network().state_dict())
    made.range.half_width.data.copy_(torch.tensor([0.7, 1.5, 0.2])[: len(made.range.generators)])
    return made.eval()


def test_round_trip(tmp_path):
    model, images = averaged_network(copies=3), golden()
    folder = save(tmp_path / "m", model)
    again = zoo.load(folder)
    assert logits(again, images).equal(logits(model, images)) and not again.training
    assert again.half_widths() == model.half_widths() == pytest.approx({"rotation": 40.107, "translate_x": 1.5}, 1e-4)
    assert again.architecture == model.architecture and str(again.group) == "c4"
    assert again.features(images).equal(network().features(images))
    config = zoo.info(folder)
    assert config["weights"]["parameters"] == needs(model.architecture, SIZE).parameters
    # What an average over angles that are learned does to the grid is not known, and said so.
    assert not config["exactness"]["exact"] and config["exactness"]["verdict"].startswith("unknown: at 20x20 range")


def test_a_checkpoint_with_an_earlier_name_of_a_generator_is_the_same_network(tmp_path):
    """`shear` was the name of the diagonal stretch; learned ranges never had another one of that name."""
    model = averaged_network("rotation,diagonal_stretch")
    folder = save(tmp_path / "m", model)
    config = json.loads((folder / "config.json").read_text())
    assert config["architecture"]["generators"] == ["rotation", "diagonal_stretch"]
    earlier = json.loads(json.dumps(config).replace("diagonal_stretch", "shear"))
    (folder / "config.json").write_text(json.dumps(sealed(earlier)))
    again = zoo.load(folder)
    assert again.range.generators == ("rotation", "diagonal_stretch") and again.half_widths() == model.half_widths()
    assert logits(again, golden()).equal(logits(model, golden()))
    card = render_card(again.config, None)
    assert "rotation up to 40.1 degrees, diagonal stretch up to a factor of 2.72" in card


def test_a_saved_average_is_evaluated(tmp_path):
    model = zoo.load(save(tmp_path / "m", averaged_network()))
    images = torch.randint(0, 256, (12, 1, SIZE, SIZE), dtype=torch.uint8)
    report = evaluate(model, (images, torch.arange(12) % 4))
    said = json.loads(json.dumps(report.to_dict()))
    assert said["structure"]["verdict"].startswith("unknown")


def test_an_audit_says_that_it_does_not_know():
    said = zoo.audit(averaged_network(), SIZE)
    assert not said.exact and said.verdict.startswith("unknown: at 20x20 range (grid_sampler_2d): ")
    assert said.nearest == () and said.mends == () and len(said.undecided) == 3
    assert zoo.audit(averaged_network().network, SIZE).exact


def test_mixed_precision_keeps_the_angles():
    model, images = averaged_network(), golden()
    with torch.autocast("cpu", torch.bfloat16):
        moved = model.range(images, model.range.spread(8))
    assert (moved - model.range(images, model.range.spread(8))).abs().max() < 1e-5


def test_the_arithmetic_of_needs_is_what_is_built():
    model = averaged_network("rotation,scale,shear")
    asked = needs(model.architecture, SIZE)
    assert asked.parameters == sum(p.numel() for p in model.parameters())
    assert asked.largest_map == needs(model.architecture["network"], SIZE).largest_map
    rebuilt = build(json.loads(json.dumps(model.architecture)))
    assert [(k, v.shape) for k, v in rebuilt.state_dict().items()] == [
        (k, v.shape) for k, v in model.state_dict().items()
    ]
    assert export(model) is model and create(NAME, average="none", seed=0).architecture["name"] == NAME


def test_the_weights_of_a_seed_are_those_without_an_average():
    plain, wrapped = create(NAME, seed=4), create(NAME, seed=4, average="rotation")
    assert all(v.equal(wrapped.network.state_dict()[k]) for k, v in plain.state_dict().items())


def test_a_custom_augmentation_is_saved_as_a_network_of_ones_own(tmp_path):
    model = around(0.1, name=NAME, mask="none")
    folder = save(tmp_path / "m", model)
    with pytest.raises(CodeNeededError, match="its class InvarianceAverage was given as a module"):
        zoo.load(folder)
    images = torch.rand(2, 1, SIZE, SIZE)
    with torch.no_grad():
        assert torch.equal(zoo.load(folder, arch=model)(images), model.eval()(images))


HOSTILE = [
    ({"copies": 10**9}, f"copies is 1000000000, expected a whole number from 1 to {MAX_COPIES}"),
    ({"copies": True}, "copies is True"),
    ({"copies": 4.0}, "copies is 4.0"),
    ({"average": "mean"}, "average is 'mean', expected one of log_prob, logits, prob"),
    ({"average": ["prob"]}, r"average is \['prob'\]"),
    ({"generators": []}, r"generators are \[\], expected some of"),
    ({"generators": ["rotation"] * 10**4}, "expected some of"),
    ({"generators": "rotation"}, "expected a list of names"),
    ({"generators": ["rotation", {}]}, "there is no generator {}"),
    ({"generators": ["rotation", "rotation"]}, "name one twice"),
    ({"network": None}, "the network that is averaged is None"),
    ({"network": {"form": "averaged"}}, "expected one that zoo.create makes"),
    ({"network": {"name": "p4cnn_28"}}, "expected exactly the keys"),
    ({"extra": 1}, "expected exactly the keys form, generators, copies, average, network"),
    ({"network": averaged_network().architecture["network"] | {"width": 4096}}, "at most 200,000,000 are built"),
]


@pytest.mark.parametrize(("change", "sentence"), HOSTILE)
def test_a_hostile_architecture_is_refused_in_a_line(change, sentence):
    architecture = averaged_network().architecture | change
    for reader in (build, lambda asked: needs(asked, SIZE)):
        with pytest.raises(ModelError, match=sentence) as caught:
            reader(architecture)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_a_folder_that_lies_is_refused(tmp_path):
    folder = save(tmp_path / "m", averaged_network())
    edit(folder, lambda config: config["architecture"].update(generators=["rotation", "scale"]))
    assert "does not give the logits" in refused(folder)
    edit(folder, lambda config: config["architecture"].update(generators=["rotation"]))
    assert "half_width" in refused(folder)


def test_create_refuses_an_unknown_generator():
    with pytest.raises(ModelError, match=r"did you mean rotation.*for example average='rotation,translate_x'"):
        create(NAME, average="rotaton")
    with pytest.raises(ModelError, match="copies is 0"):
        create(NAME, average="rotation", copies=0)
    with pytest.raises(ModelError, match="copies is 3 and there is no average"):
        create(NAME, copies=3)


def test_the_bonus_is_the_norm_of_the_widths():
    model = averaged_network()
    penalty = AugerinoObjective(reg=0.1).penalty(model)
    penalty.backward()
    norm = 2 * math.hypot(0.7, 1.5)
    assert penalty.item() == pytest.approx(-0.1 * norm, rel=1e-6)
    assert model.range.half_width.grad.tolist() == pytest.approx([-0.4 * 0.7 / norm, -0.4 * 1.5 / norm], rel=1e-5)


def test_the_bonus_is_off_at_the_cap():
    model = averaged_network("rotation")
    for half, sign in ((3.0, -1), (-3.0, 1), (3.15, 0), (-3.3, 0)):
        model.range.half_width.data.fill_(half)
        model.range.half_width.grad = None
        AugerinoObjective().penalty(model).backward()
        slope = model.range.half_width.grad.item()
        assert math.copysign(1, slope) == sign if sign else slope == 0


def test_widths_have_a_rate_of_their_own_and_no_decay():
    model = averaged_network()
    rest, widths = AugerinoObjective(lr_scale=7.0).groups(model, 1e-2)
    assert widths["params"] == [model.range.half_width]
    assert (widths["weight_decay"], widths["lr_scale"], rest["weight_decay"]) == (0.0, 7.0, 1e-2)
    assert {id(p) for p in rest["params"]} == {id(p) for p in model.network.parameters()}
    assert AugerinoObjective().after_epoch(model, 1, list) == {
        "half_width rotation": 40.107,
        "half_width translate_x": 1.5,
    }


def test_the_objective_refuses_a_network_without_an_average():
    with pytest.raises(ModelError, match="CNN has none; make it with average='rotation'"):
        AugerinoObjective().check(network())
    AugerinoObjective().check(averaged_network())


def learned(reg, flat, steps=60):
    """The half-width in degrees, of a task that turning never changes (`flat`) or one that it does."""
    generator = torch.Generator().manual_seed(0)
    model = around(0.15)
    optimizer = torch.optim.Adam(
        [{"params": model.network.parameters()}, {"params": [model.range.half_width], "lr": 0.1}], lr=0.01
    )
    rows = torch.linspace(1, -1, SIZE)[:, None].expand(SIZE, -1)
    torch.manual_seed(0)
    for _ in range(steps):
        labels = torch.randint(0, 2, (32,), generator=generator)
        images = 0.1 * torch.randn(32, 1, SIZE, SIZE, generator=generator)
        images += (2 * labels - 1).view(-1, 1, 1, 1) * (1.0 if flat else rows)
        loss = F.cross_entropy(model.train()(images), labels) + AugerinoObjective(reg=reg).penalty(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.half_widths()["rotation"]


def test_the_bonus_fills_what_the_task_leaves_open():
    """Whether a picture is bright stays when it is turned; whether it is bright above changes sides at 90 degrees."""
    assert learned(0.1, flat=True) > 170
    assert 60 < learned(0.1, flat=False) < 120
    assert learned(0.0, flat=True) < 60  # nothing pulls, and it wanders
