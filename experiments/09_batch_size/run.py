"""Stochastic, minibatch, full batch: the gradient's variance falls as 1/b; progress per epoch and per second."""

from __future__ import annotations

from time import process_time
from typing import Any

import numpy as np
import torch

from experiments.reporting import PALETTE, Evidence, panels, shown
from experiments.running import Grid, grid, train

QUICK: dict[str, Any] = {"seeds": 3, "epochs": 3, "draws": 100, "rates": [0.01, 0.1, 0.3]}
DEFAULT: dict[str, Any] = {"seeds": 10, "epochs": 20, "draws": 2000, "rates": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]}
FULL: dict[str, Any] = {"seeds": 50, "epochs": 50, "draws": 10000, "rates": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]}

BATCHES = {"1": "stochastic", "8": "minibatch", "64": "minibatch", "full": "full batch"}
SHARED = ["data=digits", "architecture.widths=[32]", "activation=tanh", "initialization=xavier", "optimizer=sgd"]


def gradients(population: Grid, rows: torch.Tensor) -> torch.Tensor:
    """Gradients (draws, P) of the same network on minibatches, `rows` (draws, b) of the training data."""
    trainer = population.trainer
    split, found = trainer.members[0].dataset.train, []
    for batch in rows:
        trainer.stack.backward(split.inputs[batch].unsqueeze(0), split.targets[batch].unsqueeze(0))
        found.append(trainer.stack.gradient[0].clone())
    return torch.stack(found)


def variances(draws: int) -> dict[int, float]:
    """Variance of the minibatch gradient around the full one, by batch size, sampled with replacement."""
    population, draw = grid(*SHARED, "trainer.precision=float64"), torch.Generator().manual_seed(0)
    examples = len(population.trainer.members[0].dataset.train)
    full = gradients(population, torch.arange(examples).unsqueeze(0))
    sizes = [1, 4, 16, 64, 256]
    rows = {b: torch.randint(examples, (draws, b), generator=draw) for b in sizes}
    return {b: float((gradients(population, rows[b]) - full).square().sum(1).mean()) for b in sizes}


def run(seeds: int, epochs: int, draws: int, rates: list[float]) -> Evidence:
    """Measure the gradient's variance; train at every batch size with its best rate."""
    variance = variances(draws)
    exponent = float(np.polyfit(np.log(list(variance)), np.log(list(variance.values())), 1)[0])
    table = [["batch", "best rate", "training loss", "test accuracy %", "ms for an epoch of one network", "steps"]]
    results: dict[str, Any] = {"variance": variance, "exponent": exponent}
    figure, (left, middle, right) = panels(3)
    left.loglog(list(variance), list(variance.values()), "o", label="measured")
    left.loglog(list(variance), [variance[1] / b for b in variance], ":", color="grey", label="1/b")
    left.set(xlabel="batch size b", ylabel="variance of the gradient", title=f"Variance ~ b^{exponent:.2f}")
    losses, seconds = {}, {}
    for position, (size, kind) in enumerate(BATCHES.items()):
        options = [*SHARED, f"trainer.batch_size={size}", f"trainer.epochs={epochs}"]
        tried = train(*options, vary={"optimizer.learning_rate": rates}, seeds=range(seeds))
        final = np.nan_to_num(tried.last("train", "loss"), nan=np.inf)
        best = int(final.mean(1).argmin())
        # Timed as frameworks work, an operation at a time; compiled steps cost single examples little more.
        timed = [*options, "trainer.engine=torch", "trainer.validate_every=1"]
        alone = grid(*timed, f"optimizer.learning_rate={rates[best]}")
        start = process_time()
        alone.trainer.fit()
        steps, curve = alone.curve("loss/validation")
        time = (process_time() - start) * steps / steps[-1]
        losses[size], seconds[size] = final[best], float(time[-1] / epochs)
        accuracy = tried.last("test", "accuracy")[best]
        row = [f"{size} ({kind})", rates[best], shown(losses[size]), shown(accuracy, 1, percent=True)]
        table.append([*row, f"{1e3 * seconds[size]:.0f}", int(steps[-1])])
        middle.semilogy(np.arange(1, epochs + 1), curve[0, 0], color=PALETTE[position], label=f"b = {size}")
        right.loglog(time, curve[0, 0], color=PALETTE[position], label=f"b = {size}")
        results[size] = {"rate": rates[best], "loss": losses[size].tolist(), "seconds_per_epoch": seconds[size]}
    middle.set(xlabel="epoch", ylabel="validation loss", title="Progress per epoch")
    middle.set_xticks(range(0, epochs + 1, max(1, epochs // 4)))
    right.set(xlabel="CPU seconds", ylabel="validation loss", title="Progress per second")
    for ax in (left, middle, right):
        ax.legend()
    claims = {
        "the gradient's variance falls as 1/b (exponent -1 within 0.1)": abs(exponent + 1) < 0.1,
        "per epoch, minibatches of 8 learn far more than the full batch": bool(
            losses["8"].max() < 0.5 * losses["full"].min()
        ),
        "an epoch of single examples takes more than twice as long as one in eights": seconds["1"] > 2 * seconds["8"],
        "an epoch in batches of 64 is faster still": seconds["64"] < 0.8 * seconds["8"],
    }
    return Evidence(results, claims, table, figure)
