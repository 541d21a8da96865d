"""Networks built of `zoo.layers` are exported, copied and saved like those of the zoo."""

import copy

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.built_networks import NETWORKS
from zoo.deployment import formats


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request):
    """A network and its program, which takes from 1 to 100 images."""
    torch.manual_seed(0)
    model, batch = NETWORKS[request.param]("d4").eval(), torch.export.Dim("batch", min=1, max=100)
    return model, torch.export.export(model, (torch.randn(4, 2, 12, 12),), dynamic_shapes=({0: batch},))


def test_a_program_of_torch_export_takes_any_batch(exported):
    model, program = exported[0], exported[1].module()
    for count in (1, 5):
        x = torch.randn(count, 2, 12, 12)
        with torch.no_grad():
            assert torch.allclose(program(x), model(x), atol=1e-5) and not torch.allclose(program(-x), model(x))


def test_onnxruntime_gives_the_same(exported):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    model, program = exported
    with formats._quiet():
        made = torch.onnx.export(program, input_names=["x"], dynamo=True, verbose=False)
    session = runtime.InferenceSession(made.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        x = torch.randn(count, 2, 12, 12)
        with torch.no_grad():
            found, wanted = torch.from_numpy(session.run(None, {"x": x.numpy()})[0]), model(x)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("kind", NETWORKS)
def test_copies_files_and_other_layouts_give_the_same(kind, tmp_path):
    model, fresh = (NETWORKS[kind]("d4").eval() for _ in range(2))
    x = torch.randn(3, 2, 12, 12)
    with torch.no_grad():
        wanted = model(x)
        assert torch.equal(copy.deepcopy(model)(x), wanted) and not torch.allclose(fresh(x), wanted)
        save_file(model.state_dict(), tmp_path / "mine.safetensors")
        fresh.load_state_dict(load_file(tmp_path / "mine.safetensors"))
        assert torch.equal(fresh(x), wanted)
        assert model(x[:0]).shape == (0, *wanted.shape[1:])
        last = fresh.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        assert torch.allclose(last, wanted, atol=1e-5)
        assert torch.allclose(model.double()(x.double()).float(), wanted, atol=1e-5)


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_parameter_gets_a_gradient(kind):
    model = NETWORKS[kind]("d4").train()
    model(torch.randn(4, 2, 12, 12)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] in (
        [],
        [name for name, _ in model.named_parameters() if name == "0.bias"],  # a norm after it subtracts it again
    )
