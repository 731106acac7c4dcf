"""What experiments come to, as findings: the cause with what taking it back gave, and what each remedy gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnlab.diagnosis import Finding
from nnlab.diagnosis.catalogue import Severity
from nnlab.metric_names import title
from nnlab.probe.cause import Evidence, Tried
from nnlab.probe.experiments import Experiments, Outcome
from nnlab.probe.suspects import Suspect

SHOWN = 3  # other changes that are told with what they gave


def cause_found(
    causes: Sequence[Suspect], outcome: Outcome, evidence: Evidence, experiments: Experiments, rule: Finding | None
) -> Finding:
    """The finding that some settings, or a component, are at fault; under the name of the rule that says so, too.

    Args:
        causes: what was taken back.
        outcome: what that gave.
        evidence: of all experiments.
        experiments: which have the metric and their size.
        rule: what a rule says about the same keys.
    """
    foreign = [suspect.foreign for suspect in causes if suspect.foreign]
    words = tuple(word for suspect in causes for word in suspect.words)
    now = " ".join(suspect.before for suspect in causes if suspect.before)
    instead = f" instead of `{now}`" if now else ""
    gave = (
        f"`{' '.join(words)}`{instead} takes the validation {title(experiments.metric)} from "
        f"{evidence.before.shown} to {outcome.shown}"
    )
    others = _others(evidence, {suspect.label for suspect in causes}, experiments)
    if rule is not None:
        return replace(rule, overrides=words, tried=f"Tried: {gave}. {others}", symptoms=(), level="fault")
    numbers = {"skill before": evidence.before.skill, "skill after": outcome.skill, "spread": evidence.before.spread}
    return Finding(
        "component_at_fault" if foreign else "setting_at_fault",
        gave,
        numbers | {"all taken back": evidence.healthy.skill},
        words,
        why=f"Look into `{foreign[0]}`." if foreign else "",
        tried=others,
    )


def cause_unknown(
    evidence: Evidence, suspects: Sequence[Suspect], experiments: Experiments, doubt: Finding | None = None
) -> Finding:
    """The finding that no setting is the cause, with what was ruled out: not the labels, where there is `doubt`."""
    gained = evidence.lost > evidence.noise / 2
    usual = (
        f"with all unusual settings ({', '.join(f'`{suspect.before}`' for suspect in suspects)}) taken back it is "
        f"{evidence.healthy.shown}"
        if suspects
        else "there is no unusual setting to take back"
    )
    why = ""
    if doubt is not None:
        why = (
            "Something is wrong, and its cause is not known: the settings that were tried, and the splits of the data, "
            f"are not it. {'' if doubt.fault else doubt.explanation}".rstrip()
        )
    elif gained:
        why = "What gives more may be a part of the cause; by chance alone, such networks differ nearly as much."
    return Finding(
        "cause_not_found",
        f"The validation {title(experiments.metric)} of such networks is {evidence.before.shown}, and {usual}",
        {"skill before": evidence.before.skill, "all taken back": evidence.healthy.skill},
        why=why,
        tried=_others(evidence, set(), experiments),
    )


def better_still(best: Tried, outcome: Outcome, experiments: Experiments) -> Finding:
    """The note that further changes restore more than the cause alone."""
    return Finding(
        "better_still",
        f"Further changes take the validation {title(experiments.metric)} from {outcome.shown} to "
        f"{best.outcome.shown}: `{best.suspect.label}`",
        {"skill": best.outcome.skill, "of the first remedy": outcome.skill},
        best.suspect.words,
    )


def _others(evidence: Evidence, causes: set[str], experiments: Experiments) -> str:
    """What else was tried, what it gave, and what could not be tried."""
    others = [each for each in evidence.tried if each.suspect.label not in causes]
    others.sort(key=lambda each: -each.outcome.skill)
    failed = "".join(
        f" Could not be tried: `{each.suspect.label}` ({each.outcome.failure})." for each in evidence.failed
    )
    if not others:
        return f"Measured with {experiments.size}.{failed}"
    shown = "; ".join(f"`{each.suspect.label}` {each.outcome.shown}" for each in others[:SHOWN])
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    return f"Tried besides: {shown}{more} ({experiments.size}).{failed}"


def answered(finding: Finding, evidence: Evidence, experiments: Experiments) -> Finding:
    """A rule's finding with what its remedy gave; a remedy that gave nothing is taken back.

    What the data are like, and harms nothing where it was mended, is worth a note.
    """
    own = followed(finding, evidence.tried)
    if own is None:
        return finding
    gained = own.outcome.skill - evidence.start > evidence.noise
    sentence = (
        f"Tried: `{own.suspect.label}` takes the validation {title(experiments.metric)} from "
        f"{evidence.before.shown} to {own.outcome.shown}."
    )
    harmless = not gained and finding.conclusive and not finding.kind.stays
    level: Severity | None = "note" if harmless else finding.level
    return replace(finding, tried=sentence, overrides=finding.overrides if gained else (), level=level)


def followed(finding: Finding, tried: Sequence[Tried]) -> Tried | None:
    """The experiment with a finding's remedy."""
    label = " ".join(finding.overrides)
    return next((each for each in tried if label and each.suspect.label == label), None)
