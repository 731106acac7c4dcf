"""Schedulers: the lecture's formulas, torch's schedules, and properties that hold for every run."""

from __future__ import annotations

import inspect
import itertools
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import nnlab.scheduler
from nnlab.errors import UserError
from nnlab.scheduler import Constant, Cosine, CosLog, Cyclic, InverseSqrt, Linear, OneCycle, Scheduler, Step

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "scheduler").glob("*.yaml"))
SCHEDULERS = [Constant, Step, Cosine, Linear, InverseSqrt, Cyclic, OneCycle, CosLog]


def floats(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("scheduler", "formula"),
    [
        (Constant(), lambda t, total: 1.0),
        (Step([3, 6, 9]), lambda t, total: 0.1 ** ((t >= 3) + (t >= 6) + (t >= 9))),
        (Cosine(), lambda t, total: 0.5 * (1 + math.cos(math.pi * t / total))),
        (Linear(), lambda t, total: 1 - t / total),
        (InverseSqrt(), lambda t, total: 1 / math.sqrt(t + 1)),
        (
            CosLog(unit="epoch"),
            lambda t, total: 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * (t + 0.5) / total))),
        ),
    ],
)
def test_epochs_have_the_factors_of_the_lecture(scheduler: Scheduler, formula: Callable[[int, int], float]) -> None:
    table = scheduler.table(steps=48, steps_per_epoch=4)
    expected = floats(*(formula(step // 4, 12) for step in range(48)))
    torch.testing.assert_close(table, expected, rtol=1e-14, atol=1e-15)


def torchs(name: str, steps: int, rate: float = 1.0, **options: Any) -> Tensor:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the schedule steps without the optimizer
        scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
        for step in range(steps):
            rates.append(optimizer.param_groups[0]["lr"] / rate)
            if step + 1 < steps:
                scheduler.step()
    return floats(*rates)


@pytest.mark.parametrize(
    ("scheduler", "name", "options"),
    [
        (Cosine(unit="step"), "CosineAnnealingLR", {"T_max": 60}),
        (Cosine(minimum=0.1, unit="step"), "CosineAnnealingLR", {"T_max": 60, "eta_min": 0.1}),
        (Step([10, 35], 0.3, unit="step"), "MultiStepLR", {"milestones": [10, 35], "gamma": 0.3}),
        (Cyclic(cycles=4), "CosineAnnealingWarmRestarts", {"T_0": 15}),
        (Cyclic(cycles=4, minimum=0.2), "CosineAnnealingWarmRestarts", {"T_0": 15, "eta_min": 0.2}),
        (OneCycle(), "OneCycleLR", {"max_lr": 1.0, "total_steps": 60}),
        (OneCycle(shape="linear"), "OneCycleLR", {"max_lr": 1.0, "total_steps": 60, "anneal_strategy": "linear"}),
        (
            OneCycle(rise=0.45, div=10, final_div=100),
            "OneCycleLR",
            {"max_lr": 1.0, "total_steps": 60, "pct_start": 0.45, "div_factor": 10, "final_div_factor": 100},
        ),
        (Linear(unit="step"), "LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 60}),
    ],
)
def test_steps_have_the_rates_of_torch(scheduler: Scheduler, name: str, options: dict[str, Any]) -> None:
    torch.testing.assert_close(scheduler.table(60, 7), torchs(name, 60, **options), rtol=1e-10, atol=1e-12)


def test_cycles_are_those_of_the_snapshot_paper() -> None:
    total, cycles = 60, 5
    length = math.ceil(total / cycles)
    expected = floats(*(0.5 * (math.cos(math.pi * (t % length) / length) + 1) for t in range(total)))
    torch.testing.assert_close(Cyclic(cycles).table(total, 10), expected, rtol=1e-14, atol=1e-15)


def any_scheduler(kind: type[Scheduler], unit: str, warmup: float) -> Scheduler:
    return kind(unit=unit, warmup=warmup)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(SCHEDULERS),
    unit=st.sampled_from(["epoch", "step"]),
    warmup=st.sampled_from([0, 0.3, 1, 2.5, 7, 1000]),
    steps=st.integers(1, 60),
    steps_per_epoch=st.integers(1, 13),
)
def test_every_run_has_a_sensible_table(
    kind: type[Scheduler], unit: str, warmup: float, steps: int, steps_per_epoch: int
) -> None:
    scheduler = any_scheduler(kind, unit, warmup)
    table = scheduler.table(steps, steps_per_epoch)
    assert table.shape == (steps,)
    assert table.dtype == torch.float64
    assert table.isfinite().all()
    assert ((table >= 0) & (table <= 1)).all()
    assert table[0] > 0
    warm = min(scheduler.warmup_steps(steps_per_epoch), steps)
    assert (table[:warm].diff() > 0).all()
    if warm < steps:  # the schedule then runs as it would without warm-up in a shorter run
        bare = any_scheduler(kind, unit, 0)
        assert torch.equal(table[warm:], bare.table(steps - warm, steps_per_epoch))


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(SCHEDULERS),
    unit=st.sampled_from(["epoch", "step"]),
    warmup=st.sampled_from([0, 1.5]),
    steps=st.integers(1, 60),
    more=st.integers(1, 60),
)
def test_only_schedules_that_say_so_depend_on_the_total(
    kind: type[Scheduler], unit: str, warmup: float, steps: int, more: int
) -> None:
    scheduler = any_scheduler(kind, unit, warmup)
    if not scheduler.depends_on_total:
        assert torch.equal(scheduler.table(steps, 4), scheduler.table(steps + more, 4)[:steps])


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_schedules_that_depend_on_the_total_do_change(kind: type[Scheduler]) -> None:
    scheduler = any_scheduler(kind, "step", 0)
    same = torch.equal(scheduler.table(40, 4), scheduler.table(80, 4)[:40])
    assert same != scheduler.depends_on_total


@pytest.mark.parametrize("kind", [Constant, Step, Cosine, Linear, InverseSqrt])
def test_a_run_of_one_epoch_keeps_its_rate(kind: type[Scheduler]) -> None:
    assert torch.equal(any_scheduler(kind, "epoch", 0).table(10, 10), torch.ones(10, dtype=torch.float64))


@pytest.mark.parametrize("kind", [Cosine, Linear, InverseSqrt])
def test_decay_never_rises(kind: type[Scheduler]) -> None:
    assert (any_scheduler(kind, "step", 0).table(50, 10).diff() < 0).all()
    assert (any_scheduler(kind, "epoch", 0).table(50, 10).diff() <= 0).all()


def test_warmup_rises_in_a_straight_line_from_step_to_step() -> None:
    table = Constant(warmup=2).table(steps=12, steps_per_epoch=4)
    torch.testing.assert_close(table, floats(*(i / 8 for i in range(1, 9)), 1, 1, 1, 1), rtol=1e-15, atol=0)


def test_epochs_are_counted_from_the_end_of_warmup() -> None:
    table = Step([2], warmup=0.5).table(steps=16, steps_per_epoch=4)
    torch.testing.assert_close(table, floats(0.5, 1, *[1] * 8, *[0.1] * 6), rtol=1e-15, atol=0)


@pytest.mark.parametrize(("steps", "steps_per_epoch"), [(490, 49), (1407, 469), (21, 7), (33, 11), (300, 3)])
@pytest.mark.parametrize("warmup", [0, 0.1, 1 / 3, 1])
def test_no_rounding_moves_a_boundary(steps: int, steps_per_epoch: int, warmup: float) -> None:
    table = Step(list(range(1, 200)), 0.9, warmup=warmup).table(steps, steps_per_epoch)
    warm = round(warmup * steps_per_epoch)
    drops = [i for i, (a, b) in enumerate(itertools.pairwise(table.tolist()), start=1) if b < a]
    assert drops == list(range(warm + steps_per_epoch, steps, steps_per_epoch))


@settings(max_examples=100, deadline=None)
@given(
    cycles=st.integers(1, 9),
    unit=st.sampled_from(["epoch", "step"]),
    warmup=st.sampled_from([0, 1]),
    steps=st.integers(12, 100),
)
def test_the_rate_restarts_after_the_end_of_each_cycle(cycles: int, unit: str, warmup: int, steps: int) -> None:
    scheduler = Cyclic(cycles, unit=unit, warmup=warmup)  # type: ignore[arg-type]
    table, ends = scheduler.table(steps, 1 if unit == "epoch" else 5), scheduler.cycle_ends(steps, 1)
    assert len(ends) == cycles
    assert ends[-1] == steps - 1
    assert ends == sorted(set(ends))
    assert all(table[end + 1] == 1 for end in ends[:-1])
    if steps - warmup >= 2 * cycles:
        assert all(table[end] < 1 for end in ends)


def test_cycle_ends_in_epochs_are_last_steps_of_epochs() -> None:
    assert Cyclic(cycles=2, unit="epoch").cycle_ends(steps=39, steps_per_epoch=10) == [19, 38]
    assert Cyclic(cycles=5).cycle_ends(steps=3, steps_per_epoch=10) == [0, 1, 2]


def test_one_cycle_rises_to_the_top_once() -> None:
    table = OneCycle().table(100, 10)
    assert int(table.argmax()) == 29
    assert float(table[29]) == 1
    assert float(table[0]) == pytest.approx(1 / 25)
    assert float(table[-1]) == pytest.approx(1 / 25e4)


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_members_may_differ_in_everything(kind: type[Scheduler]) -> None:
    assert set(kind.per_member) == set(vars(kind())) == set(inspect.signature(kind).parameters)  # type: ignore[call-arg]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_yaml_states_every_argument_with_its_default(path: Path) -> None:
    text = path.read_text()
    config = yaml.safe_load(text)
    package, _, name = config.pop("_target_").rpartition(".")
    scheduler = getattr(nnlab.scheduler, name)
    assert text.startswith("# ")
    assert package == "nnlab.scheduler"
    assert scheduler.__module__ == f"nnlab.scheduler.{path.stem}"
    defaults = {key: parameter.default for key, parameter in inspect.signature(scheduler).parameters.items()}
    assert config == {key: list(value) if isinstance(value, tuple) else value for key, value in defaults.items()}
    assert isinstance(scheduler(**config), Scheduler)


def test_every_scheduler_has_a_yaml() -> None:
    named = {yaml.safe_load(path.read_text())["_target_"].rpartition(".")[2] for path in CONFIGS}
    assert named == {kind.__name__ for kind in SCHEDULERS}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(unit="epochs"), "did you mean `epoch`?"),  # type: ignore[arg-type]
        (lambda: Cosine(warmup=-1), "`warmup` must be in [0, inf), got -1"),
        (lambda: Cosine(minimum=2), "`minimum` must be in [0, 1], got 2"),
        (lambda: Step([30, 20]), "`milestones` must be rising numbers greater than 0, got [30, 20]"),
        (lambda: Step([0, 20]), "`milestones` must be rising numbers greater than 0, got [0, 20]"),
        (lambda: Step(decay=0.0), "`decay` must be in (0, 1], got 0.0"),
        (lambda: Cyclic(cycles=0), "`cycles` must be in [1, inf), got 0"),
        (lambda: OneCycle(rise=1.0), "`rise` must be in (0, 1), got 1.0"),
        (lambda: OneCycle(div=0.5), "`div` must be in [1, inf), got 0.5"),
        (lambda: OneCycle(shape="cos"), "`shape` has no option 'cos'"),  # type: ignore[arg-type]
    ],
)
def test_values_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make()
    assert message in str(caught.value)
