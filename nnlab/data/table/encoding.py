"""How a column becomes numbers for a network: one rule for each kind, fitted on the training rows only.

    number     its value, the median where it is missing, and `NAME is missing` where training rows lack it
    truth      0 or 1, the more frequent where it is missing, and `NAME is missing`
    category   one input for each level, up to `MOST_LEVELS`; beyond, the most frequent levels keep an input of their
               own and all others share `SHARED` inputs by a hash of their text; missing is a level of its own; what
               was never seen in training sets none of them, a code that no level has
    time       elapsed days, and the parts of the calendar that vary: month and weekday as angles, hour as an angle

An encoding is plain numbers and texts, so that it is stored with a run as JSON and gives the same inputs again. No rule
looks at the target.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nnlab.console import counted
from nnlab.data.table.column import MISSING_NUMBERS, Column, Floats, plain, time_name, truth_of
from nnlab.data.table.ranges import range_of
from nnlab.data.table.times import parse_times, unread
from nnlab.errors import UserError

MOST_LEVELS = 50  # levels of a category that have an input each
SHARED = 16  # inputs that all further levels share
DAY = 86400.0


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A column as inputs (n, k) float64, and how many of its cells training had nothing like."""

    inputs: Floats
    unseen: int = 0


@dataclasses.dataclass(frozen=True)
class Encoding(ABC):
    """A fitted rule for one column.

    Attributes:
        name: the column.
        indicator: whether there is an input that says that the cell is missing.
    """

    name: str
    indicator: bool

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, column: Column) -> Encoding:
        """The rule for a column of training rows."""

    @abstractmethod
    def encode(self, column: Column) -> Encoded:
        """The inputs of any rows; each row as if it were alone."""

    @abstractmethod
    def value_names(self) -> list[str]:
        """Names of the inputs without the indicator."""

    @abstractmethod
    def rule(self) -> str:
        """What is done with the column, in words."""

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs (k,)."""
        return [*self.value_names(), *([f"{self.name} is missing"] if self.indicator else [])]

    @property
    def input_parts(self) -> list[tuple[str, int]]:
        """What the inputs are, `number`, `category` or `truth`, and how many; indicators are truth values."""
        values = len(self.value_names())
        if self.kind == CategoryEncoding.kind:  # a missing cell is a level of its own
            return [(self.kind, values + self.indicator)]
        parts = [(TruthEncoding.kind, 1)] if self.kind == TruthEncoding.kind else [(NumberEncoding.kind, 1)] * values
        return [*parts, *([(TruthEncoding.kind, 1)] if self.indicator else [])]

    def doubt(self, count: int, rows: int) -> str:
        """What to say about cells that training had nothing like, `count` in so many rows."""
        what = "holds what training never saw; it counts" if count == 1 else "hold what training never saw; they count"
        return f"{count} of {counted(rows, 'cell')} {what} as no level, or as missing"

    def to_json(self) -> dict[str, Any]:
        """Everything that was fitted, as JSON."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    def _with_indicator(self, values: Floats, missing: npt.NDArray[np.bool_]) -> Floats:
        """Values (n, k), and the indicator behind them where there is one."""
        return np.column_stack([values, missing]) if self.indicator else values


@dataclasses.dataclass(frozen=True)
class NumberEncoding(Encoding):
    """x, or the median of the training rows where x is missing; `words` stood for missing numbers there.

    Attributes:
        range: where most of the training rows lie, as `range_of` has it.
    """

    median: float
    words: tuple[str, ...] = ()
    range: tuple[float, ...] = ()

    kind: ClassVar[str] = "number"

    @classmethod
    def fit(cls, column: Column) -> NumberEncoding:
        values = column.numbers()
        missing = np.isnan(values)
        median = 0.0 if missing.all() else float(np.nanmedian(values))
        return cls(column.name, bool(missing.any()), median, range=range_of(values))

    def encode(self, column: Column) -> Encoded:
        values = column.numbers()
        missing = np.isnan(values)
        filled = np.where(missing, self.median, values)[:, None]
        gaps = column.missing
        if column.form == "text":
            known = [float(level in self.words or level.lower() in MISSING_NUMBERS) for level in column.levels]
            gaps = column.by_level(known, 1.0) > 0
        return Encoded(self._with_indicator(filled, missing), int((missing & ~gaps).sum()))

    def value_names(self) -> list[str]:
        return [self.name]

    def rule(self) -> str:
        return f"as it is; missing: the median {self.median:.6g} and an indicator" if self.indicator else "as it is"


