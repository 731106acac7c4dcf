"""A population in several processes: each trains its share of the members, and the leader has them all.

Members are independent, so nothing is said while they train. The leader fetches their rows before somebody looks at
them, and gives the rows out again where something else than a step has changed them. A step at which somebody looks is
taken by the leader alone.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nnlab.loss.base import Loss
from nnlab.metric_names import THOROUGH
from nnlab.training.engine import Engine
from nnlab.training.evaluation import SPLITS, Evaluation, evaluate, never
from nnlab.training.group import WORTH_SHARING, Command, Group
from nnlab.training.guard import Exit
from nnlab.training.member import Member
from nnlab.training.native.chain import THREADS
from nnlab.training.native.engine import NativeEngine
from nnlab.training.recorded import RecordedEngine
from nnlab.training.settings import TrainerSettings
from nnlab.training.stack import Stack
from nnlab.training.stacks import make_stack
from nnlab.units import stacked_units


class Rows(NamedTuple):
    """What steps change of some members, on the processor."""

    theta: Tensor
    gradient: Tensor
    state: dict[str, Tensor]
    buffers: dict[str, Tensor]
    failed: Tensor
    left_out: Tensor
    exits: dict[int, Exit]


def rows_of(engine: Engine, place: slice = slice(None)) -> Rows:
    """The rows at `place` of an engine."""
    stack, guard = engine.stack, engine.guard
    positions = range(len(stack))[place]
    exits = {positions.index(row): why for row, why in guard.seen.items() if row in positions}
    return Rows(
        theta=_own(stack.theta[place]),
        gradient=_own(stack.gradient[place]),
        state={name: _own(value[place]) for name, value in engine.state.items()},
        buffers={name: _own(value[place]) for name, value in stack.buffers.items()},
        failed=_own(guard.failed[place]),
        left_out=_own(guard.left_out[place]),
        exits=exits,
    )


def _own(value: Tensor) -> Tensor:
    return value.detach().cpu().clone()


def put_rows(engine: Engine, rows: Rows, place: slice = slice(None)) -> None:
    """Take up the rows at `place` of an engine."""
    stack, guard = engine.stack, engine.guard
    stack.theta[place].copy_(rows.theta)
    stack.gradient[place].copy_(rows.gradient)
    for name, value in rows.state.items():
        engine.state[name][place].copy_(value)
    for name, value in rows.buffers.items():
        stack.buffers[name][place].copy_(value)
    guard.failed[place].copy_(rows.failed)
    guard.left_out[place].copy_(rows.left_out)
    start = range(len(stack))[place].start
    guard.seen.update({start + row: why for row, why in rows.exits.items()})


class Advanced(NamedTuple):
    """What came of a block of steps: losses (steps, m), and whether the guard needs a verdict."""

    losses: Tensor
    alarm: bool


class Share:
    """The members that one process trains, with an engine of its own for them.

    Args:
        kind: of engine.
        members: all of the population, of which some are this process's at a time.
        loss, settings, device, dtype: as of `Engine`.
        group: the processes.
    """

    def __init__(
        self,
        kind: type[Engine],
        members: Sequence[Member],
        loss: Loss,
        settings: TrainerSettings,
        device: torch.device,
        dtype: torch.dtype,
        group: Group,
    ) -> None:
        self.kind, self.group = kind, group
        # Networks as they are before one of them becomes the template of a stack.
        self.members = [dataclasses.replace(member, network=copy.deepcopy(member.network)) for member in members]
        threads = settings.threads or max(1, THREADS // group.local_size)
        self.arguments = loss, dataclasses.replace(settings, threads=threads), device, dtype
        self.positions: list[int] = []
        self.engine: Engine | None = None
        self._stack: Stack | None = None  # for evaluations

    def obey(self, command: Command, first: int, second: int) -> None:
        """Carry out what the leader says."""
        if command == Command.TAKE:
            self.take(*self.group.deal())
        elif command == Command.ADVANCE:
            self.group.gather(self.advance(first, second))
        elif command == Command.COLLECT:
            self.group.gather(self.rows())
        elif command == Command.EVALUATE:
            self.group.gather(self.evaluated(SPLITS[first], *self.group.deal()))

    def take(self, positions: Sequence[int], rates: Sequence[float], rows: Rows) -> None:
        """Train the members at `positions` from now on, with these learning rates and rows."""
        if list(positions) != self.positions or self.engine is None:
            self.positions = list(positions)
            self.engine = self._made() if self.positions else None
        if self.engine is None:
            return
        for row, rate in enumerate(rates):
            self.engine.set_learning_rate(row, rate)
        self.engine.merge()
        self.engine.guard.forget()
        put_rows(self.engine, rows)

    def _made(self) -> Engine:
        """An engine for the present members; the first network becomes a template, and is a copy therefore."""
        first, *others = (self.members[position] for position in self.positions)
        own = dataclasses.replace(first, network=copy.deepcopy(first.network))
        return self.kind([own, *others], *self.arguments)

    def advance(self, first: int, count: int) -> Advanced:
        """Take `count` steps; members that have failed stand still in them."""
        if self.engine is None:
            return Advanced(torch.zeros(count, 0), False)
        losses, done = [], 0
        while done < count:
            losses.append(self.engine.advance(first + done, count - done).cpu())
            done += len(losses[-1])
        return Advanced(torch.cat(losses), self.engine.guard.alarm)

    def rows(self) -> Rows | None:
        """The members' rows."""
        return None if self.engine is None else rows_of(self.engine)

    def evaluated(
        self, split: str, positions: Sequence[int], theta: Tensor, buffers: dict[str, Tensor], thorough: Collection[str]
    ) -> Evaluation | None:
        """Evaluate weights (m, P) and buffers (m, ...) of the members at `positions` on a split."""
        if not positions:
            return None
        if self._stack is None:
            loss, settings, device, dtype = self.arguments
            network = copy.deepcopy(self.members[0].network)
            self._stack = make_stack([network], loss, device, dtype, settings.precision == "bf16", settings.engine)
        place = self.arguments[2]
        self._stack.replace(theta.to(place), {name: value.to(place) for name, value in buffers.items()})
        datasets = [self.members[position].dataset for position in positions]
        splits = [getattr(dataset, split) for dataset in datasets]
        found = evaluate(self._stack, splits, stacked_units([each.units for each in datasets]), thorough)
        return Evaluation({name: value.cpu() for name, value in found.metrics.items()}, found.prediction.cpu())


