"""`nnlab train FILE target=NAME`: the short form for data of one's own, and the loss that its target needs.

A first argument that is no override is a file or a folder of data. What is not said about the loss follows from the
target: numbers are a regression, for which `squared_error` is chosen, and said.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from typing import Any

from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnlab.cli.grammar import first_values, parsed, quoted, values_of
from nnlab.cli.table_defaults import table_defaults
from nnlab.config.build import data_root
from nnlab.config.construct import construct
from nnlab.config.overrides import assigned
from nnlab.errors import UserError
from nnlab.storage.files import at
from nnlab.types import Task

log = logging.getLogger(__name__)

DEFAULT_LOSS = "nnlab.loss.SoftmaxCrossEntropy"
OWN = ("nnlab.data.Table", "nnlab.data.Arrays")  # data sets whose task follows the loss
REGRESSION_LOSS = "squared_error"


def expanded(words: Sequence[str], grid: bool = False) -> list[str]:
    """Arguments as overrides: a file in front is one of data, and text that needs quotes has them.

    Args:
        words: what was typed.
        grid: whether that describes several runs, so that commas stand between targets.

    >>> expanded(["sales.csv", "target=price", "seed=1"])
    ['data=table', 'data.path=sales.csv', 'data.target=price', 'seed=1']
    """
    places = [position for position, word in enumerate(words) if _is_file(word)]
    if not places:
        own = any(word.startswith("data=") for word in words)
        return [quoted(_target(word, grid) if own else word) for word in words]
    if len(places) > 1:
        raise UserError(
            f"`{words[places[0]]}` and `{words[places[1]]}` are two files of data; name one "
            "(`data.test=FILE` is another for testing)"
        )
    file = words[places[0]]
    rest = [quoted(_target(word, grid)) for position, word in enumerate(words) if position != places[0]]
    option = "image_folder" if at(file).is_dir() else _option(file)
    given = any(word.startswith("data=") for word in rest)
    if option == "image_folder" and not given:
        _check_folder(file, words)
    return [*([] if given else [f"data={option}"]), assigned("data.path", file), *rest]


def _is_file(word: str) -> bool:
    """Whether an argument names data: there is such a file or folder, or it looks like one and is no override."""
    if word.startswith(("-", "~", "+")):
        return False
    path = at(word)
    return ("=" not in word and bool(path.suffix or "/" in word)) or os.path.exists(path)


def _check_folder(file: str, words: Sequence[str]) -> None:
    """Refuse a target of a folder: the classes of images are the names of their folders.

    Raises:
        UserError: says what the folder lacks, or what to leave out.
    """
    if not any(word.startswith(("target=", "data.target=")) for word in words):
        return
    folders = [each.name for each in at(file).iterdir() if each.is_dir()]
    if not folders:
        raise UserError(f"{file} is a folder, and has no class folders with images; a table with a target is a file")
    raise UserError(f"{file} is a folder, whose images have the names of their folders as classes; leave out `target`")


def _option(file: str) -> str:
    """The option of the group `data` that reads a file."""
    return "arrays" if file.lower().endswith((".npz", ".npy")) else "table"


def _target(word: str, grid: bool) -> str:
    """`target=` as the key that it stands for; a name that Hydra's grammar would not take gets quotes."""
    key, _, value = word.partition("=")
    if key != "target":
        return word
    as_written = re.fullmatch(r"-?\d+|['\"\[].*", value)  # a position, in quotes, several
    if as_written:
        return f"data.target={value}"
    names = value.split(",") if grid else [value]
    return "data.target=" + ",".join(assigned("", name.strip()).removeprefix("=") for name in names)


def completed(hydra: Any, name: str, overrides: Sequence[str], grid: bool = False) -> list[str]:
    """The overrides, with the loss that one's own data need and what a table gets besides; what is typed stays.

    Args:
        hydra: what composes.
        name: the primary config.
        overrides: what was typed, without the short form.
        grid: whether that describes several runs.
    """
    return table_defaults(name, with_loss(hydra, name, overrides), grid)


def with_loss(hydra: Any, name: str, overrides: Sequence[str]) -> list[str]:
    """The overrides, and the loss that the target of one's own data needs where none was chosen.

    Args:
        hydra: what composes.
        name: the primary config.
        overrides: what was typed, without the short form.

    Raises:
        UserError: it is a sweep over targets of which some are classes and some numbers.
    """
    typed = [word.lstrip("+~").partition("=")[0] for word in overrides]
    own = any(word in ("data=table", "data=arrays") for word in overrides)
    if not own or any(key == "experiment" or key.split(".")[0].split("@")[0] == "loss" for key in typed):
        return list(overrides)
    try:
        about_data = [word for word, key in zip(overrides, typed, strict=True) if key.startswith("data")]
        composed = hydra.compose_config(name, first_values(about_data), RunMode.RUN)
        kept = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
        config = OmegaConf.to_container(kept, resolve=True, throw_on_missing=True)
        section = {key: value for key, value in config["data"].items() if key not in ("augmentation", "preprocessing")}
        if config["loss"]["_target_"] != DEFAULT_LOSS or section["_target_"] not in OWN:
            return list(overrides)
        root = data_root(config)
        targets = _targets(about_data) or [section["target"]]
        tasks = [construct({**section, "target": target}, "data").guess(root) for target in targets]
    except (UserError, OmegaConfBaseException):
        return list(overrides)  # whoever reads the data says what is wrong
    numbers, classes = (
        [target for target, task in zip(targets, tasks, strict=True) if (task is Task.REGRESSION) == wanted]
        for wanted in (True, False)
    )
    if not numbers:
        return list(overrides)
    if classes:
        raise UserError(
            f"of the targets, `{numbers[0]}` has numbers and `{classes[0]}` classes, which need different losses: give "
            "each kind a sweep of its own"
        )
    log.info("the target is a regression: the loss is %s (loss=...)", REGRESSION_LOSS)
    return [*overrides, f"loss={REGRESSION_LOSS}"]


def _targets(overrides: Sequence[str]) -> list[Any]:
    """The targets that a sweep goes through, each as `data.target` takes it; empty where it has one for all runs."""
    swept = [entry for entry in parsed(overrides) if entry.key_or_group == "data.target" and entry.is_discrete_sweep()]
    lines = [f"data.target={value}" for entry in swept for value in values_of(entry)]
    return [entry.value() for entry in parsed(lines)]
