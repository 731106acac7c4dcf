"""From a trainer to the records of its members."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnlab.activation.layers import activation_layers
from nnlab.diagnosis.facts.data import DataFacts, data_facts
from nnlab.diagnosis.facts.levels import make_room, sample
from nnlab.diagnosis.facts.trained import (
    TOGETHER,
    NetworkFacts,
    last_weights,
    network_facts,
    noise_of,
    norm_momentum,
    option,
    weight_facts,
)
from nnlab.diagnosis.finding import Finding
from nnlab.diagnosis.record import RunRecord, Series
from nnlab.diagnosis.rules.mechanics import network_findings
from nnlab.streaming import at_once
from nnlab.training import Trainer

LOOKED_INTO = 4  # splits of the same examples
TESTED, TESTED_MEMBERS = 256, 8  # training examples and networks that the direct tests see: all have the same parts
NUMBERS, FEWEST = 1 << 21, 16  # inputs of all these examples, of which there are so many however large they are


def facts_of(trainer: Trainer, traps: bool = True) -> dict[int, DataFacts]:
    """Facts of the members' data sets by member; members that share a data set share the work.

    Seeds split the same examples at random. Traps that `LOOKED_INTO` such splits have no trace of are in no other.

    Args:
        trainer: whose data.
        traps: whether to look for what misleads among the examples (leaks, placeholders), which takes most of the time.
    """
    facts: dict[int, DataFacts] = {}
    known: dict[str, list[DataFacts]] = {}  # of splits of the same examples, by their fingerprint
    for dataset in {id(m.dataset): m.dataset for m in trainer.members}.values():
        others = known.setdefault(dataset.fingerprint, []) if dataset.fingerprint else []
        make_room(dataset.train)  # of the minibatches
        clean = not traps or (len(others) >= LOOKED_INTO and all(each.clean for each in others[:LOOKED_INTO]))
        facts[id(dataset)] = data_facts(dataset, trainer.loss, clean)
        others.append(facts[id(dataset)])
    return {position: facts[id(member.dataset)] for position, member in enumerate(trainer.members)}


def records(
    trainer: Trainer,
    data: Mapping[int, DataFacts] | None = None,
    probe: bool = True,
    members: Sequence[int] | None = None,
) -> Iterator[RunRecord]:
    """One record after another, of each member, from what has been recorded so far and a few passes over the data.

    Args:
        trainer: before, during or after training.
        data: facts that are known already, as `facts_of` gives them.
        probe: whether to run the networks on parts of the data (a few milliseconds for a small network); without it
            only curves and recorded statistics are used.
        members: the members to look at; all where not given.
    """
    trainer.history.flush()
    known = facts_of(trainer) if data is None else data
    chosen = range(len(trainer.members)) if members is None else members
    ranked = any(facts.skewed for facts in known.values())
    networks = dict(enumerate(network_facts(trainer, ranked))) if probe else _weights_only(trainer, chosen)
    tests = functools.cache(lambda: network_tests(trainer))  # once for all members, and only where one of them is weak
    for start in range(0, len(chosen), TOGETHER):  # lists of numbers take many times the memory of records
        part = chosen[start : start + TOGETHER]
        series = _series(trainer, part)
        for member in part:
            facts = known[member], networks[member], series[member]
            yield _record(trainer, member, *facts, tests if probe else None)


def network_tests(trainer: Trainer) -> list[Finding]:
    """The direct tests of the first networks at their last weights; nothing of the training state is changed."""
    train = trainer.members[0].dataset.train
    part = sample(train, max(FEWEST, at_once(train.inputs, NUMBERS, TESTED)))
    with last_weights(trainer, TESTED_MEMBERS):
        return network_findings(trainer, part.inputs, part.targets)


def _weights_only(trainer: Trainer, members: Sequence[int]) -> dict[int, NetworkFacts]:
    """What can be said of the members without running the networks."""
    rows = {member: row for row, member in enumerate(trainer.active) if member in members}
    weights = weight_facts(trainer, list(rows.values())) if rows else []
    known = dict(zip(rows, weights, strict=True))
    return {member: NetworkFacts((), known.get(member, ()), {}) for member in members}


def _series(trainer: Trainer, members: Sequence[int]) -> dict[int, dict[str, Series]]:
    """The sparse scalars of some members by tag."""
    found: dict[int, dict[str, tuple[list[int], list[float]]]] = {member: {} for member in members}
    for record in trainer.history.records:
        if record.member not in found:
            continue
        own = found[record.member]
        for tag, value in zip(record.tags, record.numbers, strict=True):
            steps, values = own.setdefault(tag, ([], []))
            steps.append(record.step)
            values.append(value)
    return {
        member: {tag: Series(steps, values) for tag, (steps, values) in own.items()} for member, own in found.items()
    }


def _record(
    trainer: Trainer,
    position: int,
    data: DataFacts,
    network: NetworkFacts,
    series: Mapping[str, Series],
    tests: Callable[[], list[Finding]] | None,
) -> RunRecord:
    member = trainer.members[position]
    losses = trainer.history.losses[:, position]
    seen = np.flatnonzero(np.isfinite(losses))
    end = int(seen[-1]) + 1 if len(seen) else 0
    ending = "/validation"
    kinds = [layer.kind for layer in activation_layers(member.network).values()]
    momentum = norm_momentum(member.network)
    weights = getattr(trainer.loss, "class_weights", None)
    return RunRecord(
        losses=losses[:end],
        rates=trainer.history.rates[:end, position],
        steps_per_epoch=trainer.steps_per_epoch,
        total_steps=trainer.total_steps,
        status=trainer.outcomes[position].status,
        reason=trainer.outcomes[position].reason,
        stopped=position not in trainer.active,
        task=member.dataset.task,
        primary_metric=trainer.loss.primary_metric(member.dataset.task),
        curves={tag.removesuffix(ending): s for tag, s in series.items() if tag.endswith(ending)},
        statistics={tag: s for tag, s in series.items() if not tag.endswith(ending)},
        best_step=trainer.best.steps[position],
        optimizer=option(member.optimizer),
        activation=kinds[0] if kinds else "",
        architecture=option(member.network),
        scheduler=option(member.scheduler),
        by_steps=trainer.settings.steps is not None,
        learning_rate=float(member.optimizer.learning_rate),
        batch_size=trainer.engine.batches.batch_size * trainer.settings.accumulate,
        penalties=_strengths(member.penalties, member.optimizer),
        regularizers=_regularizers(trainer, position),
        noise=noise_of(member.network),
        batch_norm=momentum is not None,
        norm_momentum=float("nan") if momentum is None else momentum,
        augmented=bool(member.augmentations),
        class_weights=tuple(weights) if weights is not None else (),
        weighable=hasattr(trainer.loss, "class_weights"),
        clipped=member.clip_norm is not None or member.clip_value is not None,
        data=data,
        layers=network.layers,
        weights=network.weights,
        splits=network.splits,
        tests=tests,
    )


def _strengths(penalties: Any, optimizer: object) -> dict[str, float]:
    """Strengths by option, with the optimizer's own decay; those that are off are left out."""
    found = {
        "decoupled_decay" if getattr(penalty, "decoupled", False) else option(penalty): float(penalty.strength)
        for penalty in penalties
    }
    own = float(getattr(optimizer, "weight_decay", 0.0) or 0.0)
    return {name: value for name, value in (found | {"optimizer": own}).items() if value > 0}


def _regularizers(trainer: Trainer, position: int) -> tuple[str, ...]:
    """The options of all that a member is regularized with."""
    member, prefix = trainer.members[position], "regularizer."
    parts = (*member.penalties, *member.constraints, *member.averages, *member.sharpness)
    brought = [each.name.removeprefix(prefix) for each in trainer.callbacks if each.name.startswith(prefix)]
    together = len(trainer.members) > len(trainer.runs) > 0
    names = [*(["ensemble"] if together else []), *map(option, parts), *noise_of(member.network), *brought]
    return tuple(dict.fromkeys(names))
