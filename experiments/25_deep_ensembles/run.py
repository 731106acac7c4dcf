"""Deep ensembles: error, likelihood and Brier score of the average of one to five networks on MNIST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.published import Evidence, Row, at_full_size, evidence, measure

NET = ["architecture.batch_norm=true", "optimizer=adam", "optimizer.learning_rate=0.001", "trainer.batch_size=100"]
MNIST = ["data=mnist", "data/preprocessing=none", "architecture.widths=[200,200,200]", *NET]
QUICK: dict[str, Any] = {"setting": ["data=digits", "architecture.widths=[32,32]", *NET], "epochs": 30,
                         "groups": 4, "members": 3}  # fmt: skip
DEFAULT: dict[str, Any] = {"setting": [*MNIST, "data.limit=10000"], "epochs": 20, "groups": 3, "members": 5}
FULL: dict[str, Any] = {"setting": MNIST, "epochs": 20, "groups": 3, "members": 5}
SCORES = {"error": "error", "nll": "negative log-likelihood", "brier": "Brier score"}


def run(setting: Sequence[str], epochs: int, groups: int, members: int) -> Evidence:
    """`groups` ensembles of `members` networks each, and their mean score by size."""
    shared, row, found = [*setting, f"trainer.epochs={epochs}"], Row("3 x 200, batch norm", None), {}
    rows = [Row(f"{row.name}, ensemble {group + 1}", None) for group in range(groups)]
    for group, each in enumerate(rows):
        seeds = range(group * members, (group + 1) * members)
        found |= measure("deep_ensembles", [each], shared, seeds)
    score = {name: np.mean([each.by_size[name] for each in found.values()], axis=0) for name in SCORES}
    claims = {f"{SCORES[name]}: {members} networks are better than one": values[-1] < values[0]
              for name, values in score.items() if name != "error" or "data=mnist" in setting}  # fmt: skip
    if "data=mnist" in setting:
        for name, values in score.items():
            claims[f"{SCORES[name]} falls with every network, from 1 to {members}"] = bool((np.diff(values) < 0).all())
    result = evidence(rows, found, claims, f"Members of {groups} ensembles", at_full_size(setting))
    result.table = [["networks averaged", "test error %", "negative log-likelihood", "Brier score"]]
    for size in range(members):
        result.table.append([str(size + 1), *(f"{score[name][size]:.{digits}f}" for name, digits in
                                              (("error", 2), ("nll", 4), ("brier", 4)))])  # fmt: skip
    result.results["by_size"] = {name: values.tolist() for name, values in score.items()}
    return result
