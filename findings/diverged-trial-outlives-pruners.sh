#!/usr/bin/env bash
# A trial whose loss has become NaN: one search stops it at once, another trains it to the last step and stops the sound ones.
#
# Happens: Ray Tune's ASHAScheduler lets a trial with loss NaN pass every rung and train to max_t, where a finite loss
# that is merely poor, or an infinite one, is stopped at the first rung. Optuna's PatientPruner waits for ever: NaN in
# every epoch after the first never uses its patience up, while a loss that rises, or is infinite, does. Optuna's
# SuccessiveHalvingPruner and Syne Tune's asynchronous successive halving stop the same trial at its first rung.
# Guessed: whatever does not improve is stopped, NaN before all else; two libraries' ASHA agree on it.
# Matters: rates that are too high are a fixed part of every search over rates. Each diverged trial then has the full
# budget, which is what successive halving exists to avoid: with max_t = 16 and a first rung at 2, eight times its share.
# Whoever uses these has to end a trial at its first NaN.
# Version: ray 2.60.0, optuna 5.0.0, syne-tune 0.16.0. Source: each library's scheduler or pruner, asked after every
# epoch as its own loop asks it. Ray keeps a trial unless its score is below the rung's cutoff, and NaN is not below
# anything; Optuna's PatientPruner compares minima that leave NaN out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "ray[tune]==2.60.0" "optuna==5.0.0" "syne-tune==0.16.0" "numpy==2.4.6" "pandas==3.1.1"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import math
from datetime import datetime
from importlib.metadata import version
from types import SimpleNamespace

import optuna
from ray.tune.schedulers import ASHAScheduler
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import uniform
from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving

LAST, FIRST_RUNG = 16, 2
LOSS = {  # by epoch
    "good": lambda epoch: 1 / epoch,
    "fair": lambda epoch: 2 / epoch,
    "diverged": lambda epoch: 1.5 if epoch == 1 else math.nan,
    "infinite": lambda epoch: 1.5 if epoch == 1 else math.inf,
    "poor": lambda epoch: 5 / epoch,
    "rising": lambda epoch: 1 + epoch / 10,
}
print(*(f"{package} {version(package)}" for package in ("ray", "optuna", "syne-tune")))
print(f"epochs that each trial has trained when it is stopped, of {LAST}")


def ray():
    scheduler = ASHAScheduler(metric="loss", mode="min", max_t=LAST, grace_period=FIRST_RUNG, reduction_factor=2)

    def trained(name, loss):
        trial = SimpleNamespace(trial_id=name)
        scheduler.on_trial_add(None, trial)
        for epoch in range(1, LAST + 1):
            result = {"training_iteration": epoch, "loss": loss(epoch)}
            if scheduler.on_trial_result(None, trial, result) == "STOP":
                break
        return epoch

    return {name: trained(name, loss) for name, loss in LOSS.items()}


def syne_tune():
    limits = {"max_t": LAST, "grace_period": FIRST_RUNG, "reduction_factor": 2}
    scheduler = AsynchronousSuccessiveHalving({"x": uniform(0, 1)}, metric="loss", random_seed=0, **limits)

    def trained(number, loss):
        trial = Trial(number, scheduler.suggest().config, datetime.now())
        scheduler.on_trial_add(trial)
        for epoch in range(1, LAST + 1):
            result = {"training_iteration": epoch, "loss": loss(epoch)}
            if scheduler.on_trial_result(trial, result) == "STOP":
                break
        return epoch

    return {name: trained(number, loss) for number, (name, loss) in enumerate(LOSS.items())}


def in_optuna(pruner):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(pruner=pruner)

    def trained(loss):
        trial = study.ask()
        for epoch in range(1, LAST + 1):
            trial.report(loss(epoch), epoch)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return epoch
        study.tell(trial, loss(LAST), skip_if_finished=True)
        return LAST

    return {name: trained(loss) for name, loss in LOSS.items()}


halving = optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST_RUNG, reduction_factor=2)
found = {
    "ray ASHAScheduler": ray(),
    "optuna PatientPruner(patience=2)": in_optuna(optuna.pruners.PatientPruner(None, patience=2)),
    "optuna SuccessiveHalvingPruner": in_optuna(halving),
    "syne-tune asynchronous halving": syne_tune(),
}
for name, epochs in found.items():
    print(f"{name:34}", "  ".join(f"{trial} {trained:2}" for trial, trained in epochs.items()))

assert found["ray ASHAScheduler"]["diverged"] == LAST
assert found["ray ASHAScheduler"]["infinite"] == found["ray ASHAScheduler"]["poor"] == FIRST_RUNG
patient = found["optuna PatientPruner(patience=2)"]
assert patient["diverged"] == LAST and max(patient["infinite"], patient["rising"]) < LAST
assert found["optuna SuccessiveHalvingPruner"]["diverged"] == found["syne-tune asynchronous halving"]["diverged"] == FIRST_RUNG
PYTHON
