"""Wrong labels by confident learning: margins, and the confident joint counted by hand."""

from __future__ import annotations

import torch

from nnlab.statistics.label_errors import issues, margins, suggested


def test_margins_by_hand() -> None:
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    labels = torch.tensor([0, 1])
    torch.testing.assert_close(margins(probabilities, labels), torch.tensor([0.5, -0.3]))
    assert suggested(probabilities, labels).tolist() == [1, 2]


def test_the_confident_joint_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(200, 4, generator=generator).softmax(1)
    labels = torch.randint(0, 3, (200,), generator=generator)  # class 3 has no example: nothing can be it
    usual = [float(probabilities[labels == c, c].mean()) for c in range(3)]
    for row, label, found in zip(probabilities.tolist(), labels.tolist(), issues(probabilities, labels), strict=True):
        likely = [c for c in range(3) if row[c] >= usual[c]]
        best = max(likely, key=lambda c: row[c]) if likely else label
        assert bool(found) == (best != label)
