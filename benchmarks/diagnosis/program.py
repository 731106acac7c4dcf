"""What a faulty program is, for `programs` and `more_programs`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """A faulty program.

    Attributes:
        name: what it does, and what is wrong with it.
        fault: overrides of the faulty run; `repaired` those of the one as it was mended, for the same data.
        names, keys: as those of a kind in `kinds`.
    """

    name: str
    fault: tuple[str, ...]
    repaired: tuple[str, ...]
    names: tuple[str, ...]
    keys: tuple[str, ...] = ()


def planted(fault: str, *more: str) -> tuple[str, ...]:
    """The overrides of a network with a fault of its own."""
    return "architecture=planted", f"architecture.fault={fault}", *more
