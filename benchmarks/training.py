"""Training a small CNN with augmentation per batch, against training without, and against kornia per sample.

The network is that of Cohen and Welling 2016 (Z2CNN, 7 layers of 20 channels), the images are MNIST digits in memory.
"""

from benchmarks.harness import Bench, Case  # isort: skip  (sets the number of threads)

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from kornia.augmentation import RandomRotation
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.data import mnist
from symdata import RandomSymmetry

torch.set_num_threads(1)
BATCH, CHANNELS, CLASSES = 128, 20, 10

Batches = Iterable[tuple[Tensor, Tensor]]


def network() -> nn.Sequential:
    """Z2CNN: 26 k parameters, 28x28 to 10 classes."""
    layers: list[nn.Module] = []
    for i in range(6):
        layers += [nn.Conv2d(CHANNELS if i else 1, CHANNELS, 3), nn.BatchNorm2d(CHANNELS), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if i == 1 else []
    return nn.Sequential(*layers, nn.Conv2d(CHANNELS, CLASSES, 4), nn.Flatten())


def trainer(batches: Callable[[], Batches]) -> Callable[[], None]:
    """One epoch over `batches`, with a network of its own."""
    torch.manual_seed(0)
    model = network().train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def epoch() -> None:
        for images, labels in batches():
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()

    return epoch


def keep_memory() -> None:
    """Ask glibc to keep freed memory: else some cases pay page faults (up to a fifth) for what other cases freed."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, at its maximum
        libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD


class PerSample(Dataset[tuple[Tensor, Tensor]]):
    """Augmentation where torchvision tutorials put it: in `__getitem__`."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels, self.augment = images, labels, RandomRotation(180.0, p=1.0)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.augment(self.images[i])[0], self.labels[i]


def main() -> None:
    """Loading alone, then training."""
    bench = Bench("Training with augmentation: symdata per batch, kornia per sample, one thread")
    count = 2 * BATCH if bench.quick else 8 * BATCH
    keep_memory()
    # Through a list: the strides of one channel can pass for channels-last, and convolutions would take that path.
    images, labels = torch.stack(list(mnist(count).float() / 255.0)), torch.arange(count) % CLASSES

    def batches(augment: Callable[[Tensor], Tensor] = lambda x: x) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in zip(images.split(BATCH), labels.split(BATCH), strict=True):
            yield augment(x), y

    d4, so2, bilinear = RandomSymmetry("d4"), RandomSymmetry("so2"), RandomSymmetry("so2", resample="bilinear")
    kornia, few = RandomRotation(180.0, p=1.0), 2 * BATCH
    loader = DataLoader(PerSample(images[:few], labels[:few]), BATCH)
    ways: list[tuple[str, Callable[[], Batches], int | None, float | None]] = [
        ("no augmentation", batches, None, None),
        ("symdata RandomSymmetry d4", lambda: batches(d4), None, 0.95),
        ("symdata RandomSymmetry so2 (halves)", lambda: batches(so2), None, 0.95),
        ("symdata RandomSymmetry so2, bilinear", lambda: batches(bilinear), None, 0.95),
        ("kornia RandomRotation per batch", lambda: batches(kornia), None, None),
        ("kornia RandomRotation per sample, DataLoader", lambda: loader, few, None),
    ]
    loading = [Case(name, lambda way=way: list(way()), count=n) for name, way, n, _ in reversed(ways[1:])]
    bench.compare("loading alone", count, loading)
    training = [Case(name, trainer(way), target=target, count=n) for name, way, n, target in ways]
    bench.compare("training Z2CNN", count, training)
    bench.finish()


if __name__ == "__main__":
    main()
