"""What nnlab does on a GPU, in eight minutes at most: parts in the order of their worth, each printing as it ends.

    NNLAB_DATA=... python benchmarks/cuda.py
    python benchmarks/cuda.py --device cpu --smallest       the same without a GPU, in seconds
    python benchmarks/cuda.py --only steps,population

Each part is a process of its own: one that fails or takes too long costs only itself. MNIST must be there already, in
NNLAB_DATA or the cache folder, where the machine has no network.

    tests        pytest -m cuda
    steps        recorded steps (`trainer.cuda_graphs`), eager ones, a bare loop, and that loop as a CUDA graph of torch
    population   64 and 1,024 small networks at once, a step and member, and the memory that they take
    mnist        seconds of training until the convnet has 99% on the validation split of MNIST
    precision    float32, tf32 and bf16, with what `torch.backends` says
    channels     images with each pixel's channels side by side, and not
    resident     data on the GPU against minibatches from the mapping (`data.resident`)
    experiment   `nnlab experiment xor full=true`

Measured: on no GPU yet, for none was at hand; with `--device cpu --smallest` all parts run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from population_speed import CASES, bare, bare_with_graph, synchronize

from nnlab import UserError
from nnlab.cli import compose
from nnlab.config.build import build_trainer, load_dataset
from nnlab.device import set_up
from nnlab.training import Callback, Trainer

ROOT = Path(__file__).parents[1]
ROUNDS = 3


class Sizes:
    """How much the parts do."""

    def __init__(self, device: str, smallest: bool) -> None:
        self.device = torch.device(device)
        self.on_cuda = self.device.type == "cuda"
        self.smallest = smallest
        self.steps = 20 if smallest else 400
        self.populations = [4, 16] if smallest else [64, 1024]
        self.width = 64 if smallest else 4096
        self.batch = 32 if smallest else 512
        self.images = ["data=mnist", "data.limit=300"] if smallest else ["data=mnist"]


def made(sizes: Sizes, *overrides: str, seeds: int = 1) -> Trainer:
    """A trainer on the device, which reports to nobody."""
    settings = [f"trainer.device={sizes.device}", "callbacks=[]", "trainer.engine=torch", *overrides]
    config = compose(*settings)
    set_up(sizes.device, config["trainer"]["precision"], False)
    return build_trainer([{**config, "seed": seed} for seed in range(seeds)])


def step_time(trainer: Trainer, steps: int) -> float:
    """Microseconds a step, in blocks, after a warm-up: the median of some rounds."""
    engine, times = trainer.engine, []
    engine.advance(0, 10)
    for number in range(ROUNDS):
        synchronize(trainer.device)
        started = time.perf_counter()
        engine.advance(10 + number * steps, steps)
        synchronize(trainer.device)
        times.append((time.perf_counter() - started) / steps * 1e6)
    return statistics.median(times)


def line(name: str, value: float, unit: str, note: str = "") -> None:
    print(f"  {name:44} {value:10.1f} {unit}   {note}".rstrip(), flush=True)


def tests(sizes: Sizes) -> None:
    """All tests that need a GPU."""
    where = "tests/training/test_on_cuda.py" if sizes.smallest else "tests"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "cuda", "-rs", where], cwd=ROOT, capture_output=True, text=True
    )
    print("  " + "\n  ".join(done.stdout.strip().splitlines()[-12:]))


def steps(sizes: Sizes) -> None:
    """One small network."""
    case = CASES["digits"]._replace(steps=sizes.steps)
    data = load_dataset(compose("data=digits"))
    small = ["data=digits", f"architecture.widths={case.widths}", f"trainer.batch_size={case.batch}"]
    contestants: dict[str, Callable[[], float]] = {
        "nnlab, recorded": lambda: step_time(made(sizes, *small), sizes.steps),
        "nnlab, eager": lambda: step_time(made(sizes, *small, "trainer.cuda_graphs=false"), sizes.steps),
        "bare loop": lambda: bare(case, data, sizes.device),
        "bare loop as a CUDA graph": lambda: bare_with_graph(case, data, sizes.device),
    }
    for name, run in contestants.items():
        if not sizes.on_cuda and ("recorded" in name or "graph" in name):
            print(f"  {name:44} needs a GPU")
        else:
            line(name, run(), "us a step")


def population(sizes: Sizes) -> None:
    """Many small networks at once."""
    case = CASES["digits"]
    for count in sizes.populations:
        if sizes.on_cuda:
            torch.cuda.reset_peak_memory_stats()
        trainer = made(sizes, f"architecture.widths={case.widths}", f"trainer.batch_size={case.batch}", seeds=count)
        each = step_time(trainer, sizes.steps) / count
        peak = f"peak {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB" if sizes.on_cuda else ""
        line(f"{count} networks 64-32-10", each, "us a step and member", peak)


class Until(Callback):
    """Stops training as soon as the validation accuracy is high enough, and notes the seconds."""

    def __init__(self, accuracy: float) -> None:
        self.accuracy, self.seconds, self.best = accuracy, None, 0.0

    def evaluated(self, trainer: Trainer) -> None:
        self.best = max(self.best, trainer.history.latest("accuracy/validation", 0) or 0.0)
        if self.best >= self.accuracy and self.seconds is None:
            self.seconds, trainer.stop_requested = trainer.seconds, "accuracy"


def mnist(sizes: Sizes) -> None:
    """The convnet until 99%."""
    more = ["trainer.epochs=1"] if sizes.smallest else ["trainer.epochs=10", "trainer.validate_unit=step"]
    more += [] if sizes.smallest else ["trainer.validate_every=50", "trainer.time_limit=90"]
    trainer = made(sizes, *sizes.images, "architecture=convnet", "trainer.batch_size=128", *more)
    watch = Until(0.2 if sizes.smallest else 0.99)
    trainer.callbacks.append(watch)
    trainer.fit()
    if watch.seconds is None:
        print(f"  not reached: {watch.best:.4f} after {trainer.seconds:.1f} s")
    else:
        line(f"convnet to {watch.accuracy:.0%} (step {trainer.step})", watch.seconds, "s")


def precision(sizes: Sizes) -> None:
    """Precisions, of wide layers and of convolutions."""
    wide = ["data=digits", f"architecture.widths=[{sizes.width},{sizes.width}]", f"trainer.batch_size={sizes.batch}"]
    images = [*sizes.images, "architecture=convnet", f"trainer.batch_size={sizes.batch}"]
    for network, overrides in {"wide layers": wide, "convnet": images}.items():
        for name in ("float32", "tf32", "bf16"):
            if name == "tf32" and not sizes.on_cuda:
                continue
            trainer = made(sizes, *overrides, f"trainer.precision={name}")
            backends = torch.backends
            said = f"matmul {backends.cuda.matmul.fp32_precision}, conv {backends.cudnn.conv.fp32_precision}"  # type: ignore[attr-defined]
            line(f"{network}, {name}", step_time(trainer, max(5, sizes.steps // 8)), "us a step", said)


def channels(sizes: Sizes) -> None:
    """Orders of memory of images."""
    for name in ("convnet", "resnet"):
        for last in (True, False):
            small = ["architecture.blocks=1", "architecture.width=8"] if sizes.smallest and name == "resnet" else []
            batch = f"trainer.batch_size={sizes.batch}"
            trainer = made(sizes, *sizes.images, f"architecture={name}", *small, batch, "trainer.cuda_graphs=false")
            trainer.stack.channels_last = last
            order = "channels last" if last else "channels first"
            line(f"{name}, {order}", step_time(trainer, max(5, sizes.steps // 8)), "us a step")


def resident(sizes: Sizes) -> None:
    """Data on the device, and gathered from the mapping."""
    if "resident" not in compose(*sizes.images)["data"]:
        print("  there is no option `data.resident`")
        return
    for value in ("true", "false"):
        overrides = [*sizes.images, "architecture=convnet", f"trainer.batch_size={sizes.batch}"]
        trainer = made(sizes, *overrides, f"data.resident={value}")
        line(f"data.resident={value}", step_time(trainer, max(5, sizes.steps // 8)), "us a step")


def experiment(sizes: Sizes) -> None:
    """One claim of the lecture, in the size of the paper."""
    from nnlab.cli import main as nnlab

    size = "quick" if sizes.smallest else "full"
    started = time.perf_counter()
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said):
        code = nnlab(["experiment", "xor", f"size={size}", f"out={folder}"])
    line(f"experiment xor size={size}, exit code {code}", time.perf_counter() - started, "s")
    print("  " + "\n  ".join(said.getvalue().strip().splitlines()[-6:-1]))


PARTS: dict[str, Callable[[Sizes], Any]] = {
    part.__name__: part for part in (tests, steps, population, mnist, precision, channels, resident, experiment)
}
LONGEST = {"tests": 150.0, "mnist": 120.0}  # seconds; any other part: a minute


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--smallest", action="store_true", help="the smallest sizes, to try the script")
    parser.add_argument("--minutes", type=float, default=8.0, help="all parts together")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device on this machine; `--device cpu --smallest` tries the script without")
    if options.part:
        try:
            PARTS[options.part](Sizes(options.device, options.smallest))
        except UserError as error:
            print(f"  {error}")
            return 1
        return 0
    names = options.only.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no part `{unknown[0]}`; parts: {', '.join(PARTS)}")
    where = torch.cuda.get_device_name() if options.device == "cuda" else "processor"
    print(f"torch {torch.__version__}, {where}", flush=True)
    deadline = time.monotonic() + 60 * options.minutes
    failed = [name for name in names if not _run(name, options, deadline)]
    return int(bool(failed))


def _run(name: str, options: argparse.Namespace, deadline: float) -> bool:
    """Run one part in a process of its own, within what is left of the time; whether it ended well."""
    started = time.monotonic()
    left = min(LONGEST.get(name, 60.0), deadline - started)
    if left < 5:
        print(f"{name}: left out, the time is over", flush=True)
        return True
    print(f"{name}:", flush=True)
    command = [sys.executable, __file__, "--device", options.device, "--part", name]
    command += ["--smallest"] if options.smallest else []
    try:
        code = subprocess.run(command, timeout=left).returncode
    except subprocess.TimeoutExpired:
        print(f"  ended after {left:.0f} s", flush=True)
        return False
    print(f"  {time.monotonic() - started:.1f} s{'' if code == 0 else f', exit code {code}'}", flush=True)
    return code == 0


if __name__ == "__main__":
    sys.exit(main())
