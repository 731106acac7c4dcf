"""All rules over one record, or over those of an ensemble; causes first, what they explain beneath them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from nnlab.diagnosis.catalogue import kind_of
from nnlab.diagnosis.facts.curves import View
from nnlab.diagnosis.finding import Finding
from nnlab.diagnosis.record import RunRecord
from nnlab.diagnosis.rules import data, fit, mechanics, penalties, predictions, rates, signals

Rule = Callable[[View], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    data.data_rule,
    data.too_good,
    data.noisy_validation,
    mechanics.mechanics,
    signals.symmetric,
    signals.frozen,
    signals.detached,
    signals.exploding,
    signals.saturated,
    signals.dead,
    signals.vanishing,
    signals.hockey_stick,
    penalties.too_strong,
    rates.too_high,
    rates.exploded,
    rates.decayed_too_early,
    rates.too_low,
    rates.unusual_updates,
    predictions.imbalance,
    predictions.mismatch,
    predictions.collapse,
    fit.unrelated,
    fit.overfitting,
    fit.still_improving,
    fit.underfitting,
    fit.plateau,
)


def diagnose(record: RunRecord) -> list[Finding]:
    """The findings about a run, likeliest cause first; an empty list says that nothing looks wrong."""
    view = View(record)
    found = [finding for rule in RULES for finding in rule(view)]
    if not any(finding.fault for finding in found):
        found += fit.behind(view)
    return arranged(found)


def arranged(findings: Iterable[Finding]) -> list[Finding]:
    """Faults in the order of the catalogue, then notes; what one explains becomes its symptom, of a note no fault."""
    order = sorted({finding.name: finding for finding in findings}.values(), key=lambda finding: finding.place)
    result: list[Finding] = []
    taken: set[str] = set()
    for finding in order:
        if finding.name in taken:
            continue
        explained = kind_of(finding.name, finding.variant).explains
        below = [
            other
            for other in order
            if other.name in explained
            and other.name != finding.name
            and other.name not in taken
            and (finding.fault or not other.fault)
        ]
        taken.update(finding.name for finding in (finding, *below))
        result.append(dataclasses.replace(finding, symptoms=tuple(below)))
    return faults_first(result)


def faults_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in their order, but notes last."""
    return sorted(findings, key=lambda finding: not finding.fault)


def of_ensemble(each: Sequence[Sequence[Finding]]) -> list[Finding]:
    """What the findings about each member say about the run that answers with all of them, causes first.

    A fault that most members do not have is a note, unless it is certain: a member is lost. Numbers are those of a
    member, which is named, unless all say the same.
    """
    found: dict[str, dict[int, Finding]] = {}
    for member, findings in enumerate(each):
        for finding in findings:
            found.setdefault(finding.name, {}).setdefault(member, finding)
    members = (_of_members(same, len(each)) for same in found.values())
    return faults_first(sorted(members, key=lambda finding: finding.place))


def _of_members(same: Mapping[int, Finding], members: int) -> Finding:
    """Findings of one name by some of the members, as one."""
    member, worst = max(same.items(), key=lambda item: item[1].fault)
    alike = len({finding.observed for finding in same.values()}) == 1
    if len(same) == members and alike:
        return worst
    level = worst.severity
    if len(same) < members:
        level = "fault" if worst.fault and (2 * len(same) > members or worst.certain) else "note"
    where = f"in {'all' if len(same) == members else f'{len(same)} of'} {members} members"
    where += "" if alike else f", as in member {member}"
    observed = f"{where}: {worst.observed[:1].lower()}{worst.observed[1:]}"
    return dataclasses.replace(worst, observed=observed, level=level)
