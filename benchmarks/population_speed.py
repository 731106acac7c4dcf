"""Time per member and step of a population, against the same networks one after another in a bare PyTorch loop.

Everything goes through `nnlab train -m` (the grid of learning rates, weight decays and seeds that the command line
names), with the time that the runs report; data reading is not counted on either side. Bare: fused Adam on resident
tensors, one network at a time. With `--jax`, the same networks under JAX's `vmap` and `jit` join (`pip install jax`).
Contestants take turns; medians and ratios over the rounds are printed.

    OMP_NUM_THREADS=1 python benchmarks/population_speed.py --case digits
    NNLAB_DATA=... OMP_NUM_THREADS=1 python benchmarks/population_speed.py --case mnist16
    NNLAB_DATA=... python benchmarks/population_speed.py --case digits --device cuda

On CUDA the bare loop runs a second time with its whole step recorded as a CUDA graph, and the peak of the GPU's memory
is printed. No table for CUDA yet: none was at hand.

Measured on an AMD EPYC with 2 virtual cores that a dozen other programs shared (load 13), torch 2.14.1, one thread,
medians of 2 and 3 rounds, microseconds a step and member on the clock; in such company every figure is high, and the
ratio is what to look at:

    64 networks 64-32-10, batch 32       bare 701, nnlab 16.9 (41x)
    16 networks 784-32-10, batch 128     bare 2027, nnlab 322 (6.4x)

`engine_speed.py` has the fit alone, in processor time, for more shapes and beside JAX.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnlab.cli import compose
from nnlab.cli import main as nnlab
from nnlab.config.build import load_dataset
from nnlab.types import Dataset


class Case(NamedTuple):
    """A population: its data, hidden widths, batch, steps, and the grid that makes its members."""

    data: str
    widths: list[int]
    batch: int
    steps: int
    grid: list[str]

    seeds: int

    @property
    def members(self) -> int:
        return self.seeds * math.prod(axis.count(",") + 1 for axis in self.grid)


RATES = "optimizer.learning_rate=0.003,0.001"
DECAYS = "regularizer.weight_decay.strength=0,1e-4"
EPOCH = 422  # steps of 128 through the 54,000 training examples of MNIST
CASES = {
    "digits": Case("digits", [32], 32, 400, [RATES + ",0.01,0.0003", DECAYS], 8),
    "digits64seeds": Case("digits", [32], 32, 400, [], 64),
    "mnist16": Case("mnist", [32], 128, EPOCH, [RATES, DECAYS], 4),
    "mnist64": Case("mnist", [32], 128, EPOCH, [RATES + ",0.01,0.0003", DECAYS], 8),
    "mnist16seeds": Case("mnist", [32], 128, EPOCH, [], 16),
    "mnist16shared": Case("mnist", [32], 128, EPOCH, [RATES + ",0.01,0.03,0.0003,0.0001,0.1,0.3", DECAYS], 1),
    "wide16": Case("mnist", [256, 256], 128, 40, [RATES, DECAYS], 4),
}


def resident(data: Dataset, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and validation inputs (n, D) and targets on the device."""
    splits = (data.train, data.validation)
    inputs, targets, others, labels = (x.to(device) for s in splits for x in (s.inputs.flatten(1), s.targets))
    return inputs, targets, others, labels


def network(case: Case, data: Dataset, device: torch.device) -> nn.Sequential:
    """The network of one member."""
    layers: list[nn.Module] = []
    for before, after in zip([data.input_size, *case.widths], case.widths, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(case.widths[-1], data.target_size)).to(device)


def timed(
    case: Case, count: int, device: torch.device, step: Callable[[Tensor], None], end: Callable[[], None]
) -> float:
    """Microseconds a step of `case.steps` minibatches of `count` examples, and of what is done once at the end."""
    order = torch.randperm(count).to(device)
    synchronize(device)
    start = time.perf_counter()
    for number in range(case.steps):
        first = number * case.batch % (count - case.batch)
        step(order[first : first + case.batch])
    end()
    synchronize(device)
    return (time.perf_counter() - start) / case.steps * 1e6


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def bare(case: Case, data: Dataset, device: torch.device, graph: bool = False) -> float:
    """Microseconds a step of one network in the loop that one would write by hand; `graph` records its step."""
    inputs, targets, others, labels = resident(data, device)
    model = network(case, data, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True, capturable=graph)

    def step(index: Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[index]), targets[index]).backward()
        optimizer.step()

    def validate() -> None:  # once at the end, as nnlab does
        with torch.no_grad():
            outputs = model(others)
            F.cross_entropy(outputs, labels).item()
            (outputs.argmax(1) == labels).float().mean().item()

    return timed(case, len(inputs), device, recorded(step, case.batch, device) if graph else step, validate)


def bare_with_graph(case: Case, data: Dataset, device: torch.device) -> float:
    """As `bare`, with the whole step recorded as a CUDA graph, recording not counted."""
    return bare(case, data, device, graph=True)


