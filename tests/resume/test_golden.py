"""The losses of 50 steps of every optimizer are those that were committed.

Exactly the same bits on the processor and torch with which they were written, and within a tolerance elsewhere.
`python tests/resume/test_golden.py` writes them anew.
"""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path

import pytest
import torch

from nnlab.cli import compose
from nnlab.config.build import build_trainer

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
OPTIMIZERS = sorted(path.stem for path in (ROOT / "configs" / "optimizer").glob("*.yaml"))
FULL_BATCH = ("lbfgs", "bfgs", "newton")


def losses(optimizer: str) -> list[float]:
    """Training losses of 50 steps on the digits, on one thread."""
    torch.set_num_threads(1)
    size = ["trainer.batch_size=full", "architecture.widths=[2]", "data.limit=100"] if optimizer in FULL_BATCH else []
    length = ["trainer.epochs=null", "trainer.steps=50", "trainer.device=cpu", "callbacks=[]"]
    config = compose(f"optimizer={optimizer}", "data.limit=300", "architecture.widths=[16]", *size, *length)
    found: list[float] = build_trainer([config]).fit().history.losses[:, 0].tolist()
    return found


def here() -> dict[str, str]:
    """What bits depend on: torch and the instructions of the processor."""
    names = ("model name", "cpu family", "model")  # virtual machines give one name to several generations
    known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in _processors())}
    return {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": " ".join(known[name] for name in names if name in known) or "unknown",
    }


def _processors() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def test_the_golden_losses_are_those_of_the_pinned_torch() -> None:
    pinned = re.search(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    written = {json.loads((GOLDEN / f"{name}.json").read_text())["here"]["torch"] for name in OPTIMIZERS}
    assert {version.partition("+")[0] for version in written} == {pinned[1]}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_losses_of_fifty_steps_are_the_golden_ones(optimizer: str) -> None:
    golden = json.loads((GOLDEN / f"{optimizer}.json").read_text())
    found = losses(optimizer)
    assert len(found) == 50
    if golden["here"] == here():
        assert found == golden["losses"]
    # Rounding grows from step to step; second-order rules multiply it most, and Muon computes in bfloat16.
    tolerance = 0.05 if optimizer in (*FULL_BATCH, "muon") else 1e-3
    assert found == pytest.approx(golden["losses"], rel=tolerance, abs=tolerance / 10)


if __name__ == "__main__":
    for name in OPTIMIZERS:
        content = {"here": here(), "losses": losses(name)}
        (GOLDEN / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
