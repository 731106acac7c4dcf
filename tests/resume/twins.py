"""Two runs of the same config, one disturbed and one not, and what may not differ between them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnlab.storage import checkpoint
from nnlab.storage.folder import event_files

BASE = (
    "data.limit=120",
    "architecture.widths=[8]",
    "trainer.epochs=3",
    "trainer.batch_size=16",
    "trainer.device=cpu",
    "callbacks.statistics.every=4",
    "scheduler=constant",
    "callbacks=[tensorboard,statistics,progress,checkpoint]",
)

OPTIMIZERS = ("sgd", "momentum", "heavy_ball", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw")
SECOND_ORDER = ("lbfgs", "bfgs", "newton")
TORCH = {
    "NAdam": ("+optimizer.lr=0.01",),
    "Rprop": ("+optimizer.lr=0.01",),
    "ASGD": ("+optimizer.lr=0.01",),
    "LBFGS": ("+optimizer.lr=0.5", "+optimizer.line_search_fn=strong_wolfe", "+optimizer.history_size=3"),
}
SMALL = ("data=moons", "data.limit=60", "architecture.widths=[4]", "trainer.batch_size=full", "trainer.epochs=18")
IMAGES = ("architecture=convnet", "architecture.channels=[2,3]", "architecture.hidden=6")


def base(*overrides: str) -> list[str]:
    """The small run with further overrides."""
    exchanged = "architecture=convnet" in overrides
    return [*(each for each in BASE if not (exchanged and each.startswith("architecture."))), *overrides]


def cases() -> dict[str, list[str]]:
    """Every optimizer, scheduler, regularizer and augmentation, with the combinations that share state."""
    table = {f"optimizer={name}": base(f"optimizer={name}") for name in OPTIMIZERS}
    table |= {f"optimizer={name}": base(*SMALL, f"optimizer={name}") for name in SECOND_ORDER}
    for name, options in TORCH.items():
        target = ("optimizer=sgd", "~optimizer.learning_rate", f"optimizer._target_=torch.optim.{name}", *options)
        table[f"torch.optim.{name}"] = base(*SMALL, *target) if name == "LBFGS" else base(*target)
    for name in ("constant", "cosine", "cyclic", "inverse_sqrt", "linear", "one_cycle", "step", "coslog"):
        table[f"scheduler={name}"] = base(f"scheduler={name}", "scheduler.warmup=1")
    further = {
        "dropout": ["regularizer=[dropout]", "regularizer.dropout.input_p=0.2"],
        "dropout, test scaling": ["regularizer=[dropout]", "regularizer.dropout.scaling=test"],
        "dropout, monte carlo": [
            "regularizer=[dropout]",
            "regularizer.dropout.inference=monte_carlo",
            "regularizer.dropout.samples=3",
        ],
        "dropconnect": ["regularizer=[dropconnect]"],
        "batch_ensemble": ["regularizer=[batch_ensemble,dropout]", "regularizer.batch_ensemble.heads=3"],
        "realmlp": ["architecture=realmlp", "initialization=data_dependent", "data/preprocessing=robust"],
        "dropconnect, gaussian": [
            "regularizer=[dropconnect]",
            "regularizer.dropconnect.inference=gaussian",
            "regularizer.dropconnect.samples=3",
        ],
        "streamed": ["data.resident=false"],
        "streamed images": [*IMAGES, "data.resident=false", "data/augmentation=[shift]"],
        "max_norm": ["regularizer=[max_norm]", "regularizer.max_norm.max_norm=0.5", "optimizer=momentum"],
        "penalties": [
            "regularizer=[weight_decay,l1]",
            "regularizer.weight_decay.strength=0.1",
            "regularizer.weight_decay.decoupled=true",
            "regularizer.l1.strength=0.01",
        ],
        "early_stopping": [
            "regularizer=[early_stopping]",
            "regularizer.early_stopping.patience=2",
            "regularizer.early_stopping.minimum_change=0.5",
            "trainer.validate_unit=step",
            "trainer.validate_every=3",
        ],
        "ensemble": ["regularizer=[ensemble]", "regularizer.ensemble.members=3"],
        "ensemble that stops early": [
            "regularizer=[ensemble,early_stopping,dropout]",
            "regularizer.ensemble.members=3",
            "regularizer.ensemble.share_batches=true",
            "regularizer.early_stopping.patience=1",
            "regularizer.early_stopping.minimum_change=0.04",
            "trainer.validate_unit=step",
            "trainer.validate_every=2",
        ],
        "snapshot ensemble": [
            "scheduler=cyclic",
            "scheduler.cycles=4",
            "regularizer=[snapshot_ensemble]",
        ],
        "batch norm": ["architecture.batch_norm=true"],
        "batch norm, convnet, ensemble": [
            *IMAGES,
            "architecture.batch_norm=true",
            "regularizer=[ensemble]",
            "regularizer.ensemble.members=2",
            "trainer.epochs=2",
        ],
        "augmentation": [
            "data/augmentation=[affine,elastic,flip,gaussian_noise,shift]",
        ],
        "augmentation, dropout, ensemble": [
            *IMAGES,
            "data/augmentation=[shift,gaussian_noise]",
            "regularizer=[dropout,ensemble]",
            "regularizer.ensemble.members=2",
            "trainer.epochs=2",
        ],
        "accumulate, clipping": ["trainer.accumulate=3", "trainer.clip_norm=0.5", "trainer.clip_value=0.1"],
        "all callbacks": [
            "callbacks=[tensorboard,statistics,histograms,images,precision_recall,projector,diagnosis,progress,checkpoint]"
        ],
        "regression": ["data=diabetes", "loss=squared_error"],
        "float64, prelu": ["trainer.precision=float64", "activation=prelu"],
        "fraction of an epoch": ["trainer.epochs=2.7", "trainer.validate_every=2"],
        "divergence": ["optimizer=sgd", "optimizer.learning_rate=1e30"],
        "divergence, skipped": ["optimizer=sgd", "optimizer.learning_rate=1e30", "trainer.on_nonfinite=skip"],
        "divergence, restored": ["optimizer=momentum", "optimizer.learning_rate=1e19", "trainer.on_nonfinite=restore"],
    }
    return table | {name: base(*overrides) for name, overrides in further.items()}


def result_of(run: Path) -> dict[str, Any]:
    """`result.json` without its time."""
    content: dict[str, Any] = json.loads((run / "result.json").read_text())
    del content["seconds"]
    return content


def state_of(run: Path) -> dict[str, Any]:
    """The last checkpoint without time and file names."""
    state = checkpoint.load(run / "checkpoints" / "last.ckpt")
    return {name: value for name, value in state.items() if name not in ("seconds", "files", "config")}


def scalars_of(run: Path) -> list[tuple[str, int, str]]:
    """All that a run's event files hold, sorted, as tag, step and value."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found = []
    for path in event_files(run):
        for event in LegacyEventFileLoader(str(path)).Load():
            found += [(value.tag, event.step, _scalar(value)) for value in event.summary.value]
    return sorted(found)


