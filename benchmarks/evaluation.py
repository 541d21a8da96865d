"""Evaluating over d4 in forwards, auditing ResNet44, and loading a checkpoint beside plain torch doing the same."""

from benchmarks.harness import Bench, Case  # isort: skip  (sets the number of threads)

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from safetensors.torch import load_file

from benchmarks.data import mnist
from symdata import Group
from zoo import audit, create, load
from zoo.checkpoint.manifest import read_config
from zoo.evaluation import accuracies
from zoo.files import bundled_folder
from zoo.models.registry import build

torch.set_num_threads(1)
ROOT = Path(__file__).parents[1]
NAME = "p4cnn_28.mnist-none"

PLAIN = """
import torch, torch.nn.functional as F
from safetensors.torch import load_file
w = load_file({path!r})
x = torch.zeros(1, 1, 28, 28)
with torch.inference_mode():  # seven convolutions with the expanded filters of the same network
    for i in range(7):
        bank = torch.randn(40, 1 if i == 0 else 40, *w[f"trunk.conv{{i + 1}}.weight"].shape[-2:])
        x = F.relu(F.conv2d(x, bank, padding=1 if i < 6 else 0))
        x = F.max_pool2d(x, 2) if i == 1 else x
    F.linear(x.mean((-2, -1)).view(1, 4, 10).amax(1), w["head.weight"], w["head.bias"]).softmax(1)
"""
OURS = """
import torch, zoo
model = zoo.load({name!r})
with torch.inference_mode():
    model(model.preprocessing(torch.zeros(1, 1, 28, 28, dtype=torch.uint8)))
"""


PREDICT = """
import torch, zoo
zoo.load({name!r}).predict(torch.zeros(1, 1, 28, 28, dtype=torch.uint8))
"""


def seconds(code: str) -> float:
    """Wall time of a fresh process; files of ours come compiled, as pip leaves an installed package."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=env)
    return time.perf_counter() - start


def starting(bench: Bench) -> None:
    """From nothing to the first prediction, in fresh processes that take turns."""
    folder = bundled_folder(NAME)
    plain, ours = PLAIN.format(path=str(folder / "model.safetensors")), OURS.format(name=NAME)
    predict = PREDICT.format(name=NAME)
    seconds(predict)  # compiles
    runs = [(seconds(plain), seconds(ours), seconds(predict)) for _ in range(bench.rounds)]
    bench.fact("loading", "plain torch, first prediction", median(p for p, _, _ in runs), "s")
    bench.fact("loading", "zoo.load, first prediction", median(o for _, o, _ in runs), "s")
    bench.fact("loading", "ratio", median(o / p for p, o, _ in runs), "x", target=1.1)
    bench.fact("loading", "zoo.load and predict, ratio", median(q / p for p, _, q in runs), "x", target=1.15)
    parameters = sum(p.numel() for p in load(NAME).parameters()) * 4
    size = (folder / "model.safetensors").stat().st_size
    bench.fact("loading", "checkpoint over its parameters' bytes", size / parameters, "x", target=1.05)


def predicting(bench: Bench) -> None:
    """One image in a process that has loaded everything: loading alone, and predicting alone."""
    folder, image = bundled_folder(NAME), torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    architecture, loaded = read_config(folder)["architecture"], load(NAME)

    def plain_load() -> torch.nn.Module:
        model = build(architecture).eval()
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model

    def plain_predict() -> torch.Tensor:
        with torch.no_grad():
            return loaded(loaded.preprocessing(image)).softmax(1)

    # zoo.load also reads config.json, hashes three files and classifies eight golden images, which plain torch does not
    title = f"{NAME}: loading, load_state_dict the reference"
    bench.compare(title, 1, [Case("load_state_dict", plain_load), Case("zoo.load", lambda: load(NAME), True)])
    run = Case("predict", lambda: loaded.predict(image), True, 1 / 1.15)
    bench.compare(f"{NAME}: one image, model(x).softmax the reference", 1, [Case("plain torch", plain_predict), run])


def evaluating(bench: Bench, name: str) -> None:
    """Accuracies over d4, against the best forward over the upright images."""
    count = 100 if bench.quick else 1000
    images, labels = mnist(count), torch.arange(count) % 10
    model = load(f"{name}.mnist-none")
    whole = model.preprocessing(images)

    def forward(layout: torch.memory_format) -> float:
        start = time.perf_counter()
        with torch.no_grad():
            for batch in whole.split(48):
                model(batch.clone(memory_format=layout))
        return time.perf_counter() - start

    # The reference is the faster of the two layouts of one-channel images, in batches that fit the cache.
    layout = min((torch.contiguous_format, torch.channels_last), key=lambda f: min(forward(f) for _ in range(3)))

    elements = Group.parse("d4").elements
    run = Case(
        "accuracies over d4", lambda: accuracies(model, images, labels, model.preprocessing, elements), True, 1 / 8.1
    )
    bench.compare(
        f"{name}: a d4 evaluation, one forward the reference",
        count,
        [Case("one forward", lambda: forward(layout)), run],
    )


def main() -> None:
    """Loading, evaluating, auditing."""
    bench = Bench("Loading, evaluating and auditing, one thread")
    starting(bench)
    predicting(bench)
    for name in ("p4cnn_28", "p4cnn_27"):
        evaluating(bench, name)
    for name in ("p4resnet44_32", "p4resnet44_33"):
        model, start = create(name), time.perf_counter()
        audit(model, int(name[-2:]))
        bench.fact("audit", name, time.perf_counter() - start, "s", target=1.0)
    bench.finish()


if __name__ == "__main__":
    main()
