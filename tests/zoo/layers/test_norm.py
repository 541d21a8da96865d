"""The norm across processes is that of one process with the whole batch; second derivatives in any format."""

import pytest
import torch
from torch import nn

from tests.support.processes import run_processes
from zoo.errors import SymdataError
from zoo.layers import GroupBatchNorm2d
from zoo.models.registry import create

TOLERANCE = 1e-12

PROGRAM = """
from torch.nn.parallel import DistributedDataParallel
from zoo.layers import GroupBatchNorm2d
from zoo.models.registry import create

def train(case):
    part = slice(0, case["cut"]) if rank == 0 else slice(case["cut"], None)
    images, labels = case["images"][part], case["labels"][part]
    if case["last"]:
        images = images.to(memory_format=torch.channels_last)
    net = create(case["name"], width=case["width"], seed=0).double()
    for module in net.modules():
        if isinstance(module, GroupBatchNorm2d):
            module.synchronised = case["synchronised"]
    parallel = DistributedDataParallel(net)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    losses, gradients = [], []
    for _ in range(case["steps"]):
        optimiser.zero_grad()
        # DDP averages over the processes, and the loss over the whole batch is a sum divided by its length
        loss = torch.nn.functional.cross_entropy(parallel(images), labels, reduction="sum") / len(case["images"])
        (loss * world).backward()
        dist.all_reduce(total := loss.detach().clone())
        losses.append(total)
        gradients.append([p.grad.clone() for p in net.parameters()])
        optimiser.step()
    return {"losses": losses, "gradients": gradients, "state": net.state_dict()}

def layer(images):
    norm = GroupBatchNorm2d("c4", 3).double()
    x = (images if rank == 0 else images[:0]).clone().requires_grad_()  # the second process has nothing to give
    y = norm(x)
    (y ** 3).sum().backward()
    return {"y": y.detach(), "dx": x.grad, "var": norm.running_var}

given = torch.load(folder + "/given.pt")
found = {name: train(case) for name, case in given["cases"].items()}
torch.save(found | {"layer": layer(given["images"])}, f"{folder}/{rank}.pt")
"""


def case(name, width, cut, steps, last=False, synchronised=True):
    size = int(name.split("_")[1])
    generator = torch.Generator().manual_seed(1)
    return {
        "name": name, "width": width, "cut": cut, "last": last, "steps": steps, "synchronised": synchronised,
        "images": 5 + torch.randn(8, 3, size, size, generator=generator, dtype=torch.float64),
        "labels": torch.arange(8),
    }  # fmt: skip


CASES = {
    "unequal": case("p4cnn_8", 3, 5, 3),
    "channels_last": case("p4mresnet44_9", 1, 4, 1, last=True),
    "control": case("p4cnn_8", 3, 5, 3, synchronised=False),
}

# E[x^2] - E[x]^2 would lose every digit of this variance
FAR = 1e8 + torch.randn(5, 12, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    torch.save({"cases": CASES, "images": FAR}, folder / "given.pt")
    run_processes(PROGRAM, folder)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def alone(case):
    """What one process with the whole batch gives."""
    net = create(case["name"], width=case["width"], seed=0).double()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    losses, gradients = [], []
    for _ in range(case["steps"]):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(case["images"]), case["labels"])
        loss.backward()
        losses.append(loss.detach())
        gradients.append([p.grad.clone() for p in net.parameters()])
        optimiser.step()
    return {"losses": losses, "gradients": gradients, "state": net.state_dict()}


def close(a, b, tolerance=TOLERANCE):
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["unequal", "channels_last"])
def test_two_processes_train_like_one_with_the_whole_batch(name, parts):
    expected = alone(CASES[name])
    for part in parts:
        for a, b in zip(part[name]["losses"], expected["losses"], strict=True):
            assert close(a, b)
        for ours, theirs in zip(part[name]["gradients"], expected["gradients"], strict=True):
            assert all(close(a, b) for a, b in zip(ours, theirs, strict=True))
        assert all(close(value, expected["state"][key]) for key, value in part[name]["state"].items())
    for key, value in parts[0][name]["state"].items():
        assert torch.equal(value, parts[1][name]["state"][key]), key


def test_control_without_synchronisation_the_curve_is_another(parts):
    expected = alone(CASES["control"])
    losses = parts[0]["control"]["losses"]
    assert not any(close(a, b, 1e-4) for a, b in zip(losses, expected["losses"], strict=True))
    means = [part["control"]["state"]["trunk.norm1.running_mean"] for part in parts]
    assert not close(*means, 1e-4)


def test_statistics_far_from_zero_and_a_process_without_images(parts):
    norm = GroupBatchNorm2d("c4", 3).double()
    x = FAR.clone().requires_grad_()
    y = norm(x)
    (y**3).sum().backward()
    found = parts[0]["layer"]
    assert close(found["y"], y.detach(), 1e-6) and close(found["dx"], x.grad, 1e-5)
    assert all(close(part["layer"]["var"], norm.running_var, 1e-6) for part in parts)
    assert parts[1]["layer"]["y"].shape == parts[1]["layer"]["dx"].shape == (0, 12, 4, 4)


@pytest.mark.parametrize("format_", [torch.contiguous_format, torch.channels_last])
def test_second_derivatives_in_either_format(format_):
    norm = GroupBatchNorm2d("c2", 2).double()
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64).contiguous(memory_format=format_).requires_grad_()
    weight, bias = (torch.randn(2, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def function(x, weight, bias):
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradgradcheck(function, (x, weight, bias))
    norm.weight.requires_grad_(False)
    (first,) = torch.autograd.grad(norm(x).square().sum(), x, create_graph=True)
    assert torch.isfinite(torch.autograd.grad(first.square().sum(), x)[0]).all()


@pytest.mark.parametrize("format_", [torch.contiguous_format, torch.channels_last])
def test_in_eval_mode_it_is_batch_norm_2d_of_the_repeated_values(format_):
    norm, plain = GroupBatchNorm2d("d4", 3), nn.BatchNorm2d(24)
    x = torch.randn(4, 24, 5, 5).to(memory_format=format_)
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    trained = norm(x)
    plain.load_state_dict({name: value.repeat(8) for name, value in norm.state_dict().items()}, strict=False)
    y, expected = norm.eval()(x), plain.eval()(x)
    assert torch.equal(y, expected) and y.stride() == expected.stride() and not torch.allclose(y, trained)
    y.square().sum().backward()
    expected.square().sum().backward()
    for ours, theirs in zip(norm.parameters(), plain.parameters(), strict=True):
        assert close(ours.grad, theirs.grad.view(8, 3).sum(0), 1e-5)


@pytest.mark.parametrize("format_", [torch.contiguous_format, torch.channels_last])
def test_one_value_per_field_is_refused(format_):
    norm = GroupBatchNorm2d("c1", 3)
    with pytest.raises(SymdataError, match="one value per field has no variance; train with larger batches"):
        norm(torch.zeros(1, 3, 1, 1).to(memory_format=format_))
    assert norm.running_var.equal(torch.ones(3))
