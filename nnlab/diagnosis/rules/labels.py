"""Findings about labels, from predictions by networks that have not seen the examples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from nnlab.diagnosis.facts.labels import LabelFacts, Surest
from nnlab.diagnosis.facts.one_way import OneWay
from nnlab.diagnosis.finding import Finding

LISTED = 8  # suspicious examples that are listed


def label_findings(facts: LabelFacts, names: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[Finding]:
    """That labels are wrong, or may be, or two classes are mixed up.

    Args:
        facts: see their class.
        names: of the classes.
        rows: the row of each training example in the data as they were read, where that is known.
    """
    if facts.pair is not None:
        pair = facts.pair
        others = (
            "all other pairs always"
            if pair.others == 1
            else f"any other two classes in {math.floor(100 * pair.others)}% or more"
        )
        yield Finding(
            "classes_mixed_up",
            f"Networks that have not seen the examples tell `{names[pair.first]}` from `{names[pair.second]}` in "
            f"{pair.right:.0%} of {pair.count} cases, and {others}",
            {"right": pair.right, "others": pair.others, "examples": pair.count},
            why="" if facts.one_sided is None else _forgotten(*(names[label] for label in facts.one_sided)),
            certain=True,
        )
        return
    if facts.one_way is not None:
        yield _one_way(facts.one_way, names)
        return
    if not facts.wrong:
        if facts.surest.doubtful:
            yield _doubt(facts.surest)
        return
    listed = [index if rows is None else rows[index] for index in facts.suspicious[:LISTED]]
    where = "training examples" if rows is None else "rows"
    late = (
        f"; {facts.late:.0%} of the suspicious ones are learned later than the average"
        if math.isfinite(facts.late)
        else ""
    )
    first = f". First {where} to look at, counted from 0: {', '.join(map(str, listed))}" if listed else ""
    yield Finding(
        "labels_wrong",
        f"{_observed(facts)}{late}{first}",
        {"share": facts.share, "suspicious": len(facts.suspicious), "agree in training": facts.train}
        | {"agree in validation": facts.validation, "wrong among the surest": facts.surest.wrong},
        certain=True,
    )


def _one_way(found: OneWay, names: Sequence[str]) -> Finding:
    answer, label = names[found.answer], names[found.label]
    return Finding(
        "classes_mixed_up",
        f"Of the half of the answers `{answer}` that networks are surest of, without having seen the labels, "
        f"{found.wrong:.0%} are called something else, nearly always `{label}`, however sure they are; of any other "
        f"answer {found.others:.0%} at most",
        {"wrong": found.wrong, "others": found.others, "answers": found.count},
        why=_forgotten(answer, label),
        certain=True,
    )


def _forgotten(answer: str, label: str) -> str:
    return (
        f"A part of `{answer}` seems to have the label `{label}`, as where it was forgotten, or the inputs do not tell "
        "that part. Look at some of these examples."
    )


def _observed(facts: LabelFacts) -> str:
    if facts.noisier:
        return (
            f"Networks that have not seen the examples agree with {facts.train:.0%} of the training labels and with "
            f"{facts.validation:.0%} of the validation labels: about {facts.share:.0%} of the former look wrong"
        )
    surest = facts.surest
    any_class = f", of any class: it is the second likeliest in {surest.second:.0%}" if surest.classes > 2 else ""
    return (
        f"Of the half of the examples that {_models(surest)} are surest of, without having seen their labels, "
        f"{surest.wrong:.1%} have another label{any_class}. Where classes merely overlap, the surest "
        f"answers are wrong far less often than all, which are wrong in {surest.all:.1%}: about {facts.share:.0%} of "
        "all labels look wrong, or left to chance"
    )


def _models(surest: Surest) -> str:
    return "networks" if surest.alone else "networks, neighbors and a linear model"


def _doubt(surest: Surest) -> Finding:
    """The note that labels may be wrong, or that chance decides: where the data cannot tell one from the other."""
    coarse = ", and a column of a few values says as much as all" if surest.coarse else ""
    return Finding(
        "labels_wrong_or_chance",
        f"Of the examples that {_models(surest)} are surest of, without having seen their labels, "
        f"{surest.wrong:.0%} have another label, about as many as of all ({surest.all:.0%}){coarse}",
        {"wrong among the surest": surest.wrong, "wrong": surest.all, "skill": surest.skill},
    )


def renamed_finding(order: Sequence[int], right: float, present: float, names: Sequence[str]) -> Finding:
    """That validation labels follow another order of the classes."""
    moved = [f"`{names[a]}` is called `{names[b]}`" for a, b in enumerate(order) if a != b]
    more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    return Finding(
        "classes_renamed",
        f"Under another order of the class names {right:.0%} of the validation answers are right instead of "
        f"{present:.0%}: {', '.join(moved[:3])}{more}",
        {"right": right, "before": present},
        step=0,
        certain=True,
    )