class Division(Engine):
    """An `Engine` of all members on the leader, whose blocks of steps all processes take, each with its share.

    Attributes:
        share: the leader's own.
    """

    group: Group
    share: Share
    _given = False  # whether the shares have the present rows and rules
    _ahead = False  # whether the shares have gone further than the rows here

    def join(self, group: Group, share: Share) -> Division:
        """Divide the members among a group."""
        self.group, self.processes, self.share = group, group.size, share
        return self

    def merge(self) -> None:
        super().merge()
        self._given = False

    def _places(self) -> list[slice]:
        """Each process's rows."""
        return [self.group.part(len(self.active), rank) for rank in range(self.group.size)]

    def _give(self) -> None:
        """Give the rows out."""
        self.group.say(Command.TAKE)
        dealt = []
        for place in self._places():
            positions = self.active[place]
            dealt.append((positions, [self.learning_rate(each) for each in positions], rows_of(self, place)))
        with self.group.together():
            self.share.take(*self.group.deal(dealt))
        self._given = True

    def advance(self, first: int, count: int) -> Tensor:
        if not self._given:
            self._give()
        self.group.say(Command.ADVANCE, first, count)
        with self.group.together():
            parts = self.group.gather(self.share.advance(first, count))
        self._ahead = True
        losses = torch.cat([part.losses for part in parts], 1).to(self.device)
        self.step, self.losses = first + len(losses) - 1, losses[-1]
        self._position = -1
        if any(part.alarm for part in parts):
            self.collect()
            self.guard.alarm = True
        return losses

    def collect(self) -> None:
        if not self._ahead:
            return
        self._ahead = False
        self.group.say(Command.COLLECT)
        with self.group.together():
            parts = self.group.gather(self.share.rows())
        for place, rows in zip(self._places(), parts, strict=True):
            if rows is not None:
                put_rows(self, rows, place)

    def evaluate(
        self,
        stack: Stack,
        split: str,
        members: Sequence[int],
        thorough: Collection[str] = THOROUGH,
        stopped: Callable[[], bool] = never,
    ) -> Evaluation:
        examples = len(getattr(self.members[0].dataset, split))
        if examples * stack.theta.numel() < WORTH_SHARING:
            return super().evaluate(stack, split, members, thorough, stopped)
        self.group.say(Command.EVALUATE, SPLITS.index(split))
        places = [self.group.part(len(stack), rank) for rank in range(self.group.size)]
        dealt = [
            (
                list(members)[place],
                _own(stack.theta[place]),
                {name: _own(value[place]) for name, value in stack.buffers.items()},
                thorough,
            )
            for place in places
        ]
        with self.group.together():
            gathered = self.group.gather(self.share.evaluated(split, *self.group.deal(dealt)))
        parts = [part for part in gathered if part is not None]
        metrics = {name: torch.cat([part.metrics[name] for part in parts]) for name in parts[0].metrics}
        prediction = torch.cat([part.prediction for part in parts])
        return Evaluation({name: value.to(self.device) for name, value in metrics.items()}, prediction.to(self.device))

    def begin(self, step: int) -> None:
        self.collect()
        self._given = False
        super().begin(step)


class NativeDivision(Division, NativeEngine):
    """A `Division` of chains that compiled code trains."""


class RecordedDivision(Division, RecordedEngine):
    """A `Division` of networks whose steps are recorded; those that the leader takes alone are, too."""
