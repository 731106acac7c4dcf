"""When callbacks look: functions of a run's progress alone, so that a run writes the same however fast it is."""

from __future__ import annotations


def doubling(number: int) -> bool:
    """Whether `number` is 1, 2, 4, 8, ...

    >>> [number for number in range(20) if doubling(number)]
    [1, 2, 4, 8, 16]
    """
    return number > 0 and number & (number - 1) == 0


def octupling(number: int) -> bool:
    """Whether `number` is 1, 8, 64, ...

    >>> [number for number in range(70) if octupling(number)]
    [1, 8, 64]
    """
    return doubling(number) and number.bit_length() % 3 == 1