def _scalar(value: Any) -> str:
    """A number, or a hash of a picture, histogram, curve; sessions hold times."""
    if value.HasField("simple_value"):
        return repr(value.simple_value)
    return "" if value.tag.startswith("_hparams_") else hashlib.sha256(value.SerializeToString()).hexdigest()


def differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Where two nested values are not the same bits."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        same = first.shape == second.shape and first.dtype == second.dtype
        return [] if same and torch.equal(_bits(first), _bits(second)) else [path]
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        if list(first) != list(second):
            return [f"{path}: keys {sorted(set(first) ^ set(second))}"]
        return [line for key in first for line in differences(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, Sequence) and not isinstance(first, str) and isinstance(second, Sequence):
        if len(first) != len(second):
            return [f"{path}: {len(first)} and {len(second)} entries"]
        pairs = enumerate(zip(first, second, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{path}/{i}")]
    return [] if repr(first) == repr(second) else [f"{path}: {first!r} and {second!r}"]


def _bits(value: Tensor) -> Tensor:
    value = value.contiguous().reshape(-1)
    return value.view(torch.uint8) if value.numel() else value


def compare(disturbed: Path, twin: Path, *, state: bool = True) -> list[str]:
    """What differs between two finished runs: results, weights and optimizer state, logs, TensorBoard; nothing may."""
    found = differences(result_of(disturbed), result_of(twin), "result.json")
    if state:
        found += differences(state_of(disturbed), state_of(twin), "last.ckpt")
    for name in ("history.csv", "statistics.csv", "log.txt"):
        a, b = (run / name for run in (disturbed, twin))
        if (a.read_bytes() if a.exists() else b"") != (b.read_bytes() if b.exists() else b""):
            found.append(name)
    everything = scalars_of(disturbed)
    scalars, expected = ([each for each in kind if each[2]] for kind in (everything, scalars_of(twin)))
    if scalars != expected:
        extra, missing = sorted(set(scalars) - set(expected)), sorted(set(expected) - set(scalars))
        found.append(f"TensorBoard: {len(scalars)} and {len(expected)} scalars; {extra[:3]} {missing[:3]}")
    keys = [(tag, step) for tag, step, _ in everything]
    if len(set(keys)) < len(keys):
        found.append("TensorBoard: a step is there twice")
    return found
