"""How processes that were started find one another: by an address, and a store of keys that one of them keeps there.

Each has its place from the variables that `torchrun` sets: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR,
MASTER_PORT.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nnlab.errors import UserError
from nnlab.training.group import PATIENCE
from nnlab.validation import check as in_range

SECONDS = "NNLAB_JOIN_SECONDS"  # the variable that says how long a process waits for the others, 120 by default
ANSWER = "NNLAB_ANSWER_SECONDS"  # ... and how long for its part of a step, before it counts as lost; 1800 by default
GRACE = 2.0  # seconds after which a connection that should have ended by itself counts as failed
LAST_PORT = 65535
NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """Where a process stands in a group that is to come together.

    Attributes:
        rank, size, local_rank, local_size: see `Group`.
        host, port: where the processes find one another.
        attempt: how often the group was started before.
        kept: whether somebody else, as `torchrun` does, keeps the store there.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    host: str
    port: int
    attempt: str = "0"
    kept: bool = False


def launched(environment: Mapping[str, str] = os.environ) -> Place | None:
    """This process's place in a group that was started from outside; None where it was not.

    Raises:
        UserError: a variable does not hold a number, or one that cannot be, or they do not fit together.
    """
    if any(not environment.get(name) for name in NEEDED) or environment["WORLD_SIZE"] == "1":
        return None
    numbers = {}
    for name in ("RANK", "WORLD_SIZE", "MASTER_PORT", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        given = environment.get(name)
        if given is not None and not given.isdecimal():
            raise UserError(f"the variable {name}, this process's place in its group, must be a number: {given!r}")
        numbers[name] = None if given is None else int(given)
    port = int(environment["MASTER_PORT"])
    if port > LAST_PORT:
        raise UserError(f"the variable MASTER_PORT must be a port, at most {LAST_PORT}, got {port}")
    rank, size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    if rank >= size:
        raise UserError(f"this process has RANK={rank}, but the group has WORLD_SIZE={size}: ranks count from 0")
    local_size = numbers["LOCAL_WORLD_SIZE"] or size
    local_rank = rank % local_size if numbers["LOCAL_RANK"] is None else numbers["LOCAL_RANK"]
    return Place(
        rank, size, local_rank, local_size, environment["MASTER_ADDR"], port,
        environment.get("TORCHELASTIC_RESTART_COUNT", "0"), environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )  # fmt: skip


def meet(place: Place, store: Any = None, check: Callable[[], None] = lambda: None) -> Any:
    """Connect this process with the others of its group; returns the connection for what they compute together.

    Args:
        place: where this process stands.
        store: what they find one another by, where it is there.
        check: asked again and again while the others are not there yet.

    Raises:
        UserError: the port is in use, the others are not there in time, or a variable that is a time holds none.
    """
    from torch.distributed import (  # type: ignore[attr-defined]
        PrefixStore,
        init_process_group,
        is_nccl_available,
        new_group,
    )

    seconds = _seconds(SECONDS, "120")
    address = f"{place.host}:{place.port}"
    if store is None:
        store = _store(place, address, seconds)
    # Of a store that outlives the processes, as that of torchrun, each attempt takes keys of its own.
    store = PrefixStore(f"nnlab/{place.attempt}", store)
    store.set(f"here/{place.rank}", socket.gethostname())
    deadline, missing = time.monotonic() + seconds, list(range(place.size))
    while missing := [rank for rank in missing if not store.check([f"here/{rank}"])]:
        check()
        if time.monotonic() > deadline:
            names = ", ".join(map(str, missing[:8]))
            raise UserError(
                f"{place.size - len(missing)} of {place.size} processes came to {address} within {seconds:g} seconds; "
                f"missing: {names}. {SECONDS} makes the others wait longer"
            )
        time.sleep(0.02)
    _use_loopback(place)
    init_process_group("gloo", store=store, rank=place.rank, world_size=place.size, timeout=PATIENCE)
    # NCCL, unlike gloo, does not notice that another process has died; nor do both that its machine has.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and is_nccl_available() else "gloo"
    return new_group(backend=backend, timeout=answer_time())


def answer_time() -> datetime.timedelta:
    """How long a process may take for its part of a step, or until it hears a command, before it counts as lost."""
    return datetime.timedelta(seconds=_seconds(ANSWER, "1800"))


def _seconds(variable: str, default: str) -> float:
    """The seconds that a variable gives."""
    given = os.environ.get(variable) or default
    try:
        seconds = float(given)
    except ValueError as error:
        raise UserError(f"the variable {variable} must be a number of seconds: {given!r}") from error
    return in_range(variable, seconds, f"(0, {PATIENCE.total_seconds():.0f}]")


def _store(place: Place, address: str, seconds: float) -> Any:
    """The store at the group's address; the leader makes it unless somebody else has."""
    from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

    leads = place.rank == 0 and not place.kept
    wait = datetime.timedelta(seconds=seconds)
    try:
        return _within(
            seconds + GRACE, lambda: TCPStore(place.host, place.port, place.size, leads, wait, wait_for_workers=False)
        )
    except (DistError, RuntimeError, ValueError, TimeoutError) as error:
        if leads:
            raise UserError(f"cannot listen at {address}, where the processes are to meet: {_reason(error)}") from error
        reason = _unreachable(place)
        raise UserError(
            f"process {place.rank} cannot reach process 0 at {address} within {seconds:g} seconds: {reason}"
        ) from error


def _within(seconds: float, connect: Callable[[], Any]) -> Any:
    """What `connect` returns or raises; torch itself waits forever for a program that listens and says nothing.

    Raises:
        TimeoutError: it did neither in time.
    """
    results: list[Any] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(connect())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    with _silenced():
        thread.start()
        thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError("timed out")
    return results[0]


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Inside, what torch's C++ prints, a page of frames for each attempt to connect, goes nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _unreachable(place: Place) -> str:
    """Why nobody of the group answers at its address, in half a line."""
    try:
        with socket.create_connection((place.host, place.port), 2.0):
            return "another program listens there; choose another MASTER_PORT"
    except socket.gaierror:
        return "there is no machine of that name"
    except ConnectionRefusedError:
        return "nobody listens there"
    except OSError as error:
        return "there was no answer" if isinstance(error, TimeoutError) else str(error.strerror or error)


def _reason(error: BaseException) -> str:
    """What an error of the network says, in half a line."""
    text = str(error)
    for sign, reason in {
        "EADDRINUSE": "the port is in use; choose another MASTER_PORT",
        "already in use": "the port is in use; choose another MASTER_PORT",
        "EADDRNOTAVAIL": "this machine does not have that address",
        "timed out": "there was no answer",
        "ETIMEDOUT": "there was no answer",
        "Connection refused": "nobody listens there",
        "could not be resolved": "there is no machine of that name",
        "getaddrinfo": "there is no machine of that name",
        "gai error": "there is no machine of that name",
    }.items():
        if sign in text:
            return reason
    return (text.splitlines() or [type(error).__name__])[0][:200]


def _use_loopback(place: Place) -> None:
    """Let processes of one machine talk over its own interface, whatever its name in the network resolves to."""
    if place.host in ("127.0.0.1", "localhost") and hasattr(socket, "if_nameindex"):
        names = [name for _, name in socket.if_nameindex()]
        name = next((name for name in ("lo", "lo0") if name in names), None)
        if name is not None:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
