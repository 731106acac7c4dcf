"""How a run is trained, apart from its components: the section `trainer` of every config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nnlab.device import PRECISIONS
from nnlab.errors import UserError
from nnlab.metric_names import METRICS
from nnlab.validation import check, check_choice

MOST_THREADS = 1024  # torch ends the process where the system gives it no more


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """Length, batches, device and safety of a run.

    Args:
        epochs: passes over the training data; a fraction stops within an epoch. (0, inf)
        steps: number of updates; where it is given, it is used instead of `epochs`.
        batch_size: examples in a minibatch: 1 is stochastic gradient descent, `full` the whole training split. The
            default also takes all where there are fewer examples.
        device: `auto` (cuda, then mps, then cpu) or a name such as `cuda:1`.
        engine: `native` trains chains of layers by compiled code (see `nnlab.training.native`), `torch` never does;
            `auto` takes whichever is faster for the network's size. What compiled code cannot do runs on torch.
        processes: how many train together: of one network each takes its slice of every minibatch, of a population
            its share of the members. On GPUs each has its own. [1, inf)
        sync_batch_norm: with several processes, batch normalization takes the moments of the whole minibatch, not of
            each process's slice.
        threads: processor threads of each process; null takes one where a step is too small to be worth sharing, else
            torch's own number.
        precision: `float32`, `tf32` (CUDA matrix products), `bf16` (autocast) or `float64`.
        deterministic: only deterministic kernels (CUDA); on the CPU runs repeat bit for bit anyway.
        cuda_graphs: on CUDA, record the steps of small networks (up to 16 million parameters together) and replay
            them with a few launches; see `nnlab.training.recorded`.
        clip_norm: upper bound of the gradient's L2 norm, over all parameters of a network.
        clip_value: upper bound of every gradient entry's absolute value.
        accumulate: minibatches whose gradients are averaged before one update.
        validate_every: evaluate on the validation split every so many `validate_unit`s, and at the end.
        validate_unit: `epoch` or `step`.
        metric: which metric of the validation split decides the best weights, early stopping and the order of tables;
            null takes accuracy, or rmse in regression. `loss`, or any of `nnlab.metric_names`; `f1` and
            `average_precision` are means over the classes (macro).
        best_window: validations whose mean decides which weights are the best; the best single value of a small
            validation split is mostly luck.
        time_limit: seconds after which training stops at the next step, [0.001, inf).
        on_nonfinite: a non-finite loss or gradient ends the run as diverged (`stop`), leaves that update out
            (`skip`), or returns to the last validated weights and halves the rate (`restore`).
    """

    epochs: float | None = 30
    steps: int | None = None
    batch_size: int | Literal["full"] = 32
    device: str = "auto"
    engine: Literal["auto", "native", "torch"] = "auto"
    processes: int = 1
    sync_batch_norm: bool = True
    threads: int | None = None
    precision: Literal["float32", "tf32", "bf16", "float64"] = "float32"
    deterministic: bool = False
    cuda_graphs: bool = True
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    validate_every: int = 1
    validate_unit: Literal["epoch", "step"] = "epoch"
    metric: str | None = None
    best_window: int = 1
    time_limit: float | None = None
    on_nonfinite: Literal["stop", "skip", "restore"] = "stop"

    def __post_init__(self) -> None:
        if self.epochs is None and self.steps is None:
            raise UserError("`trainer.epochs` or `trainer.steps` must be given; both are null")
        if self.batch_size != "full":
            check("trainer.batch_size", self.batch_size, "[1, inf)")
        for name in ("epochs", "clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                check(f"trainer.{name}", getattr(self, name), "(0, inf)")
        if self.time_limit is not None:
            check("trainer.time_limit", self.time_limit, "[0.001, inf)")
        for name in ("accumulate", "validate_every", "best_window", "processes"):
            check(f"trainer.{name}", getattr(self, name), "[1, inf)")
        if self.threads is not None:
            check("trainer.threads", self.threads, f"[1, {MOST_THREADS}]")
        if self.steps is not None:
            check("trainer.steps", self.steps, "[1, 1e15]")
        check_choice("trainer.engine", self.engine, ("auto", "native", "torch"))
        check_choice("trainer.precision", self.precision, PRECISIONS)
        if self.metric is not None:
            check_choice("trainer.metric", self.metric, METRICS)
        check_choice("trainer.validate_unit", self.validate_unit, ("epoch", "step"))
        check_choice("trainer.on_nonfinite", self.on_nonfinite, ("stop", "skip", "restore"))
