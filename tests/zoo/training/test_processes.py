"""Several processes train what one would: the same losses, one set of weights, one voice."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import ROOT
from tests.support.commands import run
from tests.support.processes import run_processes
from tests.support.training import dataset, lines
from zoo.checkpoint.folder import read_checkpoint

OPTIONS = (
    "--model p4cnn_12 --width 2 --batch-size 15 --epochs 3 --log-every 2 --schedule constant --symmetry d4".split()
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("training") / "data", count=110)


def launched(data, out, *options: object) -> subprocess.CompletedProcess:
    """A training of two processes, as torchrun starts it."""
    return torchrun(out.parent, "-m", "symdata", "train", data, "--out", out, *OPTIONS, *options)


def torchrun(place, *program: object) -> subprocess.CompletedProcess:
    """A program in two processes, in the folder `place`."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2, *program]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=300, env=environment, cwd=place
    )


LAUNCHED = """
import os
from pathlib import Path

dist.destroy_process_group()
os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(world),
                  MASTER_ADDR="127.0.0.1", MASTER_PORT=(Path(folder) / "port").read_text())
"""
"""The environment that torchrun gives each process."""

COMMAND = """
from cli.main import main

main((Path(folder) / "words").read_text().splitlines(), standalone_mode=False)
"""


def run_launched(program: str, folder, world: int) -> list[str]:
    """What each process prints that runs the program as torchrun would start it; `run_processes` starts it sooner."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        (folder / "port").write_text(str(probe.getsockname()[1]))
    return run_processes(LAUNCHED + program, folder, world)


def together(data, out, *options: object) -> list[str]:
    """A training of two processes: what each of them prints."""
    words = ["train", data, "--out", out, *OPTIONS, *options]
    (out.parent / "words").write_text("\n".join(map(str, words)))
    return run_launched(COMMAND, out.parent, world=2)


def losses(folder) -> list[float]:
    return [line.get("loss", line.get("window_loss")) for line in lines(folder)]


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "others"), [("adam", []), ("sgd", ["--class-weights", "1,2,3,4"])])
def test_the_losses_are_those_of_one_process(data, tmp_path, optimizer, others):
    """Batches of 13 and 14 images for two processes: unequal parts. A rate at which rounding is not amplified."""
    options = ["--optimizer", optimizer, "--lr", 1e-3 if optimizer == "sgd" else 1e-5, *others]
    one, two = tmp_path / "run1", tmp_path / "run2"
    alone = run("train", data, "--out", one, *OPTIONS, *options)
    assert alone.exit_code == 0, alone.output
    if optimizer == "adam":
        first, second = together(data, two, *options)
        assert first and not second, "one process speaks"
    else:
        done = launched(data, two, *options)
        assert done.returncode == 0, done.stderr
        assert done.stdout == alone.stdout.replace("run1", "run2"), "one process speaks"
    assert losses(two) == pytest.approx(losses(one), rel=1e-5) and len(losses(one)) > 9
    # Not weight by weight: batch norm takes away the bias before it, and adam makes full steps of its gradient, noise.
    images = load_file(one / "golden.safetensors")["images"]
    with torch.no_grad():
        a, b = (read_checkpoint(folder).model(images) for folder in (one, two))
    assert torch.allclose(a, b, rtol=0, atol=1e-4 * float(a.abs().max()))
    assert json.loads((two / "config.json").read_text())["training"]["processes"] == 2


PROGRAM = """
from tests.support.training import config
from zoo.training import loop, train

kept = {}
class Watched(loop.TrainingState):
    def end_epoch(self, metrics, length):
        super().end_epoch(metrics, length)
        kept["weights"] = torch.cat([v.flatten().double() for v in self.weights().values()])

loop.TrainingState = Watched
run = config(Path(folder) / "data", symmetry="so2", dropout=0.2, batch_size=16, device="cpu")
train(run)
assert not dist.is_initialized()
dist.init_process_group("gloo", init_method=f"file://{folder}/again", rank=rank, world_size=world)
mine = kept["weights"]
others = [torch.zeros_like(mine) for _ in range(world)]
dist.all_gather(others, mine)
assert all(torch.equal(other, mine) for other in others), "weights and running statistics are one"
"""


@pytest.mark.slow
def test_all_processes_hold_the_same_weights(tmp_path):
    dataset(tmp_path / "data", count=60)
    run_launched(PROGRAM, tmp_path, world=3)
    assert len(lines(tmp_path / "run")) > 2


@pytest.mark.slow
def test_refusals_end_every_process(data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    result = launched(data, tmp_path / "run")
    assert result.returncode != 0 and "is left alone: choose another --out" in result.stderr
    assert "Traceback" not in result.stderr.split("torch/distributed")[0]
    assert os.listdir(tmp_path / "run") == ["thesis.tex"]


@pytest.mark.slow
def test_several_seeds_and_patience(data, tmp_path):
    """Every process stops after the same epoch, and one run begins after the other."""
    options = ["--seeds", 2, "--epochs", 9, "--patience", 1, "--lr", 1e-3]
    together(data, tmp_path / "two", *options)
    assert run("train", data, "--out", tmp_path / "one", *OPTIONS, *options).exit_code == 0
    for seed in range(2):
        one, two = (json.loads((tmp_path / f"{n}-s{seed}/config.json").read_text())["training"] for n in ("one", "two"))
        assert one["stopped"]["epoch"] == two["stopped"]["epoch"] < 9 and two["processes"] == 2


TWICE = """
import zoo

for seed in (0, 1):
    result = zoo.train("p4cnn_12", "data", epochs=1, width=2, batch_size=16, seed=seed, out=f"run{seed}", device="cpu")
    print(result.config["training"]["processes"], flush=True)
"""


@pytest.mark.slow
def test_two_runs_in_one_script(data, tmp_path):
    """All groups of torchrun meet in one store, where a second one has to find its own addresses."""
    (tmp_path / "data").symlink_to(data)
    (tmp_path / "twice.py").write_text(TWICE)
    result = torchrun(tmp_path, "twice.py")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["2"] * 4
    alone = subprocess.run(
        [sys.executable, "-c", TWICE.replace("run{seed}", "one{seed}")],
        capture_output=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=300,
    )  # fmt: skip
    assert alone.returncode == 0
    for seed in range(2):
        one, two = (losses(tmp_path / f"{word}{seed}") for word in ("one", "run"))
        assert two == pytest.approx(one, rel=1e-4)
