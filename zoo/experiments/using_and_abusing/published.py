"""What "Using and Abusing Equivariance" measured, as data (Edixhoven, Lengyel & van Gemert, ICCVW 2023, 2308.11316).

The accuracies are those of the 880 runs whose logs the authors published beside their code (TFedixhoven/
using_equivariance, `experiments/rotmnist/training_output/*.out`): trained on 8,000 images of MNIST's test split, tested
on the 60,000 of its train split, in percent. Each is the mean over seeds and the population standard deviation (the
square root of the mean squared deviation, as in the authors' notebook). The tables of the paper itself were not at
hand; nothing here is quoted from them.
"""

import math
from typing import NamedTuple

from zoo.experiments.harness.statistics import Figure

MODELS = ("p4cnn_28", "p4cnn_27", "p4cnn_29", "z2cnn_28")
"""The exact network, the two approximate ones, and the plain one."""

MEASURES = ("0", "90", "180", "270", "turned", "diagonal", "angles")
"""Accuracy on images turned by so many degrees; the mean over 90, 180 and 270; the mean over the angles near 45 degrees
(`DIAGONAL`); the mean over the 36 angles 0, 10, ..., 350."""

DIAGONAL = {
    "upright": (40, 50, 130, 140, 220, 230, 310, 320),
    "uniform": (40, 50, 130, 140, 220, 230, 310, 320),
    "biased": (40, 50),
    "biased40": (40, 50),
}
"""Regime -> the angles, in degrees, whose mean is called `diagonal`: all that are 5 degrees off a diagonal, or those
around the mode of a biased training set."""

SEEDS = {"upright": 100, "uniform": 100, "biased": 10, "biased40": 10}
"""Regime -> runs of each model."""


_ACCURACY = {
    "upright": """
        p4cnn_28  97.69±0.17  =           =           =           97.69±0.17  73.55±2.56  87.22±1.11
        p4cnn_27  98.52±0.26  78.65±6.00  50.23±3.07  82.81±5.31  70.56±3.79  54.74±2.36  66.17±2.35
        p4cnn_29  98.42±0.25  80.13±5.94  51.11±3.45  81.59±6.22  70.94±4.19  54.42±3.06  66.29±2.93
        z2cnn_28  98.47±0.17  17.90±1.81  44.74±1.35  17.25±2.06  26.63±1.13  40.02±1.39  42.79±0.86""",
    "uniform": """
        p4cnn_28  96.89±0.21  =           =           =           96.89±0.21  96.59±0.22  96.68±0.20
        p4cnn_27  96.92±0.27  96.77±0.29  96.59±0.35  96.83±0.27  96.73±0.29  96.49±0.33  96.55±0.30
        p4cnn_29  96.87±0.25  96.72±0.28  96.52±0.37  96.76±0.27  96.67±0.29  96.45±0.30  96.51±0.27
        z2cnn_28  91.60±1.25  89.60±2.38  88.40±2.23  89.63±2.18  89.21±1.76  89.12±1.64  89.39±1.55""",
    "biased": """
        p4cnn_28  95.86±0.46  =           =           =           95.86±0.46  97.11±0.47  96.46±0.47
        p4cnn_27  96.72±0.37  95.93±0.39  59.06±3.25  58.25±3.67  71.08±2.11  98.00±0.22  78.44±1.33
        p4cnn_29  96.68±0.33  95.88±0.45  57.94±3.44  56.41±3.01  70.08±2.01  98.10±0.11  78.25±1.40
        z2cnn_28  94.09±0.63  88.39±2.53  42.57±0.75  38.18±1.17  56.38±1.01  97.41±0.43  61.54±0.92""",
    "biased40": """
        p4cnn_28  96.76±0.20  =           =           =           96.76±0.20  96.56±0.17  96.59±0.18
        p4cnn_27  97.57±0.18  97.35±0.14  82.15±3.08  82.32±3.37  87.27±2.03  97.49±0.18  90.15±1.24
        p4cnn_29  97.55±0.15  97.16±0.24  77.92±2.90  81.09±4.00  85.39±1.92  97.51±0.17  88.89±1.17
        z2cnn_28  95.80±0.37  94.71±0.54  46.46±1.02  46.05±1.40  62.41±0.59  96.52±0.26  72.41±0.83""",
}
"""Regime -> a row for each model, a column for each of MEASURES; `=` repeats the column 0: for the exact network the
logs have the same count at every multiple of 90 degrees, to within one image of 60,000."""


def _read(regime: str) -> dict[str, dict[str, Figure]]:
    rows = [line.split() for line in _ACCURACY[regime].split("\n") if line]
    return {row[0]: dict(zip(MEASURES, _figures(row[1:], SEEDS[regime]), strict=True)) for row in rows}


def _figures(cells: list[str], n: int) -> list[Figure]:
    pairs = [(cells[0] if cell == "=" else cell).split("±") for cell in cells]
    return [Figure(float(mean), float(sd), n) for mean, sd in pairs]


ACCURACY: dict[str, dict[str, dict[str, Figure]]] = {regime: _read(regime) for regime in _ACCURACY}
"""Regime -> model -> measure -> accuracy in percent. The regimes: `upright`, no augmentation; `uniform`, each training
image turned once by an angle uniform on 0..360; `biased` and `biased40`, one angle a batch, Gaussian around 45 degrees
with standard deviation 20 or 40."""

