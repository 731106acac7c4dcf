"""Facts about data: leaks that are real and only those, and predictions that are told from chance."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from nnlab.cli import compose
from nnlab.config.build import build_trainer, load_dataset
from nnlab.diagnosis.facts import agreement, trained
from nnlab.diagnosis.facts.chance import association, orders
from nnlab.diagnosis.facts.data import constant_metric, data_facts, target_facts
from nnlab.diagnosis.facts.giveaway import find_giveaway
from nnlab.diagnosis.facts.leaks import Shared, shared_examples
from nnlab.diagnosis.facts.shift import measure_shift
from nnlab.diagnosis.measure import LOOKED_INTO, facts_of
from nnlab.diagnosis.rules.data import data_findings
from nnlab.loss import GaussianNLL, SoftmaxCrossEntropy, SquaredError
from nnlab.streaming import SAMPLED, Streamed, as_streamed
from nnlab.types import Dataset, Split, Task
from nnlab.units import Units

DRAW = np.random.default_rng(0)
N = 600


def table(columns: list[np.ndarray], target: np.ndarray, copied: int = 0, noise: float = 0.0) -> Dataset:
    """A standardized data set split at random, after the first `copied` rows were put into it again."""
    x, y = torch.from_numpy(np.column_stack(columns)).float(), torch.from_numpy(target)
    again = x[:copied] + noise * torch.randn(copied, x.shape[1], generator=torch.Generator().manual_seed(1))
    x, y = torch.cat([x, again]), torch.cat([y, y[:copied]])
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    cuts = [int(0.64 * len(x)), int(0.8 * len(x))]
    train, validation, test = (
        Split((x[part] - x.mean(0)) / x.std(0), y[part]) for part in torch.tensor_split(order, cuts)
    )
    if y.is_floating_point():
        return Dataset(train, validation, test, Task.REGRESSION, ("y",))
    return Dataset(train, validation, test, Task.MULTICLASS, tuple(str(c) for c in range(int(y.max()) + 1)))


def codes(levels: int, n: int = N) -> np.ndarray:
    return DRAW.integers(0, levels, n)


def one_hot(values: np.ndarray) -> list[np.ndarray]:
    return [(values == level).astype(float) for level in range(int(values.max()) + 1)]


FINE = [DRAW.standard_normal(N) for _ in range(5)]
NOISY = (FINE[0] + FINE[1] + 0.5 * DRAW.standard_normal(N) > 0).astype(np.int64)
SURVEY = [codes(3), codes(2), codes(4)]
COUNTY = [DRAW.standard_normal(40)[codes(40)] for _ in range(4)]
PLACES = codes(40)
COARSE = {
    "a survey": (SURVEY, (SURVEY[0] + DRAW.standard_normal(N) > 1).astype(np.int64)),
    "a survey whose answers decide": (SURVEY, sum(SURVEY) % 2),
    "categories": ([c for v in SURVEY for c in one_hot(v)], sum(SURVEY) % 2),
    "nine categories, few rows of each": ([c for _ in range(9) for c in one_hot(codes(3))], codes(2)),
    "rounded measurements": ([np.round(2 * x) for x in FINE], NOISY),
    "people of counties": ([DRAW.standard_normal(40)[PLACES] for _ in range(5)], codes(2)),
}


@pytest.mark.parametrize("name", COARSE)
def test_rows_that_agree_by_chance_are_no_leak(name: str) -> None:
    data = table(*COARSE[name])
    for split in (data.validation, data.test):
        assert not shared_examples(data.train, split).leaks


@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("columns", [FINE, [FINE[0], codes(2), codes(3)]], ids=["fine", "one fine column"])
def test_copies_of_rows_are_a_leak(columns: list[np.ndarray], share: float) -> None:
    data = table(columns, NOISY, copied=int(share * N))
    assert shared_examples(data.train, data.validation).leaks
    assert not shared_examples(
        table(columns, NOISY).train,
        data.validation.__class__(
            torch.randn(100, len(columns), generator=torch.Generator().manual_seed(5)),
            torch.zeros(100, dtype=torch.int64),
        ),
    ).leaks


@pytest.mark.parametrize("name", COARSE)
def test_chance_is_the_same_among_rows_read_in_pieces(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(*COARSE[name], copied=20)
    asked = data.validation.inputs[:16], data.validation.targets[:16]
    expected = agreement.Agreement(data.train).chances(*asked)
    assert max(expected) > 0
    monkeypatch.setattr(agreement, "READ", 500)
    streamed = Split(as_streamed(data.train.inputs), data.train.targets)  # type: ignore[arg-type]
    assert agreement.Agreement(streamed).chances(*asked) == expected


def test_copies_that_were_changed_a_little_are_a_leak() -> None:
    data = table(FINE, NOISY, copied=200, noise=0.002)
    assert shared_examples(data.train, data.validation).leaks


def test_the_same_inputs_with_other_targets_are_no_leak() -> None:
    data = table(FINE, NOISY)
    again = Split(data.train.inputs[:100], 1 - data.train.targets[:100])
    assert shared_examples(data.train, again).found == 0


WEEKS = np.where(happened := DRAW.random(N) < 0.3, DRAW.integers(1, 52, N), 52)
TODAY, WEIGHT = DRAW.standard_normal(N), DRAW.normal(3000, 600, N)
GIVEN_AWAY = {
    "today": ([DRAW.standard_normal(N), TODAY], (TODAY > 0).astype(np.int64), 1),
    "birth weight": ([codes(30), WEIGHT, codes(2)], (WEIGHT < 2500).astype(np.int64), 1),
    "weeks": ([codes(2), codes(20), WEEKS], happened.astype(np.int64), 2),
    "the label itself": ([*FINE, NOISY.astype(float)], NOISY, 5),
    "a logarithm of the target": ([*FINE, np.log(np.exp(FINE[0]) + 1)], np.exp(FINE[0])[:, None].astype(np.float32), 5),
}


@pytest.mark.parametrize("name", GIVEN_AWAY)
def test_a_column_that_gives_the_target_away_is_named(name: str) -> None:
    columns, target, column = GIVEN_AWAY[name]
    if name == "a logarithm of the target":
        columns = [x for x in columns if x is not FINE[0]]
        column = len(columns) - 1
    found = find_giveaway(table(columns, target))
    assert found is not None
    assert found.column == column


def test_columns_that_all_tell_the_classes_apart_are_no_giveaway() -> None:
    target = codes(2)
    columns = [6.0 * target + DRAW.standard_normal(N) for _ in range(4)]
    assert find_giveaway(table(columns, target)) is None
    assert find_giveaway(table(FINE, NOISY)) is None
    assert find_giveaway(table([TODAY], (TODAY > 0).astype(np.int64))) is None  # there is nothing else to learn from


def test_one_good_measurement_among_noise_is_no_leak() -> None:
    draw = np.random.default_rng(2)
    target = draw.integers(0, 2, N)
    measured = find_giveaway(table([4.0 * target + draw.standard_normal(N), *FINE], target))
    assert measured is None or measured.measured
    copied = find_giveaway(table([target + 0.1 * DRAW.standard_normal(N), *FINE], target))
    assert copied is not None
    assert not copied.measured


def test_a_measurement_that_hardly_errs_beside_weaker_ones_is_no_leak() -> None:
    x, species = load_iris(return_X_y=True)
    columns = [x[:, 2], x[:, 3], x[:, 0], x[:, 1]]
    draws = [np.random.default_rng(seed).permutation(len(x))[:110] for seed in range(8)]
    assert [find_giveaway(table([column[rows] for column in columns], species[rows])) for rows in draws] == [None] * 8


def test_a_validation_split_that_differs_makes_no_column_a_giveaway() -> None:
    target = codes(3)
    data = table([6.0 * target + DRAW.standard_normal(N) for _ in range(4)], target)
    renamed = Split(data.validation.inputs, (data.validation.targets + 1) % 3)
    assert find_giveaway(dataclasses.replace(data, validation=renamed)) is None


def test_facts_see_a_class_that_only_held_out_examples_have() -> None:
    data = table(FINE, codes(3))
    keep = data.train.targets != 2
    train = Split(data.train.inputs[keep], data.train.targets[keep])
    facts = data_facts(
        Dataset(train, data.validation, data.test, Task.MULTICLASS, ("a", "b", "c")), SoftmaxCrossEntropy()
    )
    [finding] = [each for each in data_findings(facts) if each.fault]
    assert finding.name == "class_missing"
    assert "`c`" in finding.observed


def test_outliers_among_the_targets_are_counted() -> None:
    target = FINE[0].copy()
    assert target_facts(table(FINE[1:], target[:, None])).outliers == 0
    target[::200] = 500.0
    facts = data_facts(table(FINE[1:], target[:, None]), SquaredError())
    assert facts.targets.outliers >= 1
    assert facts.skewed


def test_an_order_that_is_right_is_no_chance_though_one_class_is_always_answered() -> None:
    targets = (torch.arange(400) < 12).long()
    score = torch.where(targets == 1, 0.3, 0.1) + 0.02 * torch.randn(400, generator=torch.Generator().manual_seed(0))
    prediction = torch.stack([1 - score, score], 1)
    assert int(prediction.argmax(1).sum()) == 0
    assert association(prediction, targets) > 5
    assert orders(prediction[None], targets[None])[0].ranking > 0.9


def test_outliers_do_not_hide_a_relation() -> None:
    x = torch.linspace(-1, 1, 200)[:, None]
    targets = x.clone()
    targets[0], targets[100] = 1e4, -1e4
    assert association(x, targets) > 5
    noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(3))
    assert association(noise, targets) < 2.5


def test_many_classes_are_not_above_chance_by_their_number() -> None:
    source = torch.Generator().manual_seed(2)
    above = [
        association(torch.rand(300, 20, generator=source), torch.randint(20, (300,), generator=source)) > 2.5
        for _ in range(40)
    ]
    assert sum(above) <= 3


def splits_of(rows: int, copied: int, seeds: int) -> SimpleNamespace:
    """As much of a trainer as facts need: a member for each seed, which splits the same examples at random."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(rows, 6, generator=draw), torch.randint(2, (rows,), generator=draw)
    x, y = torch.cat([x, x[:copied]]), torch.cat([y, y[:copied]])
    members = []
    for seed in range(seeds):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        parts = [Split(x[part], y[part]) for part in order.tensor_split([int(0.64 * len(x)), int(0.8 * len(x))])]
        members.append(SimpleNamespace(dataset=Dataset(*parts, Task.BINARY, ("a", "b"), fingerprint="the same")))
    return SimpleNamespace(members=members, loss=SoftmaxCrossEntropy())


