"""Choices that are allowed but seldom meant, in a sentence each, said on standard error before a run trains."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from nnlab.errors import UserError
from nnlab.optimizer.base import SecondOrder
from nnlab.storage.run import Run
from nnlab.training import Trainer

HOPELESS = 100  # times the run that a warm-up takes

log = logging.getLogger(__name__)
_said: set[str] = set()


def caution(trainer: Trainer, runs: Sequence[Run]) -> None:
    """Say the sentences that apply to any of the runs, each once in a process, however long its sweep."""
    found = [
        *of_batches(trainer),
        *of_optimizer(trainer),
        *of_schedule(trainer),
        *(line for run in runs for line in of_overrides(run)),
    ]
    for sentence in dict.fromkeys(found):
        if sentence not in _said:
            _said.add(sentence)
            log.warning(sentence)


def of_batches(trainer: Trainer) -> Iterator[str]:
    """A minibatch of the default size where there are not so many examples."""
    size, examples = trainer.settings.batch_size, trainer.engine.batches.examples
    if size != "full" and size > examples:
        yield f"`trainer.batch_size={size}` is more than the {examples} training examples: every step takes all of them"


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
    """A warm-up that is longer than the run.

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


def of_overrides(run: Run) -> Iterator[str]:
    """A number of random passes for a network whose predictions are not averaged over random passes."""
    for name, section in (run.config.get("regularizer") or {}).items():
        key = f"regularizer.{name}.samples"
        inference = (section or {}).get("inference")
        if inference in ("scale", "mean") and any(each.startswith(f"{key}=") for each in run.overrides):
            other = "monte_carlo" if inference == "scale" else "gaussian"
            yield f"`{key}` has no effect without `regularizer.{name}.inference={other}`"
