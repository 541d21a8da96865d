"""What a person reads of the evidence of a model."""

import torch
from torch import nn

from zoo.evidence import LaplaceEvidence


def test_the_evidence_shows_itself():
    model, images = nn.Sequential(nn.Flatten(), nn.Linear(2, 3)), torch.randn(9, 2, dtype=torch.float64)
    found = LaplaceEvidence(iterations=2).fit(model.double(), images, torch.arange(9) % 3)
    first, table = str(found).split("\n\n")
    assert first.startswith(f"Log evidence {found.log_evidence_per_sample:.4f} nats per image")
    assert table.splitlines()[2].split()[:2] == ["1", "9"] and "<td>1</td>" in found._repr_html_()
