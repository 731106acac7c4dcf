"""The recipe itself, on a data set that is not among nnlab's."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from experiments.reporting import PALETTE, Evidence, panels, shown
from nnlab.cli import compose
from nnlab.config.build import load_dataset
from nnlab.recipe.run import recipe

QUICK: dict[str, Any] = {"seconds": 15, "final_seeds": 2, "steps": [1, 2, 3, 4], "seeds": 2}
DEFAULT: dict[str, Any] = {"seconds": 60, "final_seeds": 5, "steps": [1, 2, 3, 4, 5, 6, 7], "seeds": 3}
FULL: dict[str, Any] = {"seconds": 600, "final_seeds": 20, "steps": [1, 2, 3, 4, 5, 6, 7], "seeds": 5}


def wine(path: Path) -> None:
    """178 wines, 13 measurements, three cultivars, from scikit-learn, as a .csv."""
    from sklearn.datasets import load_wine

    found = load_wine()
    names = [name.replace("/", "_") for name in found.feature_names]
    rows = np.column_stack([found.data, found.target])
    formats = ["%.6g"] * len(names) + ["%d"]
    np.savetxt(path, rows, delimiter=",", header=",".join([*names, "cultivar"]), comments="", fmt=formats)


def logistic(overrides: list[str]) -> float:
    """Test accuracy of scikit-learn's logistic regression, its strength chosen on the validation split."""
    from sklearn.linear_model import LogisticRegression

    data = load_dataset(compose(*overrides))
    parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
    x, y = ({n: getattr(part, what).numpy() for n, part in parts.items()} for what in ("inputs", "targets"))
    models = [LogisticRegression(C=c, max_iter=5000).fit(x["train"], y["train"]) for c in (0.01, 0.1, 1, 10)]
    best = max(models, key=lambda model: model.score(x["validation"], y["validation"]))
    return float(best.score(x["test"], y["test"]))


def run(seconds: int, final_seeds: int, steps: list[int], seeds: int) -> Evidence:
    """Walk the recipe with no choice made by hand, and compare with logistic regression on the same splits."""
    with tempfile.TemporaryDirectory() as folder:
        wine(Path(folder) / "wine.csv")
        overrides = ["data=arrays", f"data.path={folder}/wine.csv"]
        settings = [f"recipe.time_limit={seconds}", f"recipe.final_seeds={final_seeds}", f"recipe.seeds={seeds}"]
        settings += [f"recipe.steps={steps}", f"output_dir={folder}/out", "trainer.device=cpu"]
        with contextlib.redirect_stdout(io.StringIO()):
            result = recipe(compose(*overrides, *settings, config_name="recipe"), [*overrides, *settings])
        finals = sorted(result.directory.glob("final/**/result.json"))
        accuracies = np.array([json.loads(file.read_text())["metrics"]["test"]["accuracy"] for file in finals])
        baseline = logistic(overrides)
    reports = {number: report for number, report in result.reports.items() if number in steps}
    claims = {
        f"all {len(steps)} steps pass on data that nothing was tuned for": all(r.passed for r in reports.values())
        and len(reports) == len(steps)
    }
    if 7 in steps:
        claims["the chosen configuration was trained and tested"] = len(accuracies) > 0
        gap = accuracies.mean() - baseline if len(accuracies) else -1.0
        claims["it is at most one test example of 36 worse than logistic regression, tuned likewise"] = gap > -1 / 36
    table = [["step", "passed", "seconds", "conclusion"]]
    for number, report in reports.items():
        title = f"{number} {report.title}"
        table.append([title, "yes" if report.passed else "no", f"{report.seconds:.1f}", report.conclusion])
    if len(accuracies):
        final = f"test accuracy {shown(accuracies, 1, percent=True)} % over {len(accuracies)} seeds"
        table.append(["the chosen configuration", "", "", final])
    table.append(["logistic regression", "", "", f"test accuracy {100 * baseline:.1f} %"])
    figure, axes = panels(2, width=6.0)
    axes[0].barh([f"{n} {r.title}" for n, r in reports.items()], [r.seconds for r in reports.values()])
    axes[0].invert_yaxis()
    axes[0].set(xlabel="seconds", title="The steps")
    axes[1].plot(100 * accuracies, "o", label="the recipe's networks")
    axes[1].axhline(100 * baseline, color=PALETTE[1], linestyle=":", label="logistic regression")
    axes[1].set(xlabel="seed", ylabel="test accuracy %", title="Wine, 36 test examples", ylim=(80, 101))
    axes[1].legend()
    conclusions = {n: {"passed": r.passed, "seconds": r.seconds, "found": r.conclusion} for n, r in reports.items()}
    results = {"steps": conclusions, "accuracy": accuracies.tolist(), "logistic_regression": baseline}
    return Evidence(results, claims, table, figure)
