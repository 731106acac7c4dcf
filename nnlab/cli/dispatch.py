"""The command line: `nnlab COMMAND ...`; every command is imported when it is used."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nnlab import __version__, console, process
from nnlab.cli.arguments import HELP, JSON
from nnlab.cli.failures import caution_addresses, check_working_directory, drop_output, failure
from nnlab.errors import UserError, did_you_mean
from nnlab.interruption import leaving_at_once

if TYPE_CHECKING:
    from nnlab.runs.meeting import Place


class Command(NamedTuple):
    """A command of one line of help; the function `main` of the module `nnlab.commands.<command>` is behind it.

    That takes the arguments (a list of text) and returns an exit code or nothing. For a Hydra application it is a task
    instead: it takes a plain config and the overrides, and returns a result.

    Attributes:
        help: what it does.
        hydra: whether it is a Hydra application, with the primary config `configs/<command>.yaml`.
        job: the task of one job of a sweep, `module:function`, where that is another one.
        quiet: the task that prints no summary, `module:function`, for `--json`.
    """

    help: str
    hydra: bool = False
    job: str | None = None
    quiet: str | None = None


COMMANDS = {
    "train": Command(
        "train one network, an ensemble, or with -m a grid of them",
        hydra=True,
        job="nnlab.sweep.jobs:run_job",
        quiet="nnlab.probe.after_training:train",
    ),
    "data": Command("show what a table holds and what is done with it: nnlab data FILE target=NAME"),
    "recipe": Command("walk the seven steps to a tuned network", hydra=True, quiet="nnlab.recipe.run:recipe"),
    "board": Command("open TensorBoard on the right page: nnlab board [RUN or STUDY]"),
    "plot": Command("draw the figures of runs as PNG and SVG: nnlab plot RUN..."),
    "evaluate": Command("measure a finished run again: nnlab evaluate RUN"),
    "predict": Command("predict the rows of a file with a finished run: nnlab predict RUN FILE"),
    "export": Command("write a run for other programs: nnlab export RUN format=onnx"),
    "diagnose": Command("say in words what is wrong with a run: nnlab diagnose RUN"),
    "study": Command("compare the runs of a study: nnlab study FOLDER"),
    "reproduce": Command("train a run again and compare every number: nnlab reproduce RUN"),
    "schema": Command("print a JSON schema of the configs, for editors: nnlab schema [GROUP]"),
    "list": Command("show the config groups and their options: nnlab list [GROUP]"),
    "play": Command("train a network on a page while its settings are turned: nnlab play [RUN or KEY=VALUE ...]"),
    "graph": Command("draw a computation graph with values and error signals"),
    "experiment": Command("run a claim of the lecture: nnlab experiment list | CLAIM"),
}

USAGE = """\
Train neural networks the way a good lecture teaches it.

Usage: nnlab COMMAND [FILE or RUN ...] [KEY=VALUE ...]

{commands}

Every command explains itself with --help; those that report something answer programs with --json.

Examples:
  nnlab train                                       the default: an MLP on the digits
  nnlab train optimizer=momentum trainer.epochs=5   other options and values
  nnlab train -m optimizer=adam,sgd seed=0,1,2      a grid of six networks
  nnlab train --help                                every group, option and value
  nnlab train --cfg job                             the config, without running it
  nnlab train --config-dir DIR                      with options of your own

