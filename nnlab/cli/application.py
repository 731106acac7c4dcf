"""A command of nnlab as a Hydra application: its flags, overrides, sweeps, help and tab completion.

Hydra's decorator composes every config twice, prints its own errors and cannot be one command among several; this is
the same sequence of Hydra's own operations without these three.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

import yaml
from hydra._internal.callbacks import Callbacks
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnlab import console
from nnlab.cli.admission import check_single
from nnlab.cli.arguments import JSON, print_json
from nnlab.cli.composition import hydra_for
from nnlab.cli.continuing import continued, resumed, take_resume
from nnlab.cli.grammar import parsed, quoted
from nnlab.cli.job_config import checked, task_overrides, user_folder
from nnlab.cli.messages import first_line
from nnlab.cli.short_form import completed, expanded
from nnlab.config import folder
from nnlab.errors import UserError
from nnlab.interruption import EXIT_CODES


class Ended(Protocol):
    """What a task returns: its status, one of completed, diverged, failed, interrupted, and its exit code."""

    status: str
    exit_code: int


# Runs one job from its plain config and the overrides that led to it.
Task = Callable[[dict[str, Any], list[str]], Ended]


class ComposedJob:
    """A task as Hydra's launchers call it, also in other processes: a picklable function of a composed config.

    Args:
        command: its name.
        task: what it does.
        answers: whether its result is printed as JSON, and no summary.
    """

    def __init__(self, command: str, task: Task, answers: bool = False) -> None:
        self.command, self.task, self.answers = command, task, answers

    def __call__(self, config: DictConfig) -> Ended:
        """Check the config of one job and run it."""
        console.show(always=True)  # in the processes of other launchers, too
        hydra = HydraConfig.get()
        folder.note_own(folder.own_folder() or user_folder(hydra))
        content, overrides = checked(config, hydra, self.command), task_overrides(hydra)
        if hydra.mode == RunMode.MULTIRUN:
            return self.run(content, overrides)
        return self.once(content, overrides)

    @property
    def trains(self) -> bool:
        """Whether the jobs of a sweep are runs that can be trained together."""
        return getattr(self.task, "job_target", None) is not None

    def once(self, config: dict[str, Any], overrides: list[str]) -> Ended:
        """Run it alone, given its plain config."""
        once: Task = getattr(self.task, "quiet", self.task) if self.answers else self.task
        return once(config, overrides)

    def run(self, config: dict[str, Any], overrides: list[str]) -> Ended:
        """Run one job of a sweep, given its plain config."""
        run: Task = getattr(self.task, "job", self.task)
        return run(config, overrides)


def run(command: str, task: Task, arguments: Sequence[str]) -> int:
    """Run `nnlab <command> <arguments>`, and return the exit code.

    Raises:
        UserError: an argument, an override, an option or a file is wrong.
    """
    answers = JSON in arguments
    rest, resume = take_resume([each for each in arguments if each != JSON])
    flags = parser(command).parse_intermixed_args(rest)
    lines = flags.overrides
    flags.overrides = [quoted(line) for line in lines] if resume else expanded(lines, flags.multirun)
    folder.note_own(flags.config_dir)
    job = ComposedJob(command, task, answers)
    if resume is not None:
        return _continue(job, resume, flags)
    name = flags.config_name or command
    with hydra_for(command, flags.config_dir) as hydra, _explained():
        with console.silenced() if flags.cfg else console.held():
            if not (flags.help or flags.hydra_help):
                flags.overrides = completed(hydra, name, flags.overrides, flags.multirun)
            if _shows(hydra, name, flags, answers):
                return 0
            config = None if flags.multirun else hydra.compose_config(name, flags.overrides, RunMode.RUN)
        if config is None or config.hydra.mode == RunMode.MULTIRUN:
            return _ended(job, _sweep(hydra, name, job, flags.overrides))
        check_single(parsed(flags.overrides))
        return _single(hydra, name, config, job)


def parser(command: str) -> argparse.ArgumentParser:
    """Hydra's own flags, with our name and errors."""
    flags: argparse.ArgumentParser = get_args_parser()
    flags.prog = f"nnlab {command}"

    def error(message: str) -> NoReturn:
        raise UserError(f"{message}; `nnlab {command} --help` shows what there is")

    flags.error = error  # type: ignore[method-assign]
    return flags


