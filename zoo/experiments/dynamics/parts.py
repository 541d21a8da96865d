"""Optimisation dynamics: equivariant and augmented networks, a penalty between them, and ensembles."""

from zoo.experiments.dynamics import arms, cost, ensembles, penalty
from zoo.experiments.harness.experiment import Experiment

EXPERIMENT = Experiment(
    "Optimisation dynamics of equivariant and augmented networks",
    "Nordenfors, Ohlsson & Flinth 2025 (arXiv 2303.13458), Nordenfors & Flinth 2025 (2502.06547), "
    "Gerken & Kessel 2024 (2403.03103)",
    {"arms": arms.PART, "penalty": penalty.PART, "ensembles": ensembles.PART, "cost": cost.PART},
)
