"""A command of nnlab as a Hydra application: its flags, overrides, sweeps, help and tab completion.

Hydra's decorator composes every config twice, prints its own errors and cannot be one command among several; this is
the same sequence of Hydra's own operations without these three.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from hydra._internal.callbacks import Callbacks
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from nnlab import console
from nnlab.cli.composition import checked, hydra_for, plain, resumed, task_overrides
from nnlab.cli.messages import first_line
from nnlab.config.checking import check
from nnlab.errors import UserError
from nnlab.storage.folder import CONFIG


class Result(Protocol):
    """What a task returns: its status, one of completed, diverged, failed, interrupted, and its exit code."""

    status: str
    exit_code: int


# Runs one job from its plain config and the overrides that led to it.
Task = Callable[[dict[str, Any], list[str]], Result]


class Job:
    """A task as Hydra's launchers call it, also in other processes: a picklable function of a composed config."""

    def __init__(self, command: str, task: Task) -> None:
        self.command, self.task = command, task

    def __call__(self, config: DictConfig) -> Result:
        """Check the config of one job and run it."""
        console.show(always=True)  # in the processes of other launchers, too
        hydra = HydraConfig.get()
        content, overrides = checked(config, hydra, self.command), task_overrides(hydra)
        return self.run(content, overrides) if hydra.mode == RunMode.MULTIRUN else self.task(content, overrides)

    @property
    def trains(self) -> bool:
        """Whether the jobs of a sweep are runs that can be trained together."""
        return getattr(self.task, "job_target", None) is not None

    def run(self, config: dict[str, Any], overrides: list[str]) -> Result:
        """Run one job of a sweep, given its plain config."""
        run: Task = getattr(self.task, "job", self.task)
        return run(config, overrides)