def test_every_seed_has_the_copies_of_its_own_split() -> None:
    trainer = splits_of(rows=400, copied=150, seeds=7)
    found = facts_of(trainer)  # type: ignore[arg-type]
    for position, member in enumerate(trainer.members):
        assert found[position].shared == data_facts(member.dataset, trainer.loss).shared
        assert found[position].shared["validation"].leaks


def test_traps_that_the_first_seeds_have_no_trace_of_are_not_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Split] = []

    def counted(train: Split, held_out: Split) -> Shared:
        looked.append(train)
        return shared_examples(train, held_out)

    monkeypatch.setattr("nnlab.diagnosis.facts.data.shared_examples", counted)
    trainer = splits_of(rows=400, copied=0, seeds=7)
    found = facts_of(trainer)  # type: ignore[arg-type]
    assert len(looked) == 2 * LOOKED_INTO
    for position, member in enumerate(trainer.members):
        alone = data_facts(member.dataset, trainer.loss)
        assert list(data_findings(found[position])) == list(data_findings(alone))
        assert found[position].targets == alone.targets
        assert found[position].inputs == alone.inputs


def test_runs_that_share_data_and_loss_find_the_facts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Split] = []

    def counted(train: Split, held_out: Split) -> Shared:
        looked.append(train)
        return shared_examples(train, held_out)

    monkeypatch.setattr("nnlab.diagnosis.facts.data.shared_examples", counted)
    config = compose("data=diabetes", "loss=squared_error", "seed=7311", "callbacks=[]")
    first, second = (facts_of(build_trainer([config]))[0] for _ in range(2))
    assert len(looked) == 2
    assert dataclasses.replace(first, simple=first.references) == dataclasses.replace(second, simple=first.references)
    data = load_dataset(config)
    assert first.references.skill == second.references.skill == data_facts(data, SquaredError()).references.skill
    other = facts_of(build_trainer([{**config, "data_seed": 7312}]))[0]
    half = dataclasses.replace(data, train=Split(data.train.inputs[::2], data.train.targets[::2]))
    assert (other.inputs != first.inputs, len(looked)) == (True, 4)
    assert data_facts(half, SquaredError()).examples["train"] == len(half.train) < first.examples["train"]
    assert data_facts(data, GaussianNLL()).levels != first.levels


