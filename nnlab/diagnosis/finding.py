"""A finding: what is wrong with a run, the numbers that say so, a sentence about why, and the override to paste."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Mapping
from typing import Any, Literal

Number = float | int | str

# fault: something is wrong and should be mended. note: worth knowing, the run may be fine as it is.
Severity = Literal["fault", "note"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One finding about one run.

    Attributes:
        name: such as `learning_rate_too_high`; `nnlab.diagnosis.NAMES` has them all.
        explanation: one or two sentences for a student: what was seen, and why it happens.
        evidence: the numbers behind it, by name.
        overrides: what to append to the command, such as `("optimizer.learning_rate=0.01",)`; empty where no override
            can help.
        layer: the layer it is about, if it is about one.
        step: the step at which it began, if it began at one.
        severity: `fault` or `note`.
        certain: whether it may be said while training goes on, because further steps cannot change it.
        symptoms: findings that this one explains; they are not listed on their own.
    """

    name: str
    explanation: str
    evidence: Mapping[str, Number] = dataclasses.field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    layer: str | None = None
    step: int | None = None
    severity: Severity = "fault"
    certain: bool = False
    symptoms: tuple[Finding, ...] = ()

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

    def where(self) -> str:
        """The title with layer and step.

        >>> Finding("dead_units", "", layer="activation1", step=1).where()
        'dead units (layer activation1, step 1)'
        """
        places = [f"layer {self.layer}"] if self.layer else []
        places += [f"step {self.step}"] if self.step is not None else []
        return self.title + (f" ({', '.join(places)})" if places else "")

    def line(self) -> str:
        """One line for a log: name, layer, step, explanation, override."""
        remedy = f" Try: {self.override}" if self.overrides else ""
        return f"{self.where()}: {self.explanation}{remedy}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `result.json`; numbers that JSON does not have become text."""
        return {
            "name": self.name,
            "severity": self.severity,
            "explanation": self.explanation,
            "evidence": {key: _plain(value) for key, value in self.evidence.items()},
            "override": self.override,
            "where": self.where(),
            "layer": self.layer,
            "step": self.step,
            "symptoms": [symptom.to_dict() for symptom in self.symptoms],
        }


def _plain(value: Number) -> Number:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