@dataclasses.dataclass(frozen=True)
class TruthEncoding(Encoding):
    """0 or 1; `low` and `high` are the texts that stand for them, empty where the usual words do."""

    mode: float
    low: str = ""
    high: str = ""

    kind: ClassVar[str] = "truth"

    @classmethod
    def fit(cls, column: Column) -> TruthEncoding:
        values = column.numbers(truth_of)
        missing = np.isnan(values)
        mode = 0.0 if missing.all() else float(np.nanmean(values) > 0.5)
        return cls(column.name, bool(missing.any()), mode)

    def encode(self, column: Column) -> Encoded:
        values = column.numbers(truth_of)
        missing = ~np.isin(values, (0.0, 1.0))
        filled = np.where(missing, self.mode, values)[:, None]
        return Encoded(self._with_indicator(filled, missing), int((missing & ~column.missing).sum()))

    def value_names(self) -> list[str]:
        return [self.name]

    def rule(self) -> str:
        common = "yes" if self.mode else "no"
        return f"0 or 1; missing: {common}, the more frequent, and an indicator" if self.indicator else "0 or 1"


@dataclasses.dataclass(frozen=True)
class CategoryEncoding(Encoding):
    """One input for each of `levels`; `shared` are further levels that share inputs by their hash."""

    levels: tuple[str, ...]
    shared: tuple[str, ...] = ()

    kind: ClassVar[str] = "category"

    @classmethod
    def fit(cls, column: Column) -> CategoryEncoding:
        text = column.as_text()
        counts = np.bincount(text.values[text.values >= 0], minlength=len(text.levels))
        seen = [position for position in np.argsort(-counts, kind="stable").tolist() if counts[position]]
        own = seen if len(seen) <= MOST_LEVELS else seen[: MOST_LEVELS - SHARED]
        levels, shared = sorted(own), sorted(set(seen) - set(own))
        missing = bool((text.values < 0).any())
        return cls(column.name, missing, *(tuple(text.levels[each] for each in part) for part in (levels, shared)))

    def encode(self, column: Column) -> Encoded:
        text = column.as_text()
        places = self.places()
        width = len(self.value_names())
        found = [places.get(level, places.get(plain(level), width)) for level in text.levels]
        place = np.array([*found, width], dtype=np.int64)[text.values]
        inputs = np.zeros((len(column), width + 1))
        inputs[np.arange(len(column)), place] = 1
        missing = text.values < 0
        unseen = int(((place == width) & ~missing).sum())
        return Encoded(self._with_indicator(inputs[:, :-1], missing), unseen)

    def places(self) -> dict[str, int]:
        """The position among the inputs of each level."""
        own = {level: position for position, level in enumerate(self.levels)}
        hashed = {level: len(own) + zlib.crc32(level.encode()) % SHARED for level in self.shared}
        return own | hashed

    def value_names(self) -> list[str]:
        others = [f"{self.name}=other {bucket}" for bucket in range(SHARED)] if self.shared else []
        return [f"{self.name}={level}" for level in self.levels] + others

    def rule(self) -> str:
        words = f"an input for each of {counted(len(self.levels), 'level')}"
        if self.shared:
            words = (
                f"an input for each of the {len(self.levels)} most frequent levels, {SHARED} that the other "
                f"{len(self.shared)} share by a hash"
            )
        return f"{words}; missing: a level of its own" if self.indicator else words


