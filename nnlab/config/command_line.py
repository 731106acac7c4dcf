"""Commands that nnlab prints to paste: with the quotes, the folder of options and the trust that they need."""

from __future__ import annotations

import contextlib
import inspect
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnlab.config import trust
from nnlab.config.kinds import returned
from nnlab.config.lookup import locate
from nnlab.errors import UserError
from nnlab.storage.folder import read_config, read_environment

CONFIG_DIR = "config_dir"  # in a run's environment.json: the folder that `--config-dir` named


def command_line(
    command: str, words: Sequence[str], *, config: Mapping[str, Any] | None = None, config_dir: str | None = None
) -> str:
    """A command as it is typed.

    Args:
        command: such as `train`.
        words: its arguments.
        config: what it runs, which may need `trust=`.
        config_dir: the folder with options of the user's own.

    >>> command_line("train", ["name=a b"], config={"loss": {"_target_": "mine.Loss"}})
    "nnlab train 'name=a b' 'trust=[mine]'"
    """
    options = ["--config-dir", config_dir] if config_dir else []
    trusted = sorted(_foreign(config or {}, words))
    words = [*options, *words, *([f"trust=[{','.join(trusted)}]"] if trusted else [])]
    return " ".join(["nnlab", command, *map(for_shell, words)])


def for_shell(word: str) -> str:
    """A word as a shell takes it; one that has quotes itself gets those of the other kind.

    >>> print(for_shell("seed=1"), for_shell("name=a b"), for_shell("data.path='a b.csv'"))
    seed=1 'name=a b' "data.path='a b.csv'"
    """
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)


def of_run(command: str, words: Sequence[str], directory: Path, *, composes: bool = False) -> str:
    """A command about a run, which may need to trust what the run names.

    Args:
        command: such as `board`.
        words: its arguments.
        directory: the run.
        composes: whether it composes the run's config anew, from options and these words.
    """
    config: Mapping[str, Any] = {}
    with contextlib.suppress(UserError):
        config = read_config(directory)
    folder = read_environment(directory).get(CONFIG_DIR) if composes else None
    return command_line(command, words, config=config, config_dir=folder if isinstance(folder, str) else None)


def _foreign(config: Any, words: Sequence[str]) -> set[str]:
    """The packages of what a config names outside of the boundary of trust, without what stands in the words."""
    typed = trust.typed(words)
    named = {name for name in _targets(config) if name not in typed and not trust.is_own(name)}
    return {trust.package_of(name) for name in named if not trust.in_project(name) or _is_unsaid(name)}


def _is_unsaid(name: str) -> bool:
    """Whether something of the user's project is a function that does not say what it makes, which a name asked for."""
    if not trust.is_asked_for(name):
        return False
    found = locate(name)
    return inspect.isfunction(found) and returned(found) is None


def _targets(node: Any) -> Iterator[str]:
    """Everything that a config names by `_target_`."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)
