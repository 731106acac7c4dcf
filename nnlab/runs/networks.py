"""The trained networks of a run folder, without its data: best weights of a network, an ensemble, or snapshots."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnlab.callbacks import SnapshotEnsemble
from nnlab.config.build import build_loss
from nnlab.config.construct import construct
from nnlab.config.kept import kept_config
from nnlab.config.network import build_network
from nnlab.device import resolve_device, resolve_dtype
from nnlab.errors import UserError
from nnlab.loss.base import Loss
from nnlab.runs import calibrated
from nnlab.runs.continuation import check_unedited
from nnlab.runs.fitted import Fitted, read
from nnlab.storage.checkpoint import load_best, load_newest
from nnlab.storage.directories import run_at
from nnlab.storage.folder import CHECKPOINTS, RESULT, read_config
from nnlab.training.stack import Stack
from nnlab.training.stacks import make_stack

log = logging.getLogger(__name__)

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Networks:
    """M trained networks and what belongs to them.

    Attributes:
        directory: the run's folder.
        config: its resolved config.
        fitted: the pipeline around the networks, and what is known of the data.
        loss: their loss.
        stack: the networks.
        calibration: what validation taught about their predictions, or None.
    """

    directory: Path
    config: Config
    fitted: Fitted
    loss: Loss
    stack: Stack
    calibration: calibrated.Calibration | None = None

    def __len__(self) -> int:
        return len(self.stack)

    def __reduce__(self) -> tuple[Any, ...]:
        buffers = {name: value.cpu() for name, value in self.stack.buffers.items()}
        weights = self.stack.theta.cpu()
        return assemble, (self.directory, self.config, self.fitted, weights, buffers, None, self.calibration)


def load_networks(directory: str | Path, device: str | None = None) -> Networks:
    """The networks of a run, on `device`; None takes the run's own device where this machine has it.

    Of a run that has not finished, which is said, they are the best so far.

    Raises:
        UserError: it is no run directory, or lacks weights or pipeline, or they are damaged.
    """
    directory = run_at(directory)
    config = kept_config(directory)
    if not (directory / RESULT).exists():
        log.warning(
            f"`{directory}` has not finished: these are its best weights so far; `nnlab train resume={directory}` "
            "continues it"
        )
    members = member_folders(directory)
    stored = read(members[0] if members else directory, config)
    theta, buffers = _weights(directory, members, config)
    networks = assemble(directory, config, stored, theta, buffers, device)
    return replace(networks, calibration=calibrated.read(directory, networks.stack.theta))


def assemble(
    directory: Path,
    config: Config,
    fitted: Fitted,
    theta: Tensor,
    buffers: Mapping[str, Tensor],
    device: str | None = None,
    calibration: calibrated.Calibration | None = None,
) -> Networks:
    """Networks from their weights (M, P) and buffers (M, ...).

    Raises:
        UserError: the weights are those of other networks.
    """
    blank = fitted.blank_dataset()
    loss = build_loss(config, blank)
    precision = config["trainer"]["precision"]
    place, dtype = _device(config, device), resolve_dtype(precision)
    network = build_network(config, blank, loss, config["seed"])
    stack = make_stack([network], loss, place, dtype, precision == "bf16")
    try:
        if theta.shape[1:] != stack.theta.shape[1:] or buffers.keys() != stack.buffers.keys():
            raise ValueError("their shapes are those of another network")
        rows = {name: value.to(place, stack.buffers[name].dtype) for name, value in buffers.items()}
        stack.replace(theta.to(place, dtype), rows)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"the weights of `{directory}` do not fit its config: {error}") from error
    return Networks(directory, config, fitted, loss, stack, calibration)


def member_folders(directory: Path) -> list[Path]:
    """The runs of the members of an ensemble that was trained one by one; none in an ordinary run."""
    folders = [folder for folder in directory.glob("member_*") if folder.name.removeprefix("member_").isdecimal()]
    return sorted(folders, key=lambda folder: int(folder.name.removeprefix("member_")))


def _device(config: Config, device: str | None) -> torch.device:
    """The device that was asked for, or the run's own, or whatever this machine has."""
    if device is not None:
        return resolve_device(device)
    try:
        return resolve_device(config["trainer"]["device"])
    except UserError:
        return resolve_device("auto")


def _weights(directory: Path, members: Sequence[Path], config: Config) -> tuple[Tensor, dict[str, Tensor]]:
    """Weights (M, P) and buffers (M, ...) of the run's networks; those of snapshots from the newest on."""
    snapshots = _snapshots(directory, config)
    if snapshots is not None:
        return snapshots
    folders = members or [directory]
    states = [load_best(folder / CHECKPOINTS) for folder in folders]
    for folder, state in zip(folders, states, strict=True):
        check_unedited(folder, state, read_config(folder))
    best = [member["best"] for state in states for member in state["members"]]
    theta = torch.stack([each["theta"] for each in best])
    return theta, {name: torch.stack([each["buffers"][name] for each in best]) for name in best[0]["buffers"]}


def _snapshots(directory: Path, config: Config) -> tuple[Tensor, dict[str, Tensor]] | None:
    """The snapshots of a snapshot ensemble; None where the run is none, or ended no cycle."""
    for name, regularizer in construct(config["regularizer"] or {}, "regularizer").items():
        if isinstance(regularizer, SnapshotEnsemble):
            state = load_newest(directory / CHECKPOINTS)
            if state is None:
                raise UserError(f"`{directory / CHECKPOINTS}` has no checkpoint with the snapshots")
            states = state["members"][0]["callbacks"]
            kept = states.get(f"regularizer.{name}", states.get(type(regularizer).__name__))  # as older ones have it
            if kept is not None:
                regularizer.load_state(0, kept)
            return regularizer.snapshots(torch.device("cpu"), 0)
    return None
