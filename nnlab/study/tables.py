"""A study as text: `study.csv` with a row for every configuration, `study.md`, and the lines for the terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from nnlab.console import counted, with_error
from nnlab.metric_names import title
from nnlab.report.markdown import table
from nnlab.storage.spreadsheet import safe
from nnlab.study.axes import Axis
from nnlab.study.compare import Comparison, against_best
from nnlab.study.model import Configuration, Study
from nnlab.study.propose import Proposal

TOP = 10  # configurations among the best
SHOWN_OF_A_TIE = 4
STATUSES = ("completed", "diverged", "failed", "unfinished")


def csv_text(study: Study) -> str:
    """One row for every configuration, the best first; metrics as mean and standard deviation over its runs."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = [name for tag in study.metrics for name in (tag, f"{tag}/std")]
    writer.writerow(map(safe, ["rank", *study.axes, "runs", *STATUSES, "pruned", *columns, "seconds", "folders"]))
    for rank, each in enumerate(study.configurations, start=1):
        values = [number for tag in study.metrics for number in (each.mean(tag), each.std(tag))]
        writer.writerow(
            [
                *(rank, *map(safe, each.values.values()), len(each.runs), *map(each.count, STATUSES)),
                sum(run.pruned for run in each.runs),
                *("" if math.isnan(value) else repr(value) for value in values),
                round(sum(run.seconds for run in each.runs), 3),
                safe(";".join(run.name for run in each.runs)),
            ]
        )
    return file.getvalue()


def in_words(tag: str) -> str:
    """A metric's tag in words.

    >>> in_words("accuracy/validation"), in_words("f1/test")
    ('validation accuracy', 'test macro f1')
    """
    name, _, split = tag.partition("/")
    return f"{split} {title(name)}"


def spread(configuration: Configuration, tag: str) -> str:
    """Mean and standard deviation, such as `0.953 ± 0.004`."""
    mean, std = configuration.mean(tag), configuration.std(tag)
    return "" if math.isnan(mean) else with_error(mean, std)


def ended(configuration: Configuration) -> str:
    """How its runs ended, such as `3` or `2 of 3, 1 diverged`."""
    total, completed = len(configuration.runs), configuration.count("completed")
    if completed == total:
        return str(total)
    rest = ", ".join(f"{configuration.count(s)} {s}" for s in STATUSES[1:] if configuration.count(s))
    return f"{completed} of {total}, {rest}"


def headline(study: Study) -> str:
    """The result in one sentence; where several are exactly as good, none of them is the best."""
    best, tied = study.best, study.tied
    seeds = len(best.results(study.metric))
    mean = f"mean of {seeds} runs" if seeds > 1 else "one run"
    if keys := study.measured_on:
        named, decides = " and ".join(f"`{key}`" for key in keys), "decides" if len(keys) == 1 else "decide"
        return f"None is called the best: {named} {decides} what they are measured on; their numbers do not compare."
    if len(tied) > 1:
        shown = "; ".join(each.label for each in tied[:SHOWN_OF_A_TIE])
        more = f"; and {len(tied) - SHOWN_OF_A_TIE} more" if len(tied) > SHOWN_OF_A_TIE else ""
        value = f"{best.mean(study.metric):.4g}"
        return f"A tie of {len(tied)}: {shown}{more}, all with {in_words(study.metric)} {value} ({mean})."
    sentence = f"Best: {best.label}, with {in_words(study.metric)} {spread(best, study.metric)} ({mean})"
    test = study.metric.partition("/")[0] + "/test"
    return sentence + (f"; on the test split {spread(best, test)}." if best.results(test) else ".")


def short_names(keys: Sequence[str]) -> list[str]:
    """The shortest endings of dotted keys that tell them apart, of at least two parts where the last is common.

    >>> short_names(["optimizer.learning_rate", "optimizer", "regularizer.dropout.p", "regularizer.l1.strength"])
    ['learning_rate', 'optimizer', 'dropout.p', 'l1.strength']
    """
    parts = [key.split(".") for key in keys]
    names = []
    for own in parts:
        size = 2 if len(own) > 2 else 1
        while size < len(own) and sum(each[-size:] == own[-size:] for each in parts) > 1:
            size += 1
        names.append(".".join(own[-size:]))
    return names


def contenders(study: Study) -> list[Comparison]:
    """The configurations after the best, compared with it."""
    return against_best(study, study.ranked[1:TOP])


def seeds_sentence(study: Study, compared: Sequence[Comparison]) -> str:
    """What the seeds allow to say about the best configurations."""
    if not compared:
        return "There is one configuration only."
    told = [each for each in compared if each.exceeds is not None]
    if not told:
        return "Every configuration ran once, so nothing says which differences the seed alone would make."
    how = "compared seed by seed" if any(each.paired for each in told) else "compared over seeds"
    examples = " and the choice of examples" if study.step else ""
    corrected = f", corrected for {len(told)} comparisons" if len(told) > 1 else ""
    return (
        f"{_told_apart(told)} ({how}; p is the probability of such a difference "
        f"from the seeds{examples} alone{corrected})."
    )


