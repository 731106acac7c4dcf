"""Choices that are allowed but seldom meant, in a sentence each, said on standard error before a run trains."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import torch

from nnlab.config.network import brings_weights
from nnlab.config.overrides import key_of
from nnlab.console import counted
from nnlab.diagnosis.rules.data import HANDFUL
from nnlab.errors import UserError
from nnlab.optimizer.base import SecondOrder
from nnlab.storage.run import Run
from nnlab.training import Trainer

HOPELESS = 100  # times what a run has of something: so much more is a slip

log = logging.getLogger(__name__)
_said: set[str] = set()
_asked: set[str] = set()  # architectures that have been asked whether they bring weights


def caution(trainer: Trainer, runs: Sequence[Run]) -> None:
    """Say the sentences that apply to any of the runs, each once in a process, however long its sweep."""
    found = [
        *of_batches(trainer),
        *of_splits(trainer),
        *of_optimizer(trainer),
        *of_schedule(trainer),
        *of_accumulation(trainer),
        *(line for run in runs for line in _of_run(trainer, run)),
    ]
    for sentence in dict.fromkeys(found):
        if sentence not in _said:
            _said.add(sentence)
            log.warning(sentence)


def _of_run(trainer: Trainer, run: Run) -> Iterator[str]:
    yield from of_overrides(run)
    yield from of_window(trainer, run)
    yield from of_validation(trainer, run)
    yield from of_weights(trainer, run)


def of_batches(trainer: Trainer) -> Iterator[str]:
    """A minibatch of the default size where there are not so many examples."""
    size, examples = trainer.settings.batch_size, trainer.engine.batches.examples
    if size != "full" and size > examples:
        there = counted(examples, "training example")
        yield f"`trainer.batch_size={size}` is more than the {there}: every step takes all of them"


def of_splits(trainer: Trainer) -> Iterator[str]:
    """Validation and test splits of a handful of examples, unless all that there are, such as the four of XOR."""
    dataset = trainer.members[0].dataset
    splits = {name: getattr(dataset, name) for name in ("validation", "test")}
    few = {name: len(split) for name, split in splits.items() if 0 < len(split) < HANDFUL}
    for name in [name for name, count in few.items() if count == len(dataset.train)]:
        if torch.equal(splits[name].inputs[:], dataset.train.inputs[:]):
            del few[name]
    if few:
        are = "is" if next(iter(few.values())) == 1 else "are"
        there = " and ".join(counted(count, f"{name} example") for name, count in few.items())
        yield f"there {are} only {there}: what is measured on so few says little about others"


def of_optimizer(trainer: Trainer) -> Iterator[str]:
    """Rules that compare losses and gradients from one evaluation to the next want the same function every time."""
    rule = trainer.engine.rules.optimizer
    if not (isinstance(rule, SecondOrder) and rule.full_batch):
        return
    name = getattr(rule, "kind", type(rule)).__name__
    if trainer.steps_per_epoch > 1:
        yield (
            f"{name} compares gradients of successive steps, which minibatches change: "
            "it works well in full batch, `trainer.batch_size=full`"
        )
    sources = ["noise in the network (dropout, DropConnect)"] if trainer.stack.noise else []
    sources += ["augmentation"] if trainer.engine.rules.augmentations else []
    if sources:
        yield f"{name} is disturbed by {' and '.join(sources)}: switch it off, or use a first-order optimizer"


def of_schedule(trainer: Trainer) -> Iterator[str]:
    """A warm-up that is longer than the run, and more cycles than it has steps.

    Raises:
        UserError: so much longer that nothing would be learned.
    """
    for member in trainer.members:
        warm = member.scheduler.warmup_steps(trainer.steps_per_epoch)
        if warm > HOPELESS * trainer.total_steps:
            raise UserError(
                f"`scheduler.warmup` takes {warm} steps, and the run only {trainer.total_steps}: the learning "
                "rate would stay near 0; shorten it or train longer"
            )
        if warm >= trainer.total_steps:
            yield (
                f"the warm-up takes {warm} steps and the run {trainer.total_steps}: the learning rate never reaches "
                "its value; shorten `scheduler.warmup` or train longer"
            )

        cycles = getattr(member.scheduler, "cycles", 0)
        units = member.scheduler.total(trainer.total_steps, trainer.steps_per_epoch)
        unit = "epochs" if member.scheduler.unit == "epoch" else "steps"
        yield from _beyond("scheduler.cycles", cycles, units, unit, "each is a cycle")


def of_accumulation(trainer: Trainer) -> Iterator[str]:
    """More minibatches to an update than an epoch has.

    Raises:
        UserError: so many more that it is a slip.
    """
    minibatches = trainer.engine.batches.steps_per_epoch
    what = "minibatches of an epoch"
    count = trainer.settings.accumulate
    yield from _beyond("trainer.accumulate", count, minibatches, what, "every update takes all of them")


def of_validation(trainer: Trainer, run: Run) -> Iterator[str]:
    """Validations that were asked for so seldom that the run is over before the first of them."""
    every, unit = trainer.settings.validate_every, trainer.settings.validate_unit
    steps = every * (trainer.steps_per_epoch if unit == "epoch" else 1)
    if steps > trainer.total_steps and any(key_of(each) == "trainer.validate_every" for each in run.overrides):
        yield (
            f"`trainer.validate_every={every}`: the run ends before {every} {unit}s, so its only validation is that "
            "at the end, and its last weights count as the best"
        )


def of_window(trainer: Trainer, run: Run) -> Iterator[str]:
    """A mean that was asked for over more validations than the run has.

    Raises:
        UserError: so many more that it is a slip.
    """
    if any(key_of(each) == "trainer.best_window" for each in run.overrides):
        count = max(1, trainer.total_validations)
        window = trainer.settings.best_window
        yield from _beyond("trainer.best_window", window, count, "validations of the run", "the mean is over all")


def _beyond(key: str, count: int, there: int, what: str, then: str) -> Iterator[str]:
    """The sentence about more of something than there is.

    Raises:
        UserError: there is less than a hundredth of it.
    """
    sentence = f"`{key}={count}` is more than the {there} {what}"
    if count > HOPELESS * there:
        raise UserError(sentence)
    if count > there:
        yield f"{sentence}: {then}"


def of_weights(trainer: Trainer, run: Run) -> Iterator[str]:
    """Weights that a network brings with it, such as pretrained ones, and that are drawn anew."""
    architecture, initialization = run.config["architecture"], run.config["initialization"]
    if repr(architecture) in _asked or str(initialization["_target_"]).endswith(".Given"):
        return
    _asked.add(repr(architecture))
    if brings_weights(run.config, trainer.members[run.members[0]].dataset, trainer.loss):
        yield (
            f"`{architecture['_target_']}` sets weights by itself, as of a network trained before, and the "
            "initialization draws them anew; `initialization=given` keeps them"
        )


def of_overrides(run: Run) -> Iterator[str]:
    """A number of random passes for a network whose predictions are not averaged over random passes."""
    for name, section in (run.config.get("regularizer") or {}).items():
        key = f"regularizer.{name}.samples"
        inference = (section or {}).get("inference")
        if inference in ("scale", "mean") and any(each.startswith(f"{key}=") for each in run.overrides):
            other = "monte_carlo" if inference == "scale" else "gaussian"
            yield f"`{key}` has no effect without `regularizer.{name}.inference={other}`"
