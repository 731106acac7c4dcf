"""The six notebooks run from top to bottom, and show tables, figures and bars inline."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
FIGURES = {"1_networks", "3_gradient_descent", "4_generalization", "5_practice"}
# What takes a reader seconds takes the tests less; what is left out has tests of its own.
SMALL = {
    "trainer.epochs=100": "trainer.epochs=20",
    "trainer.epochs=60": "trainer.epochs=10",
    "trainer.epochs=20": "trainer.epochs=5",
    "trainer.epochs=10": "trainer.epochs=4",
    "seed=range(8)": "seed=range(3)",
    "ensemble.members=8": "ensemble.members=3",
    "recipe.time_limit=10": "recipe.time_limit=3",
}
QUICK = """
import functools
from nnlab.report.recipe_drawing import Drawing
train = getattr(nnlab.train, "func", nnlab.train)  # the notebook before may have left this
nnlab.train = functools.partial(train, "callbacks.diagnosis.probe=false")
Drawing.start = lambda self: None  # a process for the figures of a recipe
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """A kernel of Jupyter for all notebooks, which takes seconds to import what they need."""
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("OMP_NUM_THREADS", "1")
        manager = AsyncKernelManager()
        manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        run_sync(manager.start_kernel)()
        yield manager
        run_sync(manager.shutdown_kernel)(now=True)


def executed(path: Path, folder: Path, kernel: Any) -> Any:
    """The notebook with the outputs of its cells, run in `folder` and, as in a new kernel, without earlier names."""
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.source = re.sub("|".join(map(re.escape, SMALL)), lambda found: SMALL[found[0]], cell.source)
    code[0].source = f"%reset -f\n%cd -q {folder}\n{code[0].source}\n{QUICK}"
    client = NotebookClient(notebook, timeout=1200, km=kernel)
    try:
        return client.execute()
    finally:
        client.kc.stop_channels()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_results(path: Path, tmp_path: Path, kernel: Any) -> None:
    outputs = [output for cell in executed(path, tmp_path, kernel).cells for output in cell.get("outputs", ())]
    shown = [data["text/html"] for output in outputs if (data := output.get("data", {})) and "text/html" in data]
    assert any("<table>" in each for each in shown)
    assert (path.stem in FIGURES) <= any(re.search("<img |<svg ", each) for each in shown)
    if path.stem not in ("2_backpropagation", "6_recipe"):
        bars = [match.groups() for each in shown for match in re.finditer('value="(\\d+)" max="(\\d+)"', each)]
        assert bars
        if path.stem != "5_practice":  # where a run diverges
            assert all(value == most for value, most in bars), "a bar was not drawn to its end"
    assert not any(output.get("name") == "stderr" and "Traceback" in output["text"] for output in outputs)


def test_there_is_a_notebook_for_each_part_of_the_lecture_and_its_first_cell_installs() -> None:
    assert len(NOTEBOOKS) == 6
    for path in NOTEBOOKS:
        first = re.split(r"^# %%$", path.read_text(), flags=re.M)[1]
        assert "pip" in first
        assert "import nnlab" in first
        assert f"notebooks/{path.name}" in (ROOT / "docs" / "notebooks.md").read_text()