@pytest.mark.parametrize("targets", [torch.randint(3, (5, 40)), torch.randn(5, 40, 2)], ids=["classes", "numbers"])
def test_predictions_of_several_networks_are_ordered_as_each_alone(targets: torch.Tensor) -> None:
    prediction = torch.randn(5, 40, 3)
    prediction[3, 7] = math.nan
    prediction[2] = 0.5
    alone = [orders(p[None], t[None])[0] for p, t in zip(prediction, targets, strict=True)]
    assert orders(prediction, targets) == alone
    assert alone[3] == (0.0, 0.0)


def test_the_constant_is_that_of_training_and_its_error_that_of_the_split() -> None:
    def part(*targets: float) -> Split:
        return Split(torch.zeros(len(targets), 1), torch.tensor(targets).unsqueeze(1))

    dataset = Dataset(part(0.0, 2.0), part(11.0, 11.0), part(1.0, 1.0), Task.REGRESSION, ("y",))
    found = [constant_metric(dataset, each.targets) for each in (dataset.train, dataset.validation, dataset.test)]
    assert found == [1.0, 10.0, 0.0]
    dataset = dataclasses.replace(dataset, units=Units(torch.tensor([5.0]), torch.tensor([3.0])))
    assert constant_metric(dataset, dataset.validation.targets) == 30.0


