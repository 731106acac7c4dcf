"""How the processes of a group come together: started here, or by `torchrun` or a batch system.

`trainer.processes=N` starts N - 1 followers on this machine; when this process ends, so does their standard input, and
they with it. A group that was started from outside has its places from variables; see `nnlab.runs.meeting`.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

import torch

from nnlab import interpreter
from nnlab.device import cores
from nnlab.errors import UserError
from nnlab.runs.meeting import Place, answer_time, meet
from nnlab.training.group import Command, Group, GroupBroken, device_of

log = logging.getLogger(__name__)

RESTARTS = 3  # of a group whose followers die
LEAVING = 10.0  # seconds that a follower has to end
TAIL = 15  # lines of what a follower said that a failure keeps

_present: list[Joined] = []  # the group of this process, if any


class GroupLost(UserError):
    """A process of the group has died, and nobody here can start it again; the run continues from its checkpoint."""

    exit_code = 1


@contextlib.contextmanager
def group_for(settings: Mapping[str, Any]) -> Iterator[Joined | None]:
    """The group that trains with the settings `trainer` of a config; None where this process trains alone.

    Raises:
        UserError: the settings ask for what this machine has not, or the processes do not come together.
    """
    asked = settings.get("processes") or 1
    if _present:
        group = _present[-1]
        if asked not in (1, group.size):
            raise UserError(f"`trainer.processes={asked}`, but {group.size} processes were started; leave it out")
        device_of(settings["device"], group)
        yield group
    elif asked == 1:
        yield None
    else:
        check_processes(settings, asked)
        with _registered(StartedGroup(asked)) as group:
            yield group


def check_processes(settings: Mapping[str, Any], count: int) -> None:
    """Refuse more processes than this machine has room for.

    Raises:
        UserError: says how many it has.
    """
    device = device_of(settings["device"], Group(0, count, 0, count))
    if device.type == "cpu" and count > max(2, cores()):
        raise UserError(
            f"`trainer.processes={count}` is more than the {cores()} cores of this machine; "
            "see docs/several-devices.md for several machines"
        )


@contextlib.contextmanager
def member_of(place: Place) -> Iterator[Group]:
    """Take part in a group that was started from outside; inside, `group_for` gives it.

    Raises:
        UserError: the processes do not come together.
    """
    with _registered(LaunchedGroup(place)) as group:
        yield group


@contextlib.contextmanager
def _registered(group: Joined) -> Iterator[Joined]:
    group.start()
    _present.append(group)
    try:
        yield group
    finally:
        _present.remove(group)
        group.leave()


class LaunchedGroup(Group):
    """A group whose processes were all started from outside."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.rank, place.size, place.local_rank, place.local_size)
        self.place = place

    def start(self) -> None:
        """Come together."""
        self.computing, self.answer = meet(self.place), answer_time()

    def revive(self, error: GroupBroken) -> None:
        """Whoever started the processes starts them again.

        Raises:
            GroupLost: always.
        """
        raise GroupLost("another process of the group has ended; the same command continues the run") from error

    def leave(self) -> None:
        """Let the followers go."""
        if self.leads and self.whole:
            with contextlib.suppress(GroupBroken):
                self.say(Command.LEAVE)
        _part()


class StartedGroup(Group):
    """A group whose followers this process starts, as often as `RESTARTS` allows, and ends."""

    def __init__(self, size: int) -> None:
        super().__init__(0, size, 0, size)
        self.attempts = 0
        self._followers: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def start(self) -> None:
        """Start the followers, and come together with them.

        Raises:
            UserError: one of them ends at once.
        """
        self.whole = True
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        store = TCPStore("127.0.0.1", 0, self.size, True, wait_for_workers=False)
        place = Place(0, self.size, 0, self.size, "127.0.0.1", store.port, str(self.attempts))
        self.attempts += 1
        try:
            for rank in range(1, self.size):
                self._followers.append(_follower(place, rank))
            self.computing, self.answer = meet(place, store, self._check), answer_time()
        except BaseException:
            self._end(0.0)
            raise

    def _check(self) -> None:
        """Refuse to wait for a follower that has ended."""
        for rank, (process, output) in enumerate(self._followers, start=1):
            if process.poll() is not None:
                raise UserError(f"process {rank} of the group {_ending(process.returncode)}{_tail(output)}")

    def revive(self, error: GroupBroken) -> None:
        """Start the followers again after one has died.

        Raises:
            UserError: a follower made a mistake known, or this has happened too often.
        """
        deadline = time.monotonic() + LEAVING
        while all(process.poll() is None for process, _ in self._followers) and time.monotonic() < deadline:
            time.sleep(0.05)
        ended = [(rank, each) for rank, each in enumerate(self._followers, 1) if each[0].poll() is not None]
        how = "".join(f"process {rank} {_ending(each[0].returncode)}" for rank, each in ended[:1]) or str(error)
        tail = "".join(_tail(each[1]) for _, each in ended[:1])
        mistaken = any(each[0].returncode == 2 for _, each in ended)
        self._end(0.0)
        if mistaken:
            raise UserError(f"{how}{tail}")
        if self.attempts > RESTARTS:
            raise GroupLost(f"{how}, for the {self.attempts}th time; the same command continues the run{tail}")
        log.warning(f"{how}; the group starts again from the last checkpoint{tail}")
        self.start()

    def leave(self) -> None:
        """Let the followers go, and wait for them."""
        if self.whole:
            with contextlib.suppress(GroupBroken):
                self.say(Command.LEAVE)
        self._end(LEAVING if self.whole else 0.0)

    def _end(self, seconds: float) -> None:
        """End the followers: those that have not left within some seconds are killed."""
        deadline = time.monotonic() + seconds
        for process, output in self._followers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
            output.close()
        self._followers = []
        _part()


Joined = LaunchedGroup | StartedGroup


def _follower(place: Place, rank: int) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start one follower; what it says goes into a file."""
    variables = {
        "RANK": rank, "WORLD_SIZE": place.size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": place.size,
        "MASTER_ADDR": place.host, "MASTER_PORT": place.port, "TORCHELASTIC_RESTART_COUNT": place.attempt,
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    output = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        interpreter.running("nnlab.runs.following"), stdin=subprocess.PIPE, stdout=output, stderr=output,
        env={**interpreter.environment(), **{name: str(value) for name, value in variables.items()}},
        start_new_session=True,
    )  # fmt: skip
    return process, output


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    import signal

    return f"was killed by {signal.Signals(-code).name}"


def _tail(output: IO[bytes]) -> str:
    """The last lines of what a follower said, after a colon."""
    output.seek(0)
    lines = output.read().decode(errors="replace").splitlines()[-TAIL:]
    return "".join(f"\n{line}" for line in lines)


def _part() -> None:
    """End the connection, if there is one."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