def recorded(step: Callable[[Tensor], None], batch: int, device: torch.device) -> Callable[[Tensor], None]:
    """A step as a CUDA graph that reads the positions of its examples from memory that stays."""
    positions = torch.arange(batch, device=device)
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(3):  # what is allocated or chosen in the first steps stays out of the graph
            step(positions)
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(positions)

    def replay(index: Tensor) -> None:
        positions.copy_(index)
        graph.replay()

    return replay


def population(case: Case, _data: Dataset, device: torch.device) -> float:
    """Microseconds a step and member of the grid under `nnlab train -m`."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        nnlab(["train", "-m", *case.grid, f"seed=range({case.seeds})", f"data={case.data}",
               f"architecture.widths={case.widths}", "callbacks=[]",
               f"trainer.batch_size={case.batch}", f"trainer.steps={case.steps}", "trainer.validate_unit=step",
               f"trainer.validate_every={case.steps}", f"output_dir={folder}", "name=speed",
               f"trainer.threads={torch.get_num_threads()}", f"trainer.device={device}"])  # fmt: skip
        results = list(Path(folder).glob("speed/*/result.json"))
        # Those that were trained together took this long together.
        seconds = [
            json.loads(path.read_text())["seconds"]
            / json.loads(path.with_name("environment.json").read_text())["population"]
            for path in results
        ]
    if len(results) != case.members:
        raise RuntimeError(f"{len(results)} of {case.members} jobs have a result")
    return sum(seconds) / case.steps / case.members * 1e6


def with_jax(case: Case, data: Dataset, _device: torch.device) -> float:
    """Microseconds a step and member under `vmap` and `jit`, compilation not counted, own batches for each member."""
    import jax
    import jax.numpy as jnp

    inputs = jnp.asarray(data.train.inputs.flatten(1).numpy())
    targets = jnp.asarray(data.train.targets.numpy())
    sizes = [inputs.shape[1], *case.widths, data.target_size]
    members = case.members
    key = jax.random.PRNGKey(0)
    weights: Any = [
        (jax.random.normal(key, (members, a, b)) * (2 / a) ** 0.5, jnp.zeros((members, b)))
        for a, b in itertools.pairwise(sizes)
    ]

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        for position, (w, b) in enumerate(parameters):
            x = x @ w + b
            x = jax.nn.relu(x) if position < len(parameters) - 1 else x
        return -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1).mean()

    def step(parameters: Any, m: Any, v: Any, index: Any, rate: Any, k: Any) -> Any:
        gradient = jax.grad(loss)(parameters, inputs[index], targets[index])
        m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
        moved = jax.tree.map(
            lambda p, a, b: p - rate * (a / (1 - 0.9**k)) / (jnp.sqrt(b / (1 - 0.999**k)) + 1e-8), parameters, m, v
        )
        return moved, m, v

    run = jax.jit(jax.vmap(step, in_axes=(0, 0, 0, 0, 0, None)), donate_argnums=(0, 1, 2))
    m = jax.tree.map(jnp.zeros_like, weights)
    v = jax.tree.map(jnp.zeros_like, weights)
    rates = jnp.full((members,), 1e-3)
    order = torch.stack([torch.randperm(len(inputs)) for _ in range(members)]).numpy()
    batches = [order[:, s * case.batch % (len(inputs) - case.batch) :][:, : case.batch] for s in range(case.steps)]
    weights, m, v = run(weights, m, v, batches[0], rates, 1.0)
    jax.block_until_ready(weights)
    start = time.perf_counter()
    for k, index in enumerate(batches, start=2):
        weights, m, v = run(weights, m, v, index, rates, float(k))
    jax.block_until_ready(weights)
    return (time.perf_counter() - start) / case.steps / members * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(CASES), default="digits")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jax", action="store_true")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device on this machine")
    case, device = CASES[options.case], torch.device(options.device)
    splits = [load_dataset(compose(f"data={case.data}", f"seed={seed}")) for seed in range(case.seeds)]
    data = splits[0]  # all are kept alive, so that no round reads them again
    contestants: dict[str, Callable[[Case, Dataset, torch.device], float]] = {"bare, one by one": bare}
    if device.type == "cuda":
        contestants["bare with CUDA graph"] = bare_with_graph
    contestants["nnlab train -m"] = population
    if options.jax:
        contestants["jax vmap + jit"] = with_jax
    times: dict[str, list[float]] = {name: [] for name in contestants}
    peaks = dict.fromkeys(contestants, 0.0)
    for _ in range(options.rounds + 1):
        for name, run in contestants.items():
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            times[name].append(run(case, data, device))
            if device.type == "cuda":
                peaks[name] = max(peaks[name], torch.cuda.max_memory_allocated(device) / 2**20)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{case.members} networks {data.input_size}-{case.widths}-{data.target_size}, batch {case.batch}, Adam, "
          f"{where}, {options.rounds} rounds after one warm-up")  # fmt: skip
    reference = times["bare, one by one"][1:]
    for name, values in times.items():
        ratio = statistics.median(b / a for a, b in zip(values[1:], reference, strict=True))
        memory = f"   peak {peaks[name]:.0f} MiB" if peaks[name] else ""
        print(f"{name:20} median {statistics.median(values[1:]):8.1f} us a step and member   {ratio:5.1f}x{memory}")


if __name__ == "__main__":
    main()
