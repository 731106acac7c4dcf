"""A finding: what was seen, the numbers that say so, why it happens, and the override to paste."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Mapping
from typing import Any

from nnlab import notebook
from nnlab.console import LARGE
from nnlab.diagnosis.catalogue import FORMER, PLACES, Kind, Severity, kind_of

Number = float | int | str


@dataclasses.dataclass(frozen=True)
class Finding:
    """One finding about a run, a network or a data set.

    Attributes:
        name: such as `learning_rate_too_high`; `nnlab.diagnosis.NAMES` has them all.
        observed: what was seen, with the numbers, as a sentence or a clause.
        evidence: the numbers behind it, by name.
        overrides: what to append to the command, such as `("optimizer.learning_rate=0.01",)`; empty where no override
            can help.
        why: why it happens, where the catalogue's words do not fit.
        tried: what was tried, and what it gave.
        layer: the layer it is about, if it is about one.
        step: the step at which it began, if it began at one.
        level: `fault` or `note` where that differs from the catalogue's.
        variant: the finding's place among the causes where the name has several.
        certain: whether it may be said while training goes on, because further steps cannot change it.
        symptoms: findings that this one explains; they are not listed on their own.
    """

    name: str
    observed: str
    evidence: Mapping[str, Number] = dataclasses.field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    why: str = ""
    tried: str = ""
    layer: str | None = None
    step: int | None = None
    level: Severity | None = None
    variant: str = ""
    certain: bool = False
    symptoms: tuple[Finding, ...] = ()

    @property
    def kind(self) -> Kind:
        """The finding's row in the catalogue."""
        return kind_of(self.name, self.variant)

    @property
    def place(self) -> int:
        """The place among the causes, the most basic first."""
        return PLACES.get((self.name, self.variant), PLACES.get((self.name, ""), len(PLACES)))

    @property
    def severity(self) -> Severity:
        """`fault` or `note`."""
        return self.level or self.kind.severity

    @property
    def fault(self) -> bool:
        """Whether something is wrong and should be mended; a step of the recipe fails because of it."""
        return self.severity == "fault"

    @property
    def of_data(self) -> bool:
        """Whether it is a fault of the data that is there before any training; no setting explains it."""
        return self.fault and self.step == 0 and not self.kind.symptom

    @property
    def conclusive(self) -> bool:
        """Whether it is a fault of the data that is certain."""
        return self.of_data and self.certain

    @property
    def reason(self) -> str:
        """Why it happens: the finding's own words, or those of the catalogue."""
        return self.why or self.kind.why or kind_of(self.name).why

    @property
    def explanation(self) -> str:
        """Sentences for a student: what was seen, why it happens, and what was tried.

        >>> Finding("noisy_validation", "there are only 12 validation examples").explanation
        'There are only 12 validation examples. Choices made by it are partly chance.'
        """
        return " ".join(_sentence(part) for part in (self.observed, self.reason, self.tried) if part)

    @property
    def override(self) -> str:
        """The overrides as one would paste them into a shell.

        >>> Finding("overfitting", "", overrides=("regularizer=[weight_decay,dropout]", "seed=1")).override
        "'regularizer=[weight_decay,dropout]' seed=1"
        """
        return " ".join(map(shlex.quote, self.overrides))

    @property
    def title(self) -> str:
        """The name in words: `learning_rate_too_high` is "learning rate too high"."""
        return self.name.replace("_", " ")

    @property
    def headed(self) -> str:
        """Title, layer and step, and that it is a symptom where it says what happened rather than why."""
        return f"{self.where()} (a symptom; its cause is not known)" if self.kind.symptom else self.where()

    def where(self) -> str:
        """The title with layer and step.

        >>> Finding("dead_units", "", layer="activation1", step=1).where()
        'dead units (layer activation1, step 1)'
        """
        places = [f"layer {self.layer}"] if self.layer else []
        places += [f"step {self.step}"] if self.step else []  # 0: before any
        return self.title + (f" ({', '.join(places)})" if places else "")

    def line(self) -> str:
        """One line for a log: name, layer, step, explanation, override."""
        remedy = f" Try: {self.override}" if self.overrides else ""
        return f"{self.headed}: {self.explanation}{remedy}"

    def _repr_html_(self) -> str:
        """In a notebook: the sentences, the numbers behind them, and the override to try."""
        evidence = [
            (name, shown(value) if isinstance(value, float) else value) for name, value in self.evidence.items()
        ]
        remedy = notebook.code(self.override) if self.overrides else ""
        return notebook.lines(f"{self.headed}: {self.explanation}") + notebook.table(("", ""), evidence) + remedy

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that JSON does not have become null."""
        return {
            "name": self.name,
            "severity": self.severity,
            "observed": self.observed,
            "explanation": self.explanation,
            "tried": self.tried,
            "evidence": {key: _plain(value) for key, value in self.evidence.items()},
            "override": self.override,
            "where": self.where(),
            "layer": self.layer,
            "step": self.step,
            "symptom": self.kind.symptom,
            "certain": bool(self.certain),
            "symptoms": [symptom.to_dict() for symptom in self.symptoms],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Finding:
        """What `to_dict` gave, also of earlier versions, whose recipes had a sentence as evidence.

        >>> old = {"name": "frozen_layer", "evidence": "w is frozen", "explanation": "So it is.", "fault": False}
        >>> found = Finding.from_dict(old)
        >>> found.name, found.observed, found.severity
        ('frozen_layers', 'w is frozen', 'note')
        """
        name = FORMER.get(content["name"], content["name"])
        evidence = content.get("evidence", {})
        former = isinstance(evidence, str)
        observed = content.get("observed", evidence if former else "")
        tried = content.get("tried", "")
        why = content.get("explanation", "").removeprefix(_sentence(observed)).removesuffix(_sentence(tried)).strip()
        fault = content.get("severity", "fault" if content.get("fault", True) else "note") == "fault"
        return cls(
            name,
            observed,
            {} if former else {key: math.nan if value is None else value for key, value in evidence.items()},
            tuple(shlex.split(content.get("override", content.get("suggestion", "")))),
            why=why,
            tried=tried,
            layer=content.get("layer"),
            step=content.get("step"),
            level="fault" if fault else "note",
            certain=bool(content.get("certain", False)),
            symptoms=tuple(cls.from_dict(each) for each in content.get("symptoms", ())),
        )


def _plain(value: Number) -> Number | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sentence(text: str) -> str:
    """A clause as a sentence: a capital first, a full stop last."""
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def shown(value: float, digits: int = 3) -> str:
    """A number as a person would write it.

    >>> shown(0.012345), shown(123456.0), shown(0.1), shown(1.0)
    ('0.0123', '123456', '0.1', '1')
    """
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 10**digits:
        return f"{value:.0f}" if abs(value) < LARGE else f"{value:.{digits - 1}e}"
    return f"{value:.{digits}g}"
