"""The README's ten minutes of a newcomer: its commands, as they stand there, from a CSV to predictions."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.search(r"## Your own table\n.*?```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]


def penguins(count, seed):
    """Rows with gaps and a category; the species follows from the measurements."""
    rng = np.random.default_rng(seed)
    rows = []
    for kind in rng.integers(0, 3, count):
        length, mass = 38 + 5 * kind + 2 * rng.standard_normal(), 3500 + 700 * kind + 300 * rng.standard_normal()
        island = ("Torgersen", "Dream", "Biscoe")[int(rng.integers(0, 3))]
        sex = ("male", "female", "NA")[int(rng.integers(0, 3))]
        row = [island, f"{length:.1f}", f"{mass:.0f}", sex, "2007", ("Adelie", "Chinstrap", "Gentoo")[kind]]
        rows.append(",".join("" if rng.random() < 0.02 else cell for cell in row[:-1]) + "," + row[-1])
    return ["island,bill_length_mm,body_mass_g,sex,year,species", *rows]


@pytest.mark.slow
def test_the_newcomer_s_commands_work_as_they_stand(tmp_path):
    (tmp_path / "penguins.csv").write_text("\n".join(penguins(300, 0)) + "\n")
    new = [line.rpartition(",")[0] for line in penguins(20, 1)]
    (tmp_path / "new.csv").write_text("\n".join(new) + "\n")
    python = shlex.quote(sys.executable)
    script = f'set -e\nnnlab() {{ {python} -m nnlab "$@"; }}\n{BLOCK}'.replace("time_limit=60", "time_limit=6")
    script = script.replace("recipe.time_limit", "recipe.keep_going=true recipe.time_limit")
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "body_mass_g" in done.stdout
    assert "the loss is squared_error" in done.stdout
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert lines[0].startswith("prediction,probability Adelie")
    truth = [line.rpartition(",")[2] for line in penguins(20, 1)[1:]]
    right = sum(line.split(",")[0] == kind for line, kind in zip(lines[1:], truth, strict=True))
    assert right >= 16