def _told_apart(compared: Sequence[Comparison]) -> str:
    """How many differ from the best by more than chance, and of how many the seeds are too few to say so."""
    real, total = sum(each.exceeds is True for each in compared), len(compared)
    undecided = [each for each in compared if each.undecided]
    if not undecided:
        differ = f"{real} differ" if real > 1 else f"{real or 'none'} differs"
        alone = f"The other {'differs' if real else 'does not differ'}"
        subject = f"Of the next {total}, {differ}" if total > 1 else alone
        return f"{subject} from the best by more than the seeds' spread"
    few, many = min(each.seeds for each in undecided), max(each.seeds for each in undecided)
    seeds = f"{few} seeds" if few == many else f"{few} to {many} seeds"
    if total == 1:
        return f"{seeds} cannot tell the other apart from the best, though it differs by more than their spread"
    who = f"{real} are" if real > 1 else f"{real or 'none'} is"
    others = "1, though it differs" if len(undecided) == 1 else f"{len(undecided)}, though they differ"
    return (
        f"Of the next {total}, {who} told apart from the best; "
        f"{seeds} cannot do so with {others} by more than the seeds' spread"
    )


def best_rows(study: Study, compared: Sequence[Comparison]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of the best configurations."""
    test = f"{study.metric.partition('/')[0]}/test"
    tags = list(dict.fromkeys([study.metric, *([test] if test in study.metrics else [])]))
    header = ["", *short_names(list(study.axes)), *map(in_words, tags), "runs", "difference", "from the best"]
    rows = []
    for rank, each in enumerate(study.ranked[:TOP], start=1):
        found = next((c for c in compared if c.first is each), None)
        verdict = [f"{found.difference:+.2g}", found.verdict] if found else ["", ""]
        rows.append([str(rank), *each.values.values(), *(spread(each, tag) for tag in tags), ended(each), *verdict])
    return header, rows


def axis_rows(axis: Axis, metric: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of an axis's table: its values with the best of each."""
    header = ["value", "best", "difference", "from the best", "diverged"]
    rows = []
    for entry in axis.entries:
        found = entry.comparison
        verdict = [f"{found.difference:+.2g}", found.verdict] if found else ["", "the best" if entry.best else ""]
        share = (
            f"{entry.diverged} ({100 * entry.diverged_share:.0f}%)" if entry.diverged else "0" if entry.ended else ""
        )
        rows.append([entry.label, spread(entry.best, metric) if entry.best else "", *verdict, share])
    return header, rows


def counts(study: Study) -> str:
    """How many runs there are, and how they ended."""
    parts = [f"{study.count(status)} {status}" for status in STATUSES if study.count(status)]
    pruned = sum(run.pruned for run in study.runs)
    clause = f" ({pruned} of them ended early as hopeless)" if pruned else ""
    runs, settings = counted(len(study.runs), "run"), counted(len(study.configurations), "configuration")
    return f"{runs} of {settings}: {', '.join(parts)}{clause}"


def markdown(study: Study, axes: Sequence[Axis], proposal: Proposal) -> str:
    """The study as a Markdown page."""
    compared = contenders(study)
    lines = [f"# {study.folder.resolve().name}", "", headline(study), "", counts(study) + ".", ""]
    lines += [f"- **Warning:** {note}." for note in proposal.notes]
    if proposal.command:
        lines += ["", f"Next ({proposal.what}):", "", "```", proposal.command, "```"]
    lines += ["", "## Best configurations", "", *table(*best_rows(study, compared)), ""]
    lines += [seeds_sentence(study, compared), ""]
    for axis in axes:
        lines += [f"## `{axis.key}`", "", *table(*axis_rows(axis, study.metric)), ""]
    if study.fixed:
        lines += ["The same in all runs: " + ", ".join(f"`{key}={value}`" for key, value in study.fixed.items()), ""]
    return "\n".join(lines)


def terminal(study: Study, proposal: Proposal) -> str:
    """The study in a few lines, without the page's figures."""
    compared = contenders(study)
    header, rows = best_rows(study, compared)
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [counts(study), "", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in [header, *rows])]
    return "\n".join([*lines, "", seeds_sentence(study, compared), *next_lines(proposal)])


def next_lines(proposal: Proposal) -> list[str]:
    """Warnings, and the command to run next."""
    lines = [f"warning: {note}" for note in proposal.notes]
    return [*lines, f"next ({proposal.what}):", f"  {proposal.command}"] if proposal.command else lines
