"""Backpropagation costs about twice the forward pass, linear in layers and quadratic in units: counted and timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.reporting import Evidence, panels, plain
from nnlab.activation import ReLU
from nnlab.architecture import MLP
from nnlab.backprop.cost import backward_cost, forward_cost

QUICK: dict[str, Any] = {"examples": 128, "repeats": 7, "units": 256}
DEFAULT: dict[str, Any] = {"examples": 256, "repeats": 31, "units": 512}
FULL: dict[str, Any] = {"examples": 1024, "repeats": 101, "units": 1024}


def passes(widths: list[int], examples: int) -> tuple[Callable[[], torch.Tensor], Callable[[torch.Tensor], None]]:
    """The forward and the backward pass of an MLP, inputs first and outputs last in `widths`."""
    network = MLP(tuple(widths[:1]), lambda features: torch.nn.Linear(features, widths[-1]), ReLU, widths[1:-1])
    inputs = torch.randn(examples, widths[0], generator=torch.Generator().manual_seed(0))
    error = torch.ones(examples, widths[-1])
    return lambda: network(inputs), lambda outputs: outputs.backward(error)


def counted(widths: list[int], examples: int) -> tuple[int, int]:
    """Multiply-adds that torch itself counts while it runs the two passes."""
    forward, backward = passes(widths, examples)
    with FlopCounterMode(display=False) as first:
        outputs = forward()
    with FlopCounterMode(display=False) as second:
        backward(outputs)
    return first.get_total_flops() // 2, second.get_total_flops() // 2


def timed(nets: list[list[int]], examples: int, repeats: int) -> list[tuple[float, float]]:
    """Least CPU seconds of the two passes of each net; they take turns, so that a busy machine hits all alike."""
    pairs, seconds = [passes(widths, examples) for widths in nets], [([], []) for _ in nets]  # type: ignore[var-annotated]
    for _ in range(repeats + 2):
        for (forward, backward), (ahead, back) in zip(pairs, seconds, strict=True):
            start = time.process_time()
            outputs = forward()
            middle = time.process_time()
            backward(outputs)
            ahead.append(middle - start)
            back.append(time.process_time() - middle)
    return [(min(ahead[2:]), min(back[2:])) for ahead, back in seconds]


def run(examples: int, repeats: int, units: int) -> Evidence:
    """Count and time a wide-input net, a deep one, and both passes over depth and width."""
    torch.set_num_threads(1)
    shapes = {"784-256-10": [784, 256, 10], f"10 layers of {units}": [units] * 11}
    layers, widths = [2, 4, 8, 16], [units // 4, units // 2, units, 2 * units]
    deep, wide = [[units // 2] * (n + 1) for n in layers], [[n] * 5 for n in widths]
    times = timed([*shapes.values(), *deep, *wide], examples, repeats)
    counts = {name: counted(net, examples) for name, net in shapes.items()}
    ratio = {name: counts[name][1] / counts[name][0] for name in shapes}
    clock = {name: b / a for name, (a, b) in zip(shapes, times[:2], strict=True)}
    total = [a + b for a, b in times[2:]]
    by_layers, by_units = total[: len(deep)], total[len(deep) :]
    slope_layers = float(np.polyfit(np.log(layers[1:]), np.log(by_layers[1:]), 1)[0])
    slope_units = float(np.polyfit(np.log(widths[1:]), np.log(by_units[1:]), 1)[0])
    expected = {name: (forward_cost(net, examples), backward_cost(net, examples)) for name, net in shapes.items()}
    work = [sum(f(net, 1) for f in (forward_cost, backward_cost)) for net in wide]
    first, last = shapes
    claims = {
        "torch counts the multiply-adds of the lecture's formula, to the last one": counts == expected,
        "ten equal layers: backward costs 1.9 times forward, counted": abs(ratio[last] - 1.9) < 0.01,
        "wide inputs: backward costs 1.01 times forward, counted": abs(ratio[first] - 1.013) < 0.01,
        "timed, 16 layers cost 4 to 16 times as much as 2": 4 < by_layers[-1] / by_layers[0] < 16,
        "timed, four times the units cost more than seven times as much": by_units[-1] / by_units[1] > 7,
    }
    table = [["net", "backward/forward, counted", "backward/forward, timed"]]
    table += [[name, f"{ratio[name]:.3f}", f"{clock[name]:.2f}"] for name in shapes]
    table += [["exponent over layers", "1 (without the first layer's missing part)", f"{slope_layers:.2f}"]]
    table += [["exponent over units", "2", f"{slope_units:.2f}"]]
    figure, (left, right) = panels(2)
    left.loglog(layers, np.array(by_layers) * 1e3, "o-", label=f"timed, {units // 2} units")
    left.loglog(layers, np.array(layers) * by_layers[-1] / layers[-1] * 1e3, ":", color="grey", label="linear")
    left.set(xlabel="layers", ylabel="ms, forward and backward", title="Linear in layers")
    right.loglog(widths, np.array(by_units) * 1e3, "o-", label="timed, 4 layers")
    right.loglog(widths, np.array(work) * by_units[-1] / work[-1] * 1e3, ":", color="grey", label="quadratic")
    right.set(xlabel="units in a layer", ylabel="ms, forward and backward", title="Quadratic in units")
    for ax, ticks in ((left, layers), (right, widths)):
        plain(ax.xaxis, ticks)
        ax.legend()
    results = {"counted": counts, "ratio_counted": ratio, "ratio_timed": clock, "seconds_by_layers": by_layers}
    return Evidence({**results, "seconds_by_units": by_units}, claims, table, figure)
