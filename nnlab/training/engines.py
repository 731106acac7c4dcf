"""Which engine trains some members: the fastest that can."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nnlab.loss.base import Loss
from nnlab.optimizer.base import SecondOrder
from nnlab.training.engine import Engine
from nnlab.training.member import Member
from nnlab.training.native.engine import NativeEngine, is_native
from nnlab.training.recorded import RecordedEngine, is_recordable
from nnlab.training.second_order import SecondOrderEngine
from nnlab.training.settings import TrainerSettings


def make_engine(
    members: Sequence[Member], loss: Loss, settings: TrainerSettings, device: torch.device, dtype: torch.dtype
) -> Engine:
    """The engine of members whose data are on the device; see `Engine` for the arguments."""
    kind = Engine
    if isinstance(members[0].optimizer, SecondOrder):
        kind = SecondOrderEngine
    elif settings.cuda_graphs and device.type == "cuda" and is_recordable(members, settings):
        kind = RecordedEngine
    elif is_native(members, loss, settings, device):
        kind = NativeEngine
    return kind(members, loss, settings, device, dtype)
