"""What a finished run learned on its validation examples about its own predictions, kept beside its weights.

`nnlab evaluate RUN calibrate=temperature` or `coverage=0.9` writes it (`nnlab.runs.calibration`); whatever predicts
with the run uses it. It holds for the weights it was learned with, and is left aside, with a warning, for others.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from nnlab.errors import UserError
from nnlab.statistics import conformal
from nnlab.statistics.temperature import at_temperature
from nnlab.storage.folder import CALIBRATION, read_calibration

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """What was learned.

    Attributes:
        weights: hash of the weights that it holds for.
        examples: how many validation examples it was learned on.
        temperature: of the averaged probabilities; None where they stay as they are.
        members: the temperature of each network alone; empty where they stay as they are.
        scores: conformal scores (n, C) of the validation examples.
    """

    weights: str
    examples: int
    temperature: float | None
    members: tuple[float, ...]
    scores: conformal.Array

    def content(self) -> dict[str, Any]:
        """Everything as plain values, as the file has it."""
        return {**vars(self), "members": list(self.members), "scores": self.scores.tolist()}

    def warmed(self, prediction: Tensor, member: int | None = None) -> Tensor:
        """Probabilities (N, C) at the temperature of the average, or of one network; anything else as it is."""
        if self.temperature is None:
            return prediction
        return at_temperature(prediction, self.temperature if member is None else self.members[member])

    def limit(self, coverage: float) -> conformal.Array:
        """The conformal threshold (C,) at a coverage.

        Raises:
            UserError: there are too few validation examples for it, or it is none.
        """
        try:
            return conformal.threshold(self.scores, coverage)
        except ValueError as error:
            hint = "" if 0 < coverage < 1 else "; 0.9 is usual"
            raise UserError(f"{str(error).replace('examples', 'validation examples', 1)}{hint}") from error


def digest(weights: Tensor) -> str:
    """A hash of weights (M, P)."""
    return hashlib.sha256(weights.detach().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]


def read(directory: Path, weights: Tensor) -> Calibration | None:
    """What a run learned; None where it learned nothing, or with other weights.

    Raises:
        UserError: the file is damaged.
    """
    content = read_calibration(directory)
    if content is None:
        return None
    path = directory / CALIBRATION
    try:
        scores = np.asarray(content["scores"], dtype=np.float64)
        temperature = content["temperature"]
        members = tuple(float(each) for each in content["members"])
        found = Calibration(
            str(content["weights"]),
            int(content["examples"]),
            None if temperature is None else float(temperature),
            members,
            scores.reshape(len(scores), -1),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"`{path}` is damaged: {error}; remove it, or calibrate again") from error
    if found.weights == digest(weights):
        return found
    log.warning(
        f"`{path}` was learned with other weights and is not used; `nnlab evaluate {directory} calibrate=temperature` "
        "learns it again"
    )
    return None