def _shows(hydra: Any, name: str, flags: argparse.Namespace, answers: bool) -> bool:
    """Print what a flag such as `--help` or `--cfg job` asks for, if there is one."""
    if flags.help:
        hydra.app_help(config_name=name, args_parser=get_args_parser(), args=flags)
    elif flags.hydra_help:
        hydra.hydra_help(config_name=name, args_parser=get_args_parser(), args=flags)
    elif flags.cfg:
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            hydra.show_cfg(name, flags.overrides, flags.cfg, flags.package, flags.resolve)
        _print_config(shown.getvalue(), answers)
    elif flags.info:
        hydra.show_info(flags.info, config_name=name, overrides=flags.overrides)
    else:
        return False
    return True


def _print_config(text: str, answers: bool) -> None:
    """Print a config, given as YAML, for people or for programs."""
    if answers:
        print_json(yaml.safe_load(text))
    else:
        print(text, end="")


def _single(hydra: Any, name: str, config: DictConfig, job: ComposedJob) -> int:
    """Run one job; an exception of the job is raised as it is."""
    config.hydra.mode = RunMode.RUN
    callbacks = Callbacks(config)
    callbacks.on_run_start(config=config, config_name=name)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
    returned = run_job(job, config, "hydra.run.dir", None, context)
    callbacks.on_run_end(config=config, config_name=name, job_return=returned)
    if returned.status == JobStatus.FAILED:
        raise returned._return_value  # the public property would print a line of its own first
    return _answered(job, returned.return_value)


def swept(job: ComposedJob, overrides: Sequence[str], config_dir: str | Path | None = None) -> list[Any]:
    """Run the jobs of a sweep; returns their results.

    Raises:
        UserError: an override, an option or a file is wrong.
    """
    folder.note_own(config_dir)
    with hydra_for(job.command, config_dir) as hydra, _explained():
        return _sweep(hydra, job.command, job, completed(hydra, job.command, expanded(overrides, grid=True), grid=True))


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except HydraException as error:
        raise UserError(first_line(error)) from error
    except OmegaConfBaseException as error:
        what = f"`{error.full_key}`" if error.full_key else "a reference in Hydra's own section"
        raise UserError(f"{what} cannot be resolved: {first_line(error)}") from error


def _sweep(hydra: Any, name: str, job: ComposedJob, overrides: Sequence[str]) -> list[Any]:
    returned = hydra.multirun(config_name=name, task_function=job, overrides=[*overrides, "hydra.mode=MULTIRUN"])
    return [each.return_value for each in _job_returns(returned)]


def _ended(job: ComposedJob, results: Sequence[Any]) -> int:
    """The exit code of a sweep; divergence is a result."""
    if job.answers:
        print_json([_content(each) for each in results])
    stopped = [code for each in results if (code := _signal_code(each))]
    failed = any(getattr(each, "status", None) == "failed" for each in results)
    return int(stopped[0]) if stopped else int(failed)


def _signal_code(result: Any) -> int:
    """The exit code for a signal that a job received, with its last step or before; 0 for none."""
    if getattr(result, "status", None) == "interrupted":
        return int(result.exit_code)
    return next((EXIT_CODES[number] for number in getattr(result, "signals", ())), 0)


def _job_returns(returned: Any) -> list[JobReturn]:
    """The jobs among what a sweeper returned: a list for each batch, as a rule, but any sweeper may differ."""
    if isinstance(returned, JobReturn):
        return [returned]
    return [job for each in returned for job in _job_returns(each)] if isinstance(returned, list | tuple) else []


def _answered(job: ComposedJob, result: Ended) -> int:
    """The exit code of a single job, whose result is printed where a program asked for it."""
    if job.answers:
        print_json(_content(result))
    return int(result.exit_code)


def _content(result: Any) -> dict[str, Any]:
    """A result as plain values."""
    directory = {"directory": result.directory} if hasattr(result, "directory") else {}
    return {**directory, **(result.content() if hasattr(result, "content") else {"status": result.status})}


def _continue(job: ComposedJob, run: str, flags: argparse.Namespace) -> int:
    """Continue a run from its own config, with further overrides."""
    if flags.multirun:
        raise UserError("`resume=` continues one run; leave out `-m` (a sweep continues when its command is repeated)")
    check_single(parsed(flags.overrides))
    if flags.cfg:
        _print_config(OmegaConf.to_yaml(resumed(run, flags.overrides, job.command)), job.answers)
        return 0
    content = continued(run, flags.overrides, job.command)
    return _answered(job, job.once(content, list(flags.overrides)))


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
