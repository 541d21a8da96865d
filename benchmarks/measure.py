"""Lie derivatives in forwards of the same network, in the same precision and batches; and the memory they take."""

from benchmarks.harness import Bench, Case  # isort: skip  (sets the number of threads)

import resource

import torch
from torch import Tensor, nn

from benchmarks.data import mnist
from zoo import load
from zoo.measure import flow, invariance_error, layerwise_equivariance_error, local_equivariance_error
from zoo.measure.model_copy import ModelCopy

torch.set_num_threads(1)

FOUR = ("rotation", "translate_x", "translate_y", "scale")


def costs(bench: Bench, name: str) -> None:
    """One motion by every method, four motions, all layers, and an orbit, with a float64 forward for the unit."""
    count, few = (64, 16) if bench.quick else (512, 64)
    model = load(name)
    x = model.preprocessing(mnist(count))
    # The reference runs in the batches that were found fastest for float64, on images that are turned a little: those
    # of MNIST have large constant areas, over which a pool finds its maximum sooner.
    work = ModelCopy(model, flow(x.double(), "rotation", 1e-3))

    def forward() -> None:
        with torch.no_grad():
            for _, batch in work.batches():
                work.run(batch)

    def local(method: str, images: int = count) -> None:
        local_equivariance_error(model, x[:images], "rotation", method=method)

    bench.compare(
        f"{name}: one forward in float64 the reference",
        count,
        [
            Case(f"one forward, in batches of {work.batch}", forward),
            Case("Lie derivative, central differences", lambda: local("central"), True, 1 / 2.2),
            Case("Lie derivative, forward mode", lambda: local("jvp"), True, 1 / 3.3),
            Case("Lie derivative, double backward", lambda: local("double-backward", few), True, None, few),
            Case("four motions", lambda: [local_equivariance_error(model, x, g) for g in FOUR], True, 1 / 10),
            Case("one motion, every layer", lambda: layerwise_equivariance_error(model, x[:few]), True, None, few),
            Case("invariance over d4", lambda: invariance_error(model, x), True, 1 / 8.1),
        ],
    )


def memory(bench: Bench, model: nn.Module, few: Tensor, many: Tensor) -> None:
    """What the process needs more for many images than for few."""

    def peak(x: Tensor) -> float:
        local_equivariance_error(model, x)
        local_equivariance_error(model, x, method="jvp")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before = peak(few)
    growth = peak(many) - before
    bench.fact("memory", f"growth of the peak from {len(few)} to {len(many):,} images", growth, "MiB", target=16.0)


def main() -> None:
    """Costs and memory."""
    bench = Bench("Measuring equivariance, one thread")
    model = load("z2cnn_28.mnist-none")
    x = model.preprocessing(mnist(256 if bench.quick else 1024))
    memory(bench, model, x[:64], x)  # first, for a peak only grows
    for name in ("z2cnn_28.mnist-none", "p4cnn_28.mnist-none"):
        costs(bench, name)
    bench.finish()


if __name__ == "__main__":
    main()
