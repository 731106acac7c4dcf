"""What a step of the recipe reports: numbers, tables, trials, and findings that decide whether it passed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from nnlab.diagnosis import Finding
from nnlab.recipe.numbers import OF_STEP, Numbers, plain


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers under a title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass
class TrialRecord:
    """What is kept of one trial.

    Attributes:
        name: unique within its step, such as `learning_rate=0.1 seed=0`.
        command: what to type to run it alone.
        status: `completed` or `diverged`.
        metrics: numbers by name, such as `loss/validation`.
        curves: steps and values by tag.
        changes: what distinguishes it from the user's configuration.
    """

    name: str
    command: str
    status: str
    metrics: dict[str, float]
    curves: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)

    def is_of(self, changes: Mapping[str, Any]) -> bool:
        """Whether it is a trial of a configuration, whatever its seed and its validation split."""
        own = {key: value for key, value in self.changes.items() if key not in ("seed", "data.validation_fold")}
        return own == changes

    def thin(self, points: int = 60) -> None:
        """Keep fewer points of the curve of minibatch losses, averages of consecutive ones."""
        steps, losses = self.curves.get("loss/train", ([], []))
        size = -(-len(losses) // points)
        if size > 1:
            blocks = [losses[i : i + size] for i in range(0, len(losses), size)]
            averages = [sum(block) / len(block) for block in blocks]
            self.curves["loss/train"] = ([*steps[size - 1 :: size], steps[-1]][: len(blocks)], averages)


N = TypeVar("N", bound=Numbers)


@dataclass
class StepReport(Generic[N]):
    """The report of one step.

    Attributes:
        number, title: which step.
        conclusion: in one sentence, what came out.
        numbers: what later steps, programs and the page need.
        seconds: how long it took.
        work: how much it trained, in epochs of the user's network.
        judged: whether there was time to find out; a step that is not judged is not said to have passed.
    """

    number: int
    title: str
    numbers: N
    conclusion: str = ""
    findings: list[Finding] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    trials: list[TrialRecord] = field(default_factory=list)
    seconds: float = 0.0
    work: float = 0.0
    judged: bool = True

    @property
    def faults(self) -> list[Finding]:
        """The findings because of which the step fails, the most basic first."""
        return [finding for finding in self.findings if finding.fault]

    @property
    def passed(self) -> bool:
        """Whether nothing that was found is wrong."""
        return not self.faults

    @property
    def verdict(self) -> str:
        """`passed`, `not passed`, or `not judged`."""
        return "not passed" if self.faults else "passed" if self.judged else "not judged"

    def names(self) -> list[str]:
        """Names of all findings."""
        return [finding.name for finding in self.findings]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON; numbers that are not finite are null, infinite ones of tables `inf`."""
        content = {each.name: getattr(self, each.name) for each in fields(self)}
        content |= {
            "tables": [{**vars(table), "rows": [[*map(_kept, row)] for row in table.rows]} for table in self.tables],
            "trials": [vars(each) for each in self.trials],
        }
        content |= {
            "findings": [finding.to_dict() for finding in self.findings],
            "passed": self.passed,
            "verdict": self.verdict,
        }
        content["numbers"] = self.numbers.to_dict()
        found: dict[str, Any] = plain(content)
        return found

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> StepReport[Any]:
        """The report that `to_dict` gave."""
        known = {f.name: content[f.name] for f in fields(cls) if f.name in content}
        known["numbers"] = OF_STEP[content["number"]].from_dict(content.get("numbers", {}))
        known["findings"] = [Finding.from_dict(each) for each in content.get("findings", [])]
        known["tables"] = [Table(**each) for each in content.get("tables", [])]
        known["trials"] = [TrialRecord(**each) for each in content.get("trials", [])]
        return cls(**known)


def _kept(value: Any) -> Any:
    """A value of a table as it is kept: what diverged stays apart from what was not measured."""
    return str(value) if isinstance(value, float) and math.isinf(value) else value


Report = StepReport[Any]