def take_resume(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Split `resume=RUN` off the arguments, for the name of a run holds `=` and `,`, which Hydra would interpret.

    >>> take_resume(["trainer.epochs=50", "resume=outputs/train/optimizer=adam,seed=1"])
    (['trainer.epochs=50'], 'outputs/train/optimizer=adam,seed=1')
    """
    values = [each.removeprefix("resume=") for each in arguments if each.startswith("resume=")]
    rest = [each for each in arguments if not each.startswith("resume=")]
    return rest, next((value for value in reversed(values) if value not in ("", "null")), None)


def run(command: str, task: Task, arguments: Sequence[str]) -> int:
    """Run `nnlab <command> <arguments>`, and return the exit code.

    Raises:
        UserError: an argument, an override, an option or a file is wrong.
    """
    rest, resume = take_resume(arguments)
    flags = parser(command).parse_intermixed_args(rest)
    if resume is not None:
        return _continue(command, task, resume, flags)
    name = flags.config_name or command
    with hydra_for(command, flags.config_dir) as hydra:
        try:
            if _shows(hydra, name, flags):
                return 0
            if flags.multirun:
                return _sweep(hydra, name, Job(command, task), flags.overrides)
            config = hydra.compose_config(name, flags.overrides, RunMode.RUN)
            if config.hydra.mode == RunMode.MULTIRUN:
                return _sweep(hydra, name, Job(command, task), flags.overrides)
            return _single(hydra, name, config, Job(command, task))
        except HydraException as error:
            raise UserError(first_line(error)) from error


def parser(command: str) -> argparse.ArgumentParser:
    """Hydra's own flags, with our name and errors."""
    flags: argparse.ArgumentParser = get_args_parser()
    flags.prog = f"nnlab {command}"

    def error(message: str) -> NoReturn:
        raise UserError(f"{message}; `nnlab {command} --help` shows what there is")

    flags.error = error  # type: ignore[method-assign]
    return flags


def _shows(hydra: Any, name: str, flags: argparse.Namespace) -> bool:
    """Print what a flag such as `--help` or `--cfg job` asks for, if there is one."""
    if flags.help:
        hydra.app_help(config_name=name, args_parser=get_args_parser(), args=flags)
    elif flags.hydra_help:
        hydra.hydra_help(config_name=name, args_parser=get_args_parser(), args=flags)
    elif flags.cfg:
        hydra.show_cfg(name, flags.overrides, flags.cfg, flags.package, flags.resolve)
    elif flags.info:
        hydra.show_info(flags.info, config_name=name, overrides=flags.overrides)
    else:
        return False
    return True


def _single(hydra: Any, name: str, config: DictConfig, job: Job) -> int:
    """Run one job; an exception of the job is raised as it is."""
    config.hydra.mode = RunMode.RUN
    callbacks = Callbacks(config)
    callbacks.on_run_start(config=config, config_name=name)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
    returned = run_job(job, config, "hydra.run.dir", None, context)
    callbacks.on_run_end(config=config, config_name=name, job_return=returned)
    if returned.status == JobStatus.FAILED:
        raise returned._return_value  # the public property would print a line of its own first
    return int(returned.return_value.exit_code)


def _sweep(hydra: Any, name: str, job: Job, overrides: list[str]) -> int:
    """Run the jobs of a sweep; divergence is a result."""
    returned = hydra.multirun(config_name=name, task_function=job, overrides=[*overrides, "hydra.mode=MULTIRUN"])
    results = [each.return_value for each in _job_returns(returned)]
    stopped = [each.exit_code for each in results if getattr(each, "status", None) == "interrupted"]
    failed = any(getattr(each, "status", None) == "failed" for each in results)
    return int(stopped[0]) if stopped else int(failed)


def _job_returns(returned: Any) -> list[JobReturn]:
    """The jobs among what a sweeper returned: a list for each batch, as a rule, but any sweeper may differ."""
    if isinstance(returned, JobReturn):
        return [returned]
    return [job for each in returned for job in _job_returns(each)] if isinstance(returned, list | tuple) else []


def _continue(command: str, task: Task, run: str, flags: argparse.Namespace) -> int:
    """Continue a run from its own config, with further overrides."""
    if flags.multirun:
        raise UserError("`resume=` continues one run; leave out `-m` (a sweep continues when its command is repeated)")
    config = resumed(run, flags.overrides, command)
    if flags.cfg:
        print(OmegaConf.to_yaml(config), end="")
        return 0
    content = plain(config)
    overrides = list(flags.overrides)
    check(content, overrides, config_name=command, file=Path(content["resume"]) / CONFIG)
    return int(task(content, overrides).exit_code)


def complete(shell_request: str, commands: Mapping[str, bool], groups: Callable[[], Sequence[str]]) -> None:
    """Answer a shell's completion script, or print that script.

    Args:
        shell_request: `install=bash`, `uninstall=bash`, or `query=bash` with the line so far in `COMP_LINE`; or
            another shell that Hydra knows.
        commands: all commands by name, and whether each is a Hydra application.
        groups: names of the config groups, for `nnlab list`.
    """
    action, _, shell = shell_request.partition("=")
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    typing = words[1] if len(words) > 1 else ""
    if action != "query":
        _answer("train", shell_request)
    elif len(words) < 2 or (len(words) == 2 and not line.endswith(" ")):
        print(*(name for name in commands if name.startswith(typing)), sep=" " if shell == "bash" else "\n")
    elif commands.get(typing):
        os.environ["COMP_LINE"] = line.replace(f" {typing}", "", 1)
        _answer(typing, shell_request)
    elif typing == "list":
        start = "" if line.endswith(" ") else words[-1]
        print(*(name for name in groups() if name.startswith(start)), sep=" " if shell == "bash" else "\n")


def _answer(command: str, shell_request: str) -> None:
    """Let Hydra's own completion answer for one of the applications."""
    sys.argv[0] = "nnlab"  # Hydra completes for the program of this name
    with hydra_for(command, checking=False) as hydra:
        try:
            hydra.shell_completion(config_name=command, overrides=[shell_request])
        except ValueError as error:
            raise UserError(first_line(error)) from error