Tab completion of commands, groups, options and keys, for this shell and, in its start-up file, for all:
  bash, zsh:  eval "$(nnlab -sc install=bash)"
  fish:       nnlab -sc install=fish | source
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit code: 2 for the user's mistake, else what the command says.

    Without arguments this is the process `nnlab`, which has nothing else to do and ends with the code.
    """
    if arguments is not None:
        return _explained(list(arguments))
    return process.run(lambda: _explained(sys.argv[1:]))


def _explained(words: list[str]) -> int:
    """Run the command that the words name, and say in a sentence what was wrong."""
    console.show(always=True)
    try:
        with leaving_at_once():
            return _dispatch(words)
    except UserError as error:
        return _failed(words, str(error), int(getattr(error, "exit_code", 2)))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        drop_output()
        return 141
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        found = failure(error)
        if found is None:
            raise
        return _failed(words, *found)


def _failed(words: Sequence[str], sentences: str, code: int) -> int:
    """Say what is wrong, a line for each sentence; returns the exit code."""
    name = words[0] if words and words[0] in COMMANDS else ""
    with contextlib.suppress(OSError):  # there may be nowhere to say it
        print("\n".join(f"nnlab {name}".rstrip() + f": {line}" for line in sentences.splitlines()), file=sys.stderr)
    return code


def _dispatch(words: list[str]) -> int:
    """Find the command, or answer what needs none."""
    if not words or words[0] in (*HELP, "help"):
        width = max(map(len, COMMANDS))
        lines = (f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items())
        print(USAGE.format(commands="\n".join(lines)), end="")
        return 0
    if words[0] == "--version":
        print(f"nnlab {__version__}")
        return 0
    if {"-sc", "--shell-completion"}.intersection(words[:2]):
        return _complete(words[-1])
    if words[0] not in COMMANDS:
        raise UserError(f"there is no command `{words[0]}`; {did_you_mean(words[0], COMMANDS)}")
    check_working_directory()
    if os.environ.get("WORLD_SIZE", "1") != "1":
        from nnlab.runs.meeting import launched

        place = launched()
        if place is not None:
            return _run_in_group(words, place)
    return _run(words)


def _run_in_group(words: list[str], place: Place) -> int:
    """Run a command in one of several processes: the first runs it, the others follow."""
    from nnlab.runs.following import follow
    from nnlab.runs.joining import member_of

    if words[0] != "train":
        raise UserError(f"{place.size} processes were started, but only `nnlab train` takes more than one")
    if place.rank > 0:
        _trusting(words[1:])
        return follow(place)
    with member_of(place):
        return _run(words)


def _run(words: list[str]) -> int:
    """Run a command."""
    arguments = _trusting(words[1:])
    answers = JSON in arguments and not any(each in HELP for each in arguments)
    with console.kept_output() if answers else contextlib.nullcontext():
        if COMMANDS[words[0]].hydra:
            from nnlab.cli.application import run

            caution_addresses()
            return run(words[0], application(words[0]), arguments)
        return int(_function(_target(words[0]))(arguments) or 0)


def _trusting(arguments: Sequence[str]) -> list[str]:
    """The arguments without `trust=...`, after trusting that and what is typed; folders among them may be anybody's."""
    from nnlab.config import trust

    rest, names = trust.taken(arguments)
    trust.grant(names)
    trust.grant_typed(rest)
    for word in rest:
        path = word.partition("=")[2] or word
        if os.path.isdir(path):  # pathlib raises for names that no system takes
            trust.reading(path)
    return rest


def application(name: str) -> Application:
    """The task of a command that is a Hydra application."""
    return Application(_target(name), COMMANDS[name].job, COMMANDS[name].quiet)


def _target(name: str) -> str:
    return f"nnlab.commands.{name}:main"


def _function(target: str) -> Any:
    """The function at `module:function`."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


class Application:
    """The task of a Hydra application, imported when its first job starts; picklable, for jobs in other processes."""

    def __init__(self, target: str, job_target: str | None = None, quiet_target: str | None = None) -> None:
        self.target, self.job_target, self.quiet_target = target, job_target, quiet_target

    def __call__(self, config: dict[str, Any], overrides: list[str]) -> Any:
        """Run once, print a summary, and return the result."""
        return _function(self.target)(config, overrides)

    def quiet(self, config: dict[str, Any], overrides: list[str]) -> Any:
        """Run once and return the result."""
        return _function(self.quiet_target or self.target)(config, overrides)

    def job(self, config: dict[str, Any], overrides: list[str]) -> Any:
        """Run one job of a sweep and return its result."""
        return _function(self.job_target or self.target)(config, overrides)


def _complete(shell_request: str) -> int:
    """Answer a shell's completion script."""
    from nnlab.cli.application import complete
    from nnlab.config.folder import config_folder, groups

    applications = {name: command.hydra for name, command in COMMANDS.items()}
    complete(shell_request, applications, lambda: groups(config_folder()))
    return 0
