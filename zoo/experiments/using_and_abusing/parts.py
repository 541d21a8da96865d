""" "Using and Abusing Equivariance" (Edixhoven, Lengyel & van Gemert, ICCVW 2023), run again part by part.

knight    one strided convolution learns to tell a picture from its quarter turn, at 32 px and not at 31 or 33
sizes     the exact input sizes of every architecture, predicted and measured
upright   MNIST: exact, approximate and plain networks trained on upright digits, tested on turned ones
uniform   the same, trained on digits turned by any angle
biased    the same, trained on digits turned by about 45 degrees (`biased40`: a wider spread)
cifar     CIFAR-10: ResNet44 at 32 (approximate) and 33 pixels (exact)
"""

from functools import partial

from zoo.experiments.harness.experiment import Experiment, Part
from zoo.experiments.harness.mnist import mnist_folder
from zoo.experiments.harness.setting import Setting
from zoo.experiments.using_and_abusing import accuracies, cifar, knight, mnist, sizes


def _check_mnist(regime: str, setting: Setting) -> None:
    mnist_folder(setting.data, [part for part in setting.parts if part in mnist.REGIMES])


def _regime(name: str) -> Part:
    return Part(
        jobs=partial(mnist.jobs, name),
        report=partial(accuracies.report, name),
        prepare=partial(mnist.prepare, [name]),
        check=partial(_check_mnist, name),
    )


EXPERIMENT = Experiment(
    "using-and-abusing",
    "Using and Abusing Equivariance, reproduced",
    "Edixhoven, Lengyel & van Gemert, Using and Abusing Equivariance, ICCVW 2023, arXiv 2308.11316",
    {"knight": Part(knight.jobs, knight.report), "sizes": Part(sizes.jobs, sizes.report)}
    | {name: _regime(name) for name in mnist.REGIMES}
    | {"cifar": Part(cifar.jobs, cifar.report, cifar.prepare, cifar.check)},
)
