"""A study that compares optimizers at rates that nobody chose compares these rates: that is said, with the rates."""

from __future__ import annotations

from nnlab.config.dotted import get
from nnlab.errors import UserError
from nnlab.storage.folder import read_config
from nnlab.study.model import Study, StudyRun

OPTIMIZER = "optimizer"
RATES = ("optimizer.learning_rate", "optimizer.lr")


def default_rates(study: Study) -> list[str]:
    """A sentence where optimizers differ and no run sets a rate; none otherwise."""
    if OPTIMIZER not in study.axes or any(key.lstrip("+") in RATES for run in study.runs for key in run.overrides):
        return []
    found: dict[str, str] = {}
    for configuration in study.configurations:
        name = configuration.values[OPTIMIZER]
        if name not in found and configuration.runs:
            rate = _rate(study, configuration.runs[0])
            if rate is not None:
                found[name] = f"{name} {rate:g}"
    if not found:
        return []
    return [
        f"every optimizer ran at its default learning rate ({', '.join(found.values())}), so that this compares the "
        "defaults; give each a range of rates (`sweep.grids`) to compare the optimizers"
    ]


def _rate(study: Study, run: StudyRun) -> float | None:
    try:
        config = read_config(study.folder / run.name)
    except UserError:
        return None
    rates = [rate for key in RATES if isinstance(rate := get(config, key), int | float)]
    return float(rates[0]) if rates else None