@pytest.mark.parametrize("steps", [3, 0])
def test_networks_that_are_looked_at_in_parts_have_the_same_facts(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    common = ["callbacks=[]", "data.limit=60", "trainer.steps=3"]
    trainer = build_trainer([compose(*common, f"seed={seed}") for seed in range(5)])
    if steps:
        trainer.fit()
    theta = trainer.stack.theta.clone()
    together = trained.network_facts(trainer)
    monkeypatch.setattr(trained, "TOGETHER", 2)
    parts = trained.network_facts(trainer)
    assert torch.equal(trainer.stack.theta, theta)
    data = trainer.members[0].dataset
    baselines = {name: constant_metric(data, getattr(data, name).targets) for name in ("train", "validation")}
    assert {name: facts.baseline for name, facts in together[0].splits.items()} == baselines
    for one, other in zip(together, parts, strict=True):
        assert repr(one.layers) == repr(other.layers)
        assert repr(one.weights) == repr(other.weights)
        assert repr(one.splits) == repr(other.splits)


class Bands:
    """Images (n, 3, 224, 224) whose brightness is their number, of which none lies anywhere."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        return (rows.view(-1, 1, 1, 1) % 211).float().expand(-1, 3, 224, 224)


@pytest.mark.slow
def test_images_that_fill_the_memory_are_looked_at_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, most = (480, 160, 160), [0]
    ends = torch.tensor(counts).cumsum(0).tolist()
    rows, places = Bands(ends[-1]), [torch.arange(end - count, end) for end, count in zip(ends, counts, strict=True)]
    inputs = [Streamed(rows, place, (3, 224, 224), lambda raw: raw) for place in places]
    splits = [Split(each, place % 211 * 3 // 211) for each, place in zip(inputs, places, strict=True)]  # type: ignore
    made = Streamed.made

    def counted(self: Streamed, index: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        most[0] = max(most[0], len(index) * self.shape[1:].numel())
        return made(self, index, out)

    monkeypatch.setattr(Streamed, "made", counted)
    data = Dataset(*splits, Task.MULTICLASS, ("a", "b", "c"))
    facts = data_facts(data, SoftmaxCrossEntropy())
    assert facts.references.skill > 0.9  # as by all examples
    assert measure_shift(data).squares
    assert 0 < most[0] <= SAMPLED
