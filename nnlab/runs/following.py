"""A process that follows: `python -m nnlab.runs.following`, or one that `torchrun` started with a RANK above 0.

It writes no files and prints nothing but its mistakes; it does what the leader says until that lets it go or is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import Any

import torch

from nnlab import console, process
from nnlab.config.build import build_loss, build_members, build_settings
from nnlab.device import resolve_dtype, set_up, small_as_zero
from nnlab.errors import UserError
from nnlab.interruption import EXIT_CODES
from nnlab.runs.joining import member_of
from nnlab.runs.meeting import Place, launched
from nnlab.training.engines import Follower, make_follower
from nnlab.training.group import Command, Group, GroupBroken, device_of
from nnlab.training.member import moved

log = logging.getLogger(__name__)


def follow(place: Place) -> int:
    """Do what the leader of a group says; returns the exit code.

    Raises:
        UserError: the processes do not come together, or this one lacks something that training needs.
    """
    for number in EXIT_CODES:
        signal.signal(number, signal.SIG_IGN)  # the leader hears of it, saves, and lets the others go
    logging.getLogger("nnlab").setLevel(logging.ERROR)
    engine: Follower | None = None
    try:
        with member_of(place) as group, small_as_zero():
            while True:
                command, first, second = group.hear()
                if command == Command.LEAVE:
                    return 0
                if command == Command.PREPARE:
                    engine = _prepared(group)
                elif engine is not None:
                    engine.obey(command, first, second)
    except GroupBroken:
        log.debug("the group is broken", exc_info=True)
        return 1


def _prepared(group: Group) -> Follower | None:
    """The engine for the configs that the leader has built its own for."""
    configs, threads = group.share()
    settings = build_settings(configs[0])
    device, dtype = device_of(settings.device, group), resolve_dtype(settings.precision)
    set_up(device, settings.precision, settings.deterministic)
    torch.set_num_threads(threads)
    members = [member for config in configs for member in build_members(config, ())]
    loss = build_loss(configs[0], members[0].dataset)
    return make_follower(moved(members, device, dtype), loss, settings, device, dtype, group)


def _end_with_leader() -> None:
    """End at once when the leader has: its end of the standard input is closed then."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    """Follow the process that has started this one."""
    place: Any = launched()
    _end_with_leader()
    console.show(always=True)
    try:
        return follow(place)
    except UserError as error:
        log.error(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(process.run(main))
