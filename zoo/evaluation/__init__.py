"""What a model does on images that are moved: accuracies, the gap between seen and unseen elements, invariance.

Images are uint8 (n, C, H, W), brought to the size of the model first and then moved, so that quarter turns and mirrors
are permutations of the very pixels that the model would have seen upright. `zoo.evaluate` gives a whole `Report`;
`accuracy`, `accuracies` and `angle_curve` give single numbers, for experiments.
"""

from zoo.evaluation.images import ImageSet as ImageSet
from zoo.evaluation.report import Report as Report
from zoo.evaluation.scores import accuracies as accuracies
from zoo.evaluation.scores import accuracy as accuracy
from zoo.evaluation.scores import angle_curve as angle_curve
