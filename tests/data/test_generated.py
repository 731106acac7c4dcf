"""Generated data sets follow their formulas."""

from pathlib import Path

import pytest
import torch

from nnlab.data import XOR, Blobs, Heteroscedastic, Moons, Spirals
from nnlab.errors import UserError

NOWHERE = Path("no such folder")
GENERATED = (XOR, Moons, Spirals, Blobs, Heteroscedastic)


def test_xor_trains_validates_and_tests_on_the_same_four_points():
    data = XOR(preprocessing=None).load(0, NOWHERE)
    assert data.train.inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert data.train.targets.tolist() == [0, 1, 1, 0]
    for split in (data.validation, data.test):
        assert torch.equal(split.inputs, data.train.inputs)
        assert torch.equal(split.targets, data.train.targets)


def test_noisy_xor_is_split_and_scatters_around_the_corners():
    source = XOR(examples=4000, noise=0.1, preprocessing=None)
    data = source.load(0, NOWHERE)
    assert len(data.train) + len(data.validation) + len(data.test) == 4000
    corners = data.train.inputs.round().clamp(0, 1)
    assert torch.equal((corners[:, 0] != corners[:, 1]).long(), data.train.targets)
    assert (data.train.inputs - corners).std().item() == pytest.approx(0.1, rel=0.05)


def test_moons_and_spirals_lie_on_their_curves_without_noise():
    moons = Moons(noise=0.0).read(0, NOWHERE)
    upper, lower = moons.inputs[moons.targets == 0], moons.inputs[moons.targets == 1]
    assert upper.norm(dim=1) == pytest.approx(1.0)
    assert (lower - torch.tensor([1.0, 0.5])).norm(dim=1) == pytest.approx(1.0)
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 0.5
    spirals = Spirals(noise=0.0, classes=4, turns=0.5).read(0, NOWHERE)
    radius = spirals.inputs.norm(dim=1)
    angle = torch.atan2(spirals.inputs[:, 1], spirals.inputs[:, 0]) / (2 * torch.pi)
    arm = (angle - 0.5 * radius) * 4
    assert ((arm - spirals.targets + 2) % 4 - 2).abs().max() < 1e-6


def test_blobs_have_the_given_spread_and_dimension():
    raw = Blobs(examples=3000, noise=0.5, classes=3, features=4).read(0, NOWHERE)
    assert raw.inputs.shape == (3000, 4)
    for c in range(3):
        assert raw.inputs[raw.targets == c].std(0) == pytest.approx(0.5, rel=0.1)


def test_heteroscedastic_noise_grows_linearly():
    raw = Heteroscedastic(examples=20000, noise=0.5).read(0, NOWHERE)
    residual = raw.targets - torch.sin(2 * torch.pi * raw.inputs)
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (raw.inputs >= low) & (raw.inputs < low + 0.25)
        expected = 0.5 * raw.inputs[inside].square().mean().sqrt()
        assert residual[inside].std().item() == pytest.approx(expected.item(), rel=0.05)


@pytest.mark.parametrize("kind", GENERATED, ids=lambda kind: kind.__name__)
def test_generated_data_refuse_negative_noise_and_too_few_examples(kind):
    with pytest.raises(UserError, match=r"`noise` must be in \[0, inf\), got -0.1"):
        kind(noise=-0.1)
    with pytest.raises(UserError, match=r"`examples` must be .*\[16, inf\).*, got 3"):
        kind(examples=3)
