"""How long a user waits: for `nnlab --help`, for the first step of `nnlab train`, and for the whole default run.

    python benchmarks/start_up.py [--rounds 5]

Every contestant is a process of its own, started from the prompt; they take turns, and medians of the time on the clock
and of the processor time (user and system, which other programs hardly change) are printed. The first step is that of
the default run with its default callbacks; a callback of the benchmark's own ends the process there.
Claims: help under 0.6 s, first step and whole run under 1.25 times `python -c "import torch"`.

Measured on an AMD EPYC with 2 virtual cores, torch 2.14.1, one thread, 4 rounds, while a dozen other programs shared
the cores: of the processor time of `import torch` (2.0 s there), the whole run takes 1.02, and 0.94 without callbacks.
Before a process left taking torch apart to the system, it took 1.62.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODULE = """
import os

from nnlab.training import Callback


class EndAfterFirstStep(Callback):
    def step_end(self, trainer):
        os._exit(0)
"""
OPTION = """# @package callbacks.end
_target_: end_after_first_step.EndAfterFirstStep
"""
CALLBACKS = "[tensorboard,statistics,histograms,images,precision_recall,projector,progress,checkpoint,end]"


def seconds(command: list[str], modules: str) -> tuple[float, float]:
    """Time on the clock and processor time of one process in an empty folder, where no run waits to be continued."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([modules, os.environ.get("PYTHONPATH", "")])}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, spent


def contestants(folder: Path) -> dict[str, list[str]]:
    """What is timed; writes the callback into `folder`."""
    (folder / "configs" / "callbacks").mkdir(parents=True)
    (folder / "configs" / "callbacks" / "end.yaml").write_text(OPTION)
    (folder / "end_after_first_step.py").write_text(MODULE)
    nnlab = [str(Path(sys.executable).with_name("nnlab"))]
    return {
        "import torch": [sys.executable, "-c", "import torch"],
        "nnlab --help": [*nnlab, "--help"],
        "nnlab train, first step": [*nnlab, "train", "--config-dir", str(folder / "configs"), f"callbacks={CALLBACKS}"],
        "nnlab train, to the end": [*nnlab, "train"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = contestants(Path(folder))
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for round_ in range(options.rounds + 1):
            for name, command in commands.items():
                spent = seconds(command, folder)
                if round_:  # the first round fills the caches
                    times[name].append(spent)
    base = [statistics.median(column) for column in zip(*times["import torch"], strict=True)]
    print(f"{'':26}{'clock s':>9}{'ratio':>7}{'processor s':>13}{'ratio':>7}")
    for name, values in times.items():
        clock, spent = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{name:26}{clock:9.2f}{clock / base[0]:7.2f}{spent:13.2f}{spent / base[1]:7.2f}")


if __name__ == "__main__":
    main()