_QUARTER = "97.7 96.2 92.2 83.3 74.4 72.7 81.2 91.0 96.4"
_CURVES = {
    "p4cnn_28": " ".join([_QUARTER] * 4),
    "p4cnn_27": """
        98.5 97.6 94.7 87.0 75.8 68.1 68.5 74.1 77.6 78.6 70.8 59.6 47.4 40.4 38.8 41.2 46.2 49.1
        50.2 49.3 46.0 41.5 39.7 43.0 52.3 65.1 75.7 82.8 79.1 73.5 66.2 63.5 68.6 81.1 92.8 97.4""",
    "z2cnn_28": """
        98.5 97.5 94.1 83.8 67.0 49.3 34.2 24.6 19.1 17.9 18.0 18.3 20.4 25.0 30.7 37.0 41.9 44.4
        44.7 44.8 42.0 37.0 32.0 27.8 23.8 20.8 18.9 17.2 16.3 16.8 21.3 34.0 54.5 77.1 92.2 97.6""",
}

CURVES: dict[str, dict[str, tuple[float, ...]]] = {
    "upright": {model: tuple(float(value) for value in text.split()) for model, text in _CURVES.items()}
}
"""Regime -> model -> mean accuracy in percent at 0, 10, ..., 350 degrees, one decimal, over 100 seeds. Corners that a
turn leaves empty are filled with 0 after normalisation."""


PARAMETERS: dict[str, tuple[int, int | None]] = {
    "p4cnn_28": (24_990, None),
    "z2cnn_28": (25_570, None),
    "p4knight_32": (14, None),
    "p4pcamresnet44_97": (128_652, None),
    "z2pcamresnet44_97": (129_538, None),
    "z2resnet44_33": (2_636_458, None),
    "p4resnet44_33": (2_632_026, 2_633_946),
    "p4mresnet44_33": (2_959_366, 2_962_726),
    "gcp4resnet44_33": (2_652_267, 2_657_907),
    "gcp4mresnet44_33": (2_921_775, 2_931_575),
    "z2resnet18_225": (11_173_962, None),
    "p4resnet18_225": (11_165_738, 11_173_418),
    "p4mresnet18_225": (11_533_889, 11_546_769),
    "gcp4resnet18_225": (11_087_740, 11_109_340),
    "gcp4mresnet18_225": (11_192_138, 11_227_978),
}
"""Model -> parameters as published (10 classes, 3 channels; knight and PCam as their own), with coset pooling and,
where the authors leave it out, without. From the authors' logs (the CNNs) and from running their code."""


class KnightRow(NamedTuple):
    """One row of the network that learns its own rotation: one strided convolution, 800 epochs."""

    size: int
    """Pixels: the picture has 32; 33 is padded by a line of zeros, 31 cropped by one, at the bottom and the right."""
    kernel: int
    stride: int
    padding: int
    losses: tuple[float, ...]
    """After the last epoch, one for each seed."""
    residue: int
    """(size + 2 padding - kernel) mod stride; 0 is exact."""

    @property
    def name(self) -> str:
        """`32 px, 3x3 s2 p1`."""
        return f"{self.size} px, {self.kernel}x{self.kernel} s{self.stride} p{self.padding}"


LN2 = math.log(2)
KNIGHT = (
    KnightRow(32, 3, 2, 1, (0.0088, 0.0115, 0.0089), 1),
    KnightRow(33, 3, 2, 1, (LN2, LN2, LN2), 0),
    KnightRow(31, 3, 2, 1, (LN2, LN2, LN2), 0),
    KnightRow(32, 3, 1, 1, (LN2, LN2, LN2), 0),
    KnightRow(32, 2, 2, 0, (LN2, LN2, LN2), 0),
    KnightRow(33, 2, 2, 0, (0.29, 0.22, 0.38), 1),
    KnightRow(32, 4, 2, 1, (LN2, LN2, LN2), 0),
)
"""The authors' notebook stores the loss of the first row up to epoch 400 (`KNIGHT_LOG`); these are three seeds of their
network and picture, run again to the end."""

KNIGHT_LOG = {0: 0.7004, 100: 0.6834, 200: 0.6186, 300: 0.3176, 400: 0.0923}
"""Epoch -> loss at 32 px, as stored in the authors' notebook; one run."""

SIZES = (*range(20, 101), 224, 225)
"""Input sizes in pixels at which exactness is predicted and measured."""

EXACT: dict[str, tuple[int, int]] = {
    "cnn": (2, 0),
    "cnn2": (4, 0),
    "cwcnn": (2, 0),
    "resnet44": (4, 1),
    "pcamresnet44": (4, 1),
    "resnet18": (8, 1),
    "knight": (2, 1),
    "torchvision resnet18": (32, 1),
}
"""Architecture -> (modulus, remainder) of its exact input sizes, for every group that turns or mirrors: derived, and
measured on the authors' layers for most. torchvision's ResNet18 stands beside them for comparison: it is not tied by a
group, and only its grids are meant."""


def exact_sizes(architecture: str) -> tuple[int, ...]:
    """Those of SIZES at which the rule of EXACT holds."""
    modulus, remainder = EXACT[architecture]
    return tuple(size for size in SIZES if size % modulus == remainder)
