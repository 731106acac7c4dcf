"""A training run, or several side by side, whose settings can be changed while it trains.

A playground knows the overrides on the screen; its networks are exactly those of `nnlab train` with these overrides,
so that `command` names the run that repeats it to the last bit. After a change that kept the weights no command does,
and `kept` says since which step.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnlab.config.build import build_loss, build_trainer, load_dataset
from nnlab.diagnosis import diagnose, records
from nnlab.errors import UserError
from nnlab.loss.base import concrete_losses
from nnlab.training import Trainer
from nnlab.types import Dataset, Task

Compose = Callable[..., dict[str, Any]]

MOST = 16  # networks side by side
MOST_FINDINGS = 3
START = {
    "data": "moons",
    "architecture.widths": "[8,8]",
    "activation": "tanh",
    "initialization": "xavier",
    "loss": "binary_cross_entropy",
    "optimizer": "sgd",
    "optimizer.learning_rate": "0.1",
    "scheduler": "constant",
    "regularizer": "[]",
    "trainer.epochs": "400",
}
# Sections whose change leaves no weights to keep: they decide what the weights are at first.
FRESH = ("seed", "data_seed", "architecture", "initialization", "data")
# Keys in which the networks of one population may differ; those that differ in others train in turn.
STACKED = ("seed", "initialization", "optimizer.learning_rate", "scheduler", "regularizer.weight_decay.strength")
# The first of these losses that fits is taken when other data no longer fit the present one.
PREFERRED = ("softmax_cross_entropy", "binary_cross_entropy", "squared_error")


class Playground:
    """Networks in training, under overrides that can be changed.

    Args:
        compose: from overrides to a checked config, as `nnlab.cli.compose`.
        overrides: settings to begin with, by key, in place of or beside `START`.

    Attributes:
        overrides: the settings, by key, as they are written on the command line.
        versus: a key and the values that are compared side by side; None for one network.
        config: of the first network.
        trainers: train the networks, in the order of the values of `versus`.
        kept: the step of the run before at which the present weights were taken over; None for a fresh run.
        notes: sentences about what the last change did beyond what was asked for.
    """

    def __init__(self, compose: Compose, overrides: Mapping[str, str] | None = None) -> None:
        self._compose = compose
        self.overrides = {**START, **(overrides or {})}
        self.versus: tuple[str, list[str]] | None = None
        self.kept: int | None = None
        self.notes: list[str] = []
        self.file: Path | None = None
        self._fit_loss(told="loss" in (overrides or {}))
        self._build()

    @property
    def trainer(self) -> Trainer:
        """The trainer of the first network."""
        return self.trainers[0]

    @property
    def dataset(self) -> Dataset:
        """The data that the networks learn."""
        return self.trainer.members[0].dataset

    @property
    def step(self) -> int:
        """Updates done so far."""
        return max(trainer.step for trainer in self.trainers)

    @property
    def size(self) -> int:
        """The number of networks side by side."""
        return 1 if self.versus is None else len(self.versus[1])

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end, or no network can go on."""
        return all(trainer.step >= trainer.total_steps or not trainer.active for trainer in self.trainers)

    def networks(self) -> Iterator[tuple[int, nn.Module]]:
        """Position and a copy, in evaluation mode, of every network that is still in training."""
        first = 0
        for trainer in self.trainers:
            for row, member in enumerate(trainer.active):
                yield first + member, trainer.stack.member(row)
            first += len(trainer.members)

    def lines(self) -> list[str]:
        """The overrides as they are written on the command line."""
        return [f"{key}={value}" for key, value in self.overrides.items()]

    def command(self) -> str:
        """The command that trains what is on the screen, up to the present step where the schedule allows.

        Of a file that was dropped on the page the command has the name alone.
        """
        lines = self.lines()
        if self.file is not None:
            lines = [f"data.path={self.file.name}" if line.startswith("data.path=") else line for line in lines]
        if self.overrides.get("scheduler") == "constant" and not self.finished and self.step > 0:
            lines = [line for line in lines if not line.startswith(("trainer.epochs=", "trainer.steps="))]
            lines.append(f"trainer.steps={self.step}")
        sweep = []
        if self.versus is not None:
            key, values = self.versus
            lines = [line for line in lines if line.partition("=")[0] != key]
            sweep = ["-m", f"{key}={','.join(values)}"]
        return " ".join(["nnlab train", *map(shlex.quote, [*lines, *sweep])])

    def change(self, changes: Mapping[str, str | None]) -> None:
        """Set keys, or leave them out (None); weights are kept where the networks keep their shape.

        Raises:
            UserError: a value is wrong; the playground is then as it was.
        """
        with self._undone_by_mistakes():
            old = self.trainers
            for key, value in changes.items():
                self._set(key, value)
            self._fit_loss()
            self._build()
        self._keep_weights(old, any(re.split(r"[./]", key)[0] in FRESH for key in changes))

    def compare(self, key: str | None, values: Sequence[str] = ()) -> None:
        """Train one network for each of several values of a key, side by side; None: one network again.

        Raises:
            UserError: a value is wrong.
        """
        if key is not None and not 2 <= len(values) <= MOST:
            raise UserError(f"side by side are 2 to {MOST} values, separated by commas; these are {len(values)}")
        with self._undone_by_mistakes():
            self.versus = None if key is None else (key, list(values))
            self._build()
        self.kept = None

    def begin(self, settings: Mapping[str, str], versus: tuple[str, list[str]] | None = None) -> None:
        """Begin anew with other settings, those of a lesson.

        Raises:
            UserError: a value is wrong.
        """
        with self._undone_by_mistakes():
            self.overrides, self.versus, self.file, self.kept = {**START, **settings}, versus, None, None
            self._fit_loss(told="loss" in settings)
            self._build()

    def reset(self) -> None:
        """Begin again with the initial weights of the present settings."""
        self.notes = []
        self._build()
        self.kept = None

    def use_file(self, path: Path, target: str) -> None:
        """Learn the column `target` of a table.

        Raises:
            UserError: the table cannot be read.
        """
        file, self.file = self.file, path
        try:
            self.change({"data": "table", "data.path": str(path), "data.target": target})
        except UserError:
            self.file = file
            raise

    def advance(self, steps: int) -> Tensor:
        """Do up to `steps` steps; the losses (done, M) of each, NaN for networks that have ended."""
        columns = [_advance(trainer, steps) for trainer in self.trainers]
        done = max(len(column) for column in columns)
        rest = [column.new_full((done - len(column), column.shape[1]), float("nan")) for column in columns]
        return torch.cat([torch.cat(pair) for pair in zip(columns, rest, strict=True)], 1)

    def findings(self) -> list[dict[str, Any]]:
        """What the diagnosis says about the network so far, as plain values; nothing where several are compared.

        Each has its override also as `changes`, as `change` takes them.
        """
        if self.step == 0 or self.versus is not None:
            return []
        [record] = records(self.trainer, members=[0])
        found = diagnose(record)[:MOST_FINDINGS]
        return [{**each.to_dict(), "changes": _changes(each.overrides)} for each in found]

    def _undone_by_mistakes(self) -> _Undo:
        self.notes = []
        return _Undo(self)

    def _set(self, key: str, value: str | None) -> None:
        """One change; another option of a group drops what was set for the one before, but for the learning rate."""
        name = re.fullmatch(r"regularizer\.(\w+)\.\w+", key)
        if name is not None:
            chosen = [r for r in self.overrides["regularizer"].strip("[]").split(",") if r and r != name[1]]
            chosen += [name[1]] if value is not None else []
            self.overrides["regularizer"] = f"[{','.join(chosen)}]"
        elif "." not in key and self.overrides.get(key) != value:
            prefix = f"{key.replace('/', '.')}."
            for other in [o for o in self.overrides if o.startswith(prefix) and o != "optimizer.learning_rate"]:
                del self.overrides[other]
        self.overrides.pop(key, None)
        if value is not None:
            self.overrides[key] = value

    def _keep_weights(self, old: Sequence[Trainer], fresh: bool) -> None:
        """Take the old networks' weights over, unless the change asks for new ones."""
        shapes = [[trainer.stack.theta.shape for trainer in trainers] for trainers in (old, self.trainers)]
        step = max(trainer.step for trainer in old)
        self.kept = None
        if fresh or step == 0:
            return
        if shapes[0] != shapes[1]:
            self.notes.append("the networks have another shape now: training starts again")
            return
        self.kept = step
        for before, after in zip(old, self.trainers, strict=True):
            after.stack.theta.copy_(before.stack.theta)
        self.notes.append(f"the weights of step {step} were kept; a reset gives a run that the command repeats")

    def _build(self) -> None:
        if self.versus is None:
            groups = [[self._config()]]
        else:
            key, values = self.versus
            configs = [self._config(f"{key}={value}") for value in values]
            groups = [configs] if key in STACKED else [[config] for config in configs]
        self.config = groups[0][0]
        typed = [*self.lines(), *([] if self.versus is None else [f"{self.versus[0]}={self.versus[1][0]}"])]
        self.trainers = [build_trainer(group, overrides=typed) for group in groups]

    def _config(self, *more: str) -> dict[str, Any]:
        return self._compose(*self.lines(), "callbacks=[]", *more)

    def _fit_loss(self, *, told: bool = True) -> None:
        """Choose a loss for the data where the present one does not fit, and note it where that was chosen."""
        config = self._config()
        dataset = load_dataset(config)
        try:
            build_loss(config, dataset)
        except UserError:
            chosen = fitting_loss(dataset.task)
            if told:
                self.notes.append(f"`loss={self.overrides['loss']}` does not fit these data: `loss={chosen}` is taken")
            self._set("loss", chosen)


class _Undo:
    """A block that leaves a playground as it was where a mistake of the user's ends it."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        self._before = {**vars(playground), "overrides": dict(playground.overrides)}

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None and issubclass(kind, UserError):
            vars(self._playground).update(self._before)


def _advance(trainer: Trainer, steps: int) -> Tensor:
    """Up to `steps` steps; the losses (done, M) of all members, NaN for those that have ended."""
    blocks, end = [], min(trainer.step + steps, trainer.total_steps)
    while trainer.active and trainer.step < end:
        active = list(trainer.active)
        losses = trainer.advance(end - trainer.step).detach().float().cpu()
        block = torch.full((len(losses), len(trainer.members)), float("nan"))
        block[:, active] = losses
        blocks.append(block)
    return torch.cat(blocks) if blocks else torch.zeros(0, len(trainer.members))


def _changes(overrides: Sequence[str]) -> dict[str, str]:
    return {key.lstrip("+"): value for key, _, value in (line.partition("=") for line in overrides)}


def fitting_loss(task: Task) -> str:
    """The option of a loss that fits a task, a usual one where there is a choice."""
    names = {loss.option() for loss in concrete_losses() if task in loss.tasks}
    return next((name for name in PREFERRED if name in names), min(names))
