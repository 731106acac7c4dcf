"""What can be turned on the page: for each knob its value now, and what it changes."""

from __future__ import annotations

from typing import Any

from nnlab.config import config_folder
from nnlab.config.folder import options
from nnlab.loss.base import concrete_losses
from nnlab.play.playground import Playground

DATA = ("moons", "spirals", "blobs", "xor", "heteroscedastic", "digits", "breast_cancer", "diabetes")
INITIALIZATIONS = {
    "constant": {"initialization": "constant"},
    "std 0.01": {"initialization": "gaussian", "initialization.std": "0.01"},
    "std 0.05": {"initialization": "gaussian", "initialization.std": "0.05"},
    "Xavier": {"initialization": "xavier"},
    "He": {"initialization": "he"},
    "orthogonal": {"initialization": "orthogonal"},
}
SECOND_ORDER = ("lbfgs", "bfgs", "newton")
SCHEDULES = ("constant", "step", "cosine", "linear", "one_cycle", "cyclic")
BATCHES = ("1", "8", "32", "128", "full")


def knobs(playground: Playground) -> list[dict[str, Any]]:
    """All knobs in the order in which the page shows them.

    Each has `label`, `group`, `key` (what a number or text sets), `value`, and for a choice `options`: a label and
    the `changes` that it makes.
    """
    now, config = playground.overrides, playground.config
    data = [*DATA, *([now["data"]] if now["data"] not in DATA else [])]
    found = [_choice("data", "data set", "data", data, now["data"])]
    found += [
        _number("data", label, key, config["data"][key.partition(".")[2]])
        for label, key in (("noise", "data.noise"), ("examples", "data.examples"))
        if key.partition(".")[2] in config["data"]
    ]
    found.append(_number("data", "seed", "seed", config["seed"]))
    found += [
        {"group": "network", "label": "widths", "key": "architecture.widths", "kind": "text", "value": _text(config)},
        _choice("network", "activation", "activation", _names("activation"), now.get("activation")),
        _initialization(playground),
        _choice("network", "loss", "loss", _losses(playground), now.get("loss")),
    ]
    rules = [name for name in _names("optimizer") if name not in SECOND_ORDER]
    found += [
        _choice("training", "optimizer", "optimizer", rules, now.get("optimizer")),
        _number("training", "learning rate", "optimizer.learning_rate", config["optimizer"].get("learning_rate")),
        _choice("training", "schedule", "scheduler", SCHEDULES, now.get("scheduler")),
        _choice("training", "batch size", "trainer.batch_size", BATCHES, str(config["trainer"]["batch_size"])),
        _number("training", "epochs", "trainer.epochs", config["trainer"]["epochs"]),
    ]
    for label, key in (
        ("dropout", "regularizer.dropout.p"),
        ("DropConnect", "regularizer.dropconnect.p"),
        ("weight decay", "regularizer.weight_decay.strength"),
    ):
        found.append({**_number("regularization", label, key, now.get(key, "0")), "off": "0"})
    return found


def _choice(group: str, label: str, key: str, names: Any, value: str | None) -> dict[str, Any]:
    shown = list(dict.fromkeys([*names, *([value] if value else [])]))
    offered = [{"label": name, "changes": {key: name}} for name in shown]
    return {"group": group, "label": label, "key": key, "kind": "choice", "value": value, "options": offered}


def _number(group: str, label: str, key: str, value: Any) -> dict[str, Any]:
    text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return {"group": group, "label": label, "key": key, "kind": "number", "value": text}


def _initialization(playground: Playground) -> dict[str, Any]:
    now = {key: value for key, value in playground.overrides.items() if key.startswith("initialization")}
    label = next((name for name, changes in INITIALIZATIONS.items() if changes == now), now.get("initialization"))
    offered = [{"label": name, "changes": changes} for name, changes in INITIALIZATIONS.items()]
    return {
        "group": "network",
        "label": "initialization",
        "key": "initialization",
        "kind": "choice",
        "value": label,
        "options": offered,
    }


def _names(group: str) -> list[str]:
    return [path.stem for path in options(config_folder(), group)]


def _losses(playground: Playground) -> list[str]:
    """Losses that fit the task."""
    return sorted(loss.option() for loss in concrete_losses() if playground.dataset.task in loss.tasks)


def _text(config: dict[str, Any]) -> str:
    return ",".join(map(str, config["architecture"].get("widths") or []))