@dataclasses.dataclass(frozen=True)
class TimeEncoding(Encoding):
    """Days since `start`, and sine and cosine of the parts of the calendar that vary in the training rows.

    Attributes:
        start: the earliest training time, in seconds since 1970.
        median: what stands for a missing time, in seconds since 1970.
        parts: of `PARTS`, those that vary.
        pattern: how the times are written, as `strptime` has it; None: as ISO 8601 has it, or times already.
    """

    start: float
    median: float
    parts: tuple[str, ...]
    pattern: str | None = None

    kind: ClassVar[str] = "time"

    @classmethod
    def fit(cls, column: Column, pattern: str | None = None) -> TimeEncoding:
        times = parse_times(column, pattern)
        missing = np.isnan(times)
        known = times[~missing]
        start, median = (float(known.min()), float(np.median(known))) if len(known) else (0.0, 0.0)
        parts = tuple(part for part in PARTS if len(known) and np.ptp(phase(known, part)) > 0)
        return cls(column.name, bool(missing.any()), start, median, parts, pattern)

    def encode(self, column: Column) -> Encoded:
        times = parse_times(column, self.pattern)
        missing = np.isnan(times)
        filled = np.where(missing, self.median, times)
        angles = [2 * math.pi * phase(filled, part) for part in self.parts]
        waves = [wave for angle in angles for wave in (np.sin(angle), np.cos(angle))]
        values = np.column_stack([(filled - self.start) / DAY, *waves])
        return Encoded(self._with_indicator(values, missing), int((missing & ~column.missing).sum()))

    def value_names(self) -> list[str]:
        waves = [f"{self.name} {wave}({part})" for part in self.parts for wave in ("sin", "cos")]
        return [f"{self.name} days", *waves]

    def formulas(self) -> list[str]:
        """How each of the inputs is computed from a time, in words."""
        ends = [f"(2 pi {PARTS[part]})" + (", 0 on Monday" if part == "weekday" else "") for part in self.parts]
        waves = [f"{wave}{end}" for end in ends for wave in ("sin", "cos")]
        gap = f"; of {time_name(self.median)} where it is missing" if self.indicator else ""
        values = [f"{words}{gap}" for words in (f"days since {time_name(self.start)}", *waves)]
        return [*values, "1 where it is missing, else 0"] if self.indicator else values

    def doubt(self, count: int, rows: int) -> str:
        return unread(count, rows, self.pattern)

    def rule(self) -> str:
        words = " and ".join(["days since the first", *(f"the {part} as an angle" for part in self.parts)])
        return f"{words}; missing: the median and an indicator" if self.indicator else words


PARTS = {  # of the calendar, and their position within the year, week or day, as `phase` has it
    "month": "(month - 1) / 12",
    "weekday": "weekday / 7",
    "hour": "hours since midnight / 24",
}


def phase(times: Floats, part: str) -> Floats:
    """Position within the year, week or day, [0, 1), of seconds since 1970.

    >>> phase(np.array([0.0, 21600.0]), "hour").tolist()  # midnight, six o'clock
    [0.0, 0.25]
    """
    days = np.floor(times / DAY)
    shares: Floats
    if part == "hour":
        shares = times / DAY - days
    elif part == "weekday":
        shares = np.mod(days + 3, 7) / 7  # 1970-01-01 was a Thursday; Monday is 0
    else:
        months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        shares = np.mod(months, 12) / 12
    return shares


KINDS: Mapping[str, type[Encoding]] = {
    each.kind: each for each in (NumberEncoding, TruthEncoding, CategoryEncoding, TimeEncoding)
}


def from_json(content: Mapping[str, Any]) -> Encoding:
    """The encoding that `to_json` wrote.

    Raises:
        UserError: that is no encoding.
    """
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    try:
        return KINDS[values.pop("kind")](**values)
    except (KeyError, TypeError) as error:
        raise UserError(f"the stored encoding of a column is damaged ({error})") from error


def join(parts: Sequence[Floats], rows: int) -> Floats:
    """Inputs of several columns side by side, (rows, D)."""
    return np.concatenate(parts, axis=1) if parts else np.zeros((rows, 0))
