"""Which engine trains some members: the fastest that can, alone or in a group of processes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch

from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.optimizer.base import SecondOrder
from nnlab.streaming import Streamed
from nnlab.training.engine import Engine
from nnlab.training.group import Command, Group
from nnlab.training.member import Member
from nnlab.training.native.engine import NativeEngine, is_native
from nnlab.training.normalization import normalizes
from nnlab.training.recorded import RecordedEngine, is_recordable
from nnlab.training.second_order import SecondOrderEngine
from nnlab.training.settings import TrainerSettings

if TYPE_CHECKING:
    from nnlab.training.replicas import Replica

log = logging.getLogger(__name__)


class Follower(Protocol):
    """The engine of a process that does what the leader says."""

    def obey(self, command: Command, first: int, second: int) -> None:
        """Carry out a command."""


def make_engine(
    members: Sequence[Member],
    loss: Loss,
    settings: TrainerSettings,
    device: torch.device,
    dtype: torch.dtype,
    group: Group | None = None,
) -> Engine:
    """The engine of members whose data are on the device; see `Engine` for the arguments.

    Args:
        group: the processes that this one leads.

    Raises:
        UserError: the processes have nothing to share.
    """
    kind = _kind(members, loss, settings, device)
    if group is None or not _divides(members, settings, group):
        return kind(members, loss, settings, device, dtype)
    if len(members) == 1:
        return _replica(kind, members, loss, settings, device, dtype, group)
    from nnlab.training import division

    if kind is not NativeEngine:
        log.info(
            f"{group.size} processes share the networks; sums may differ in the last bits from those of one process"
        )
    share = division.Share(kind, members, loss, settings, device, dtype, group)
    whole = {
        Engine: division.Division,
        NativeEngine: division.NativeDivision,
        RecordedEngine: division.RecordedDivision,
    }
    return whole[kind](members, loss, settings, device, dtype).join(group, share)


def make_follower(
    members: Sequence[Member],
    loss: Loss,
    settings: TrainerSettings,
    device: torch.device,
    dtype: torch.dtype,
    group: Group,
) -> Follower | None:
    """What a process that follows needs for the same members; None where the leader trains them alone."""
    kind = _kind(members, loss, settings, device)
    if not _divides(members, settings, group):
        return None
    if len(members) == 1:
        return _replica(kind, members, loss, settings, device, dtype, group)
    from nnlab.training import division

    return division.Share(kind, members, loss, settings, device, dtype, group)


def _kind(members: Sequence[Member], loss: Loss, settings: TrainerSettings, device: torch.device) -> type[Engine]:
    """The engine of one process."""
    if isinstance(members[0].optimizer, SecondOrder):
        return SecondOrderEngine
    if settings.cuda_graphs and device.type == "cuda" and is_recordable(members, settings) and _in_place(members):
        return RecordedEngine
    return NativeEngine if is_native(members, loss, settings, device) else Engine


def _divides(members: Sequence[Member], settings: TrainerSettings, group: Group) -> bool:
    """Whether several processes take part; says why where one would expect it, and they do not."""
    if len(members) == 1:
        return True
    if settings.on_nonfinite == "restore":
        log.warning("one process trains this population: with `trainer.on_nonfinite=restore` its members wait for one")
        return False
    if len(members) < group.size:
        log.warning(f"{group.size} processes share {len(members)} networks: {group.size - len(members)} have none")
    return True


def _replica(
    kind: type[Engine],
    members: Sequence[Member],
    loss: Loss,
    settings: TrainerSettings,
    device: torch.device,
    dtype: torch.dtype,
    group: Group,
) -> Replica:
    """The engine of one network in several processes.

    Raises:
        UserError: there are more processes than examples in a minibatch.
    """
    from nnlab.training import replicas

    kinds: dict[type[Engine], type[replicas.Replica]] = {
        RecordedEngine: replicas.RecordedReplica,
        SecondOrderEngine: replicas.SecondOrderReplica,
    }
    if kind is NativeEngine:
        level = logging.WARNING if settings.engine == "native" else logging.INFO
        log.log(
            level, f"the torch engine runs, not compiled code, which averages no gradients of {group.size} processes"
        )
    if kind is RecordedEngine and settings.sync_batch_norm and normalizes(members[0].network):
        kind = Engine  # the processes talk in the middle of a backward pass
    engine = kinds.get(kind, replicas.Replica)(members, loss, settings, device, dtype).join(group)
    if engine.batches.batch_size < group.size:
        raise UserError(
            f"`trainer.processes`: {group.size} processes cannot share minibatches of {engine.batches.batch_size} "
            "examples; raise `trainer.batch_size`"
        )
    return engine


def _in_place(members: Sequence[Member]) -> bool:
    """Whether the examples are in the device's memory."""
    return not any(isinstance(member.dataset.train.inputs, Streamed) for member in members)
