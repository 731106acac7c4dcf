"""The script that asks whether a recipe that is worse than a reference said so, on results with known answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import tabular_verdicts

ROWS = 200
COMPARED = "compared with it on these test examples: boosted trees (0.1) "
AS_GOOD = f"{COMPARED}as good, within a standard error; the constant (0.5) worse"
TREES_BETTER = f"{COMPARED}better; the constant (0.5) worse"


def line(method: str, wrong: range, said: str = "", **more: Any) -> dict[str, Any]:
    """A result whose misclassified rows are known."""
    losses = [int(row in wrong) for row in range(ROWS)]
    error = sum(losses) / ROWS
    return {
        "method": method,
        "table": "t",
        "seed": 0,
        "rows": 1000,
        "error": error,
        "nll": 0.1,
        "losses": losses,
        "said": said,
    } | more


def kinds(*lines: dict[str, Any]) -> dict[str, str]:
    """Of each method that the recipe was judged against: fine, said or unsaid."""
    found = tabular_verdicts.verdicts(lines)
    return {each.other: "unsaid" if each.unsaid else "said" if each.worse else "fine" for each in found}


def test_rows_that_both_miss_do_not_blur_the_difference() -> None:
    """Ten rows more are 2.2 standard errors of 30 and 20 that include each other, but not of those that are apart."""
    within, apart = range(20), range(100, 120)
    assert kinds(line("recipe", range(30), AS_GOOD), line("trees", within)) == {"trees": "unsaid"}
    assert kinds(line("recipe", range(30), AS_GOOD), line("trees", apart)) == {"trees": "fine"}


def test_worse_is_fine_only_where_the_sentence_calls_something_better() -> None:
    trees, constant = line("boosted trees", range(10)), line("constant", range(100))
    assert kinds(line("recipe", range(30), AS_GOOD), trees, constant) == {"constant": "fine", "boosted trees": "unsaid"}
    assert kinds(line("recipe", range(30), TREES_BETTER), trees, constant)["boosted trees"] == "said"
    assert kinds(line("recipe", range(120), AS_GOOD), constant) == {"constant": "unsaid"}


def test_only_the_best_reference_of_the_same_run_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    own, best, other = line("recipe", range(10)), line("a", range(9)), line("b", range(40))
    elsewhere = [line("c", range(0), seed=1), line("d", range(0), rows=50), line("e", range(0), table="u")]
    assert kinds(own, other, best, *elsewhere) == {"a": "fine"}
    del own["losses"]
    assert tabular_verdicts.show([own, best]) == []
    assert "1 of 1 runs cannot be judged" in capsys.readouterr().out


def test_the_error_of_numbers_is_the_root_of_the_mean_of_their_squares() -> None:
    first, second = np.random.default_rng(0).gamma(2.0, size=(2, ROWS))
    gap, error = tabular_verdicts.behind(first, second, mean_error=False)
    assert gap == pytest.approx(first.mean() ** 0.5 - second.mean() ** 0.5)
    rows = np.random.default_rng(1).integers(ROWS, size=(2000, ROWS))
    drawn = first[rows].mean(1) ** 0.5 - second[rows].mean(1) ** 0.5
    assert error == pytest.approx(drawn.std(), rel=0.1)


def test_all_that_a_sentence_of_the_recipe_calls_better_is_read() -> None:
    said = (
        "test rmse 60; the best network is the configuration as given (better by 2.1 ± 1); compared with it on these "
        "test examples: the constant (3) better; a linear model (57.9), the configuration found (58.8) perhaps better; "
        "boosted trees (60.4) as good, within a standard error; the configuration as given (7) worse; what is perhaps "
        "so differs by less than 2 standard errors"
    )
    assert tabular_verdicts.called_better(said) == ["the constant", "a linear model", "the configuration found"]
    assert tabular_verdicts.called_better(AS_GOOD) == []
