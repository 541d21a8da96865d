""" "Using and Abusing Equivariance" (Edixhoven, Lengyel & van Gemert, ICCVW 2023), run again part by part.

knight    one strided convolution learns to distinguish a picture from its quarter turn, at 32 px and not at 31 or 33
sizes     the exact input sizes of every architecture, predicted and measured
upright   MNIST: exact, approximate and plain networks trained on upright digits, tested on turned ones
uniform   the same, trained on digits turned by any angle
biased    the same, trained on digits turned by about 45 degrees (`biased40`: a wider spread)
cifar     CIFAR-10: ResNet44 at 32 (approximate) and 33 pixels (exact)
"""

from functools import partial

from zoo.experiments.harness.experiment import Experiment, Part
from zoo.experiments.using_and_abusing import accuracies, cifar, knight, mnist, sizes
from zoo.experiments.using_and_abusing.claims import CONDITIONS


def _regime(name: str) -> Part:
    return Part(
        f"MNIST, {mnist.REGIMES[name].title}",
        partial(mnist.requests, name),
        mnist.run,
        partial(accuracies.report, name),
        partial(mnist.datasets, name),
        CONDITIONS[name],
        mnist=True,
    )


EXPERIMENT = Experiment(
    "Using and Abusing Equivariance, reproduced",
    "Edixhoven, Lengyel & van Gemert, Using and Abusing Equivariance, ICCVW 2023, arXiv 2308.11316",
    {"knight": knight.PART, "sizes": sizes.PART}
    | {name: _regime(name) for name in mnist.REGIMES}
    | {"cifar": cifar.PART},
)
