"""The marginal likelihood of a trained network, and how much of each of its paths the data determine."""

from zoo.evidence.laplace import Evidence as Evidence
from zoo.evidence.laplace import LaplaceEvidence as LaplaceEvidence
from zoo.evidence.laplace import LayerEvidence as LayerEvidence
