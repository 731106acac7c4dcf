"""The six notebooks run from top to bottom, and show tables, figures and bars inline."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
FIGURES = {"1_networks", "3_gradient_descent", "4_generalization", "5_practice"}
# What takes a reader seconds takes the tests less; experiments after a bad run have tests of their own.
SMALL = {
    "trainer.epochs=100": "trainer.epochs=20",
    "trainer.epochs=60": "trainer.epochs=10",
    "trainer.epochs=20": "trainer.epochs=5",
    "trainer.epochs=10": "trainer.epochs=4",
    "seed=range(8)": "seed=range(3)",
    "ensemble.members=8": "ensemble.members=3",
    "recipe.time_limit=10": "recipe.time_limit=3",
}
UNPROBED = "import functools; nnlab.train = functools.partial(nnlab.train, 'callbacks.diagnosis.probe=false')"


def executed(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of its cells, run in `folder`."""
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.source = re.sub("|".join(map(re.escape, SMALL)), lambda found: SMALL[found[0]], cell.source)
    code[0].source += f"\n{UNPROBED}"
    kernel = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.km = client.create_kernel_manager()
    client.km.kernel_spec.argv = kernel["argv"]
    return client.execute()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_results(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    outputs = [output for cell in executed(path, tmp_path).cells for output in cell.get("outputs", ())]
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
