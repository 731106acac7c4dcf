"""Temperature scaling: the likeliest temperature, for all networks at once, and nothing but the confidence changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnlab.statistics.temperature import COLDEST, at_temperature, fit_temperature


def sample(members: int = 3, n: int = 200, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(members, n, classes, generator=generator)
    targets = torch.distributions.Categorical(logits=logits[0] / 2).sample()
    return logits.softmax(-1), targets


def test_the_temperature_is_the_likeliest() -> None:
    from scipy.optimize import minimize_scalar

    torch.manual_seed(1)
    probabilities, targets = sample()
    found = fit_temperature(probabilities, targets)
    for row, temperature in zip(probabilities.double().numpy(), found.tolist(), strict=True):

        def nll(heat: float, p: np.ndarray = row) -> float:
            scaled = p ** (1 / heat)
            return float(-np.log(scaled[np.arange(len(p)), targets] / scaled.sum(1)).mean())

        best = minimize_scalar(nll, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9})
        assert temperature == pytest.approx(best.x, rel=1e-5)


def test_dividing_logits_is_the_same_and_keeps_the_order() -> None:
    logits = torch.randn(5, 7, dtype=torch.float64)
    cool = at_temperature(logits.softmax(-1), 2.5)
    torch.testing.assert_close(cool, (logits / 2.5).softmax(-1))
    assert torch.equal(cool.argsort(-1), logits.argsort(-1))


def test_networks_together_have_the_temperatures_that_they_have_alone() -> None:
    probabilities, targets = sample()
    together = fit_temperature(probabilities, targets)
    assert torch.equal(together, torch.stack([fit_temperature(each, targets) for each in probabilities]))
    scaled = at_temperature(probabilities, together)
    assert torch.equal(scaled[1], at_temperature(probabilities[1], together[1]))


def test_examples_that_are_all_right_stop_at_the_coldest_and_zeros_stay_finite() -> None:
    certain = torch.eye(3).repeat(4, 1)
    assert COLDEST <= float(fit_temperature(certain * 0.8 + 0.1, torch.arange(3).repeat(4))) < 0.06
    assert bool(at_temperature(certain, 3.0).isfinite().all())
