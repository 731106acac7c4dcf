"""Processes that train together: what they say to one another, over `torch.distributed`.

One process leads: it has the trainer, the callbacks and the files. The others follow: each has an engine like the
leader's, waits for a command, and does the same at the same time. Commands go over gloo, gradients and rows of numbers
over gloo on processors and over NCCL on GPUs.

`nnlab.runs.joining` starts the processes and brings them together, `nnlab.training.replicas` and
`nnlab.training.division` are the engines.
"""

from __future__ import annotations

import contextlib
import datetime
import enum
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from nnlab.device import resolve_device
from nnlab.errors import UserError

Value = TypeVar("Value")

WORTH_SHARING = 10**7  # parameters times examples below which an evaluation ends before the others have heard of it
PATIENCE = datetime.timedelta(days=7)  # a follower waits while the leader draws figures; a dead one is noticed anyway


class Command(enum.IntEnum):
    """What the leader says: the method of the followers' engine that all call now."""

    LEAVE = 0
    PREPARE = 1  # build the engine of the configs that follow
    TAKE = 2  # take over the leader's rows
    ADVANCE = 3
    BEGIN = 4
    BACKWARD = 5
    UPDATE = 6
    COLLECT = 7  # give the leader your rows
    EVALUATE = 8
    AGAIN = 9


class GroupBroken(RuntimeError):
    """A process of the group cannot be reached any more: it has died, or the network has."""


class Group:
    """The processes that are connected by `torch.distributed`, one of which is this one.

    Args:
        rank: of this process, 0 leads.
        size: how many there are.
        local_rank: of this process among those of its machine, which decides its GPU.
        local_size: processes of this machine.

    Attributes:
        whole: whether no collective operation has failed; after one has, nobody knows what the others wait for.
        computing: the connection for numbers that all processes have at about the same time: on it, one that does not
            answer breaks the group sooner than among commands, for which a follower waits as long as the leader likes.
        answer: how long the leader waits until all have heard a command.
    """

    def __init__(self, rank: int, size: int, local_rank: int, local_size: int) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size
        self.whole = True
        self.computing: Any = None
        self.answer = PATIENCE

    @property
    def leads(self) -> bool:
        """Whether this is the process that decides."""
        return self.rank == 0

    def part(self, count: int, rank: int | None = None) -> slice:
        """Which of `count` things are a process's: their sizes differ by one at most, the first have more.

        >>> [Group(rank, 3, rank, 3).part(8) for rank in range(3)]
        [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
        """
        rank = self.rank if rank is None else rank
        each, more = divmod(count, self.size)
        start = rank * each + min(rank, more)
        return slice(start, start + each + (rank < more))

    @contextlib.contextmanager
    def together(self) -> Iterator[Any]:
        """Inside, all do the same; an error there breaks the group, because the others wait for something else then.

        Raises:
            GroupBroken: a process cannot be reached.
        """
        import torch.distributed

        try:
            yield torch.distributed
        except BaseException as error:
            self.whole = False
            if not isinstance(error, GroupBroken) and _is_connection(error):
                raise GroupBroken(str(error).partition("\n")[0]) from error
            raise

    # Said by the leader, heard by the others.

    def say(self, command: Command, *numbers: int) -> None:
        """Tell the followers what to do, with up to two numbers."""
        with self.together() as distributed:
            said = torch.tensor([command, *numbers, 0, 0][:3])
            distributed.broadcast(said, 0, async_op=True).wait(self.answer)

    def hear(self) -> tuple[Command, int, int]:
        """Wait for what the leader says next."""
        with self.together() as distributed:
            said = torch.zeros(3, dtype=torch.long)
            distributed.broadcast(said, 0)
        command, first, second = said.tolist()
        return Command(command), first, second

    def share(self, value: Any = None) -> Any:
        """The leader's value, on all processes."""
        values = [value]
        with self.together() as distributed:
            distributed.broadcast_object_list(values, 0, device=torch.device("cpu"))
        return values[0]

    def share_tensors(self, values: Sequence[Tensor]) -> None:
        """Overwrite tensors of the same shapes with the leader's."""
        with self.together() as distributed:
            for value in values:
                own = value if value.is_contiguous() else value.contiguous()
                distributed.broadcast(own, 0, group=self.computing)
                if own is not value:
                    value.copy_(own)

    def deal(self, values: Sequence[Any] | None = None) -> Any:
        """The value that the leader has for this process, of those for all."""
        dealt: list[Any] = [None]
        with self.together() as distributed:
            distributed.scatter_object_list(dealt, None if values is None else list(values), 0)
        return dealt[0]

    def gather(self, value: Value) -> list[Value]:
        """The values of all processes, on the leader; nothing on the others."""
        values: list[Any] = [None] * self.size if self.leads else []
        with self.together() as distributed:
            distributed.gather_object(value, values or None, 0)
        return values

    # What all do at once.

    def sum(self, values: Tensor) -> None:
        """Add up the processes' values, in place; all have the same bits then."""
        with self.together() as distributed:
            distributed.all_reduce(values, group=self.computing)

    def gathered(self, values: Tensor) -> Tensor:
        """The values (...) of all processes, (size, ...), on each of them."""
        parts = [torch.empty_like(values) for _ in range(self.size)]
        with self.together() as distributed:
            distributed.all_gather(parts, values, group=self.computing)
        return torch.stack(parts)


def device_of(name: str, group: Group | None) -> torch.device:
    """Where this process trains, given `trainer.device`: of several on one machine each has a GPU of its own.

    Raises:
        UserError: there are too few, or the device cannot be shared.
    """
    device = resolve_device(name)
    if group is None or device.type == "cpu":
        return device
    if device.type != "cuda":
        raise UserError(f"several processes cannot share `{device.type}`; `trainer.device=cpu` trains on the processor")
    if device.index is not None:
        raise UserError(f"`trainer.device={device}` is one GPU, and each process takes its own: `trainer.device=cuda`")
    count = torch.cuda.device_count()
    if group.local_size > count:
        raise UserError(
            f"{group.local_size} processes need {group.local_size} GPUs, and this machine has {count}; "
            "`trainer.device=cpu` trains on the processor"
        )
    device = torch.device("cuda", group.local_rank)
    torch.cuda.set_device(device)
    return device


def _is_connection(error: BaseException) -> bool:
    """Whether an error of a collective operation says that another process is gone."""
    text = str(error)
    signs = ("onnection", "roken pipe", "timed out", "Timed out", "peer", "gloo", "NCCL", "recv", "ProcessGroup")
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)
