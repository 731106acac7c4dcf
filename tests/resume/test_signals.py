"""A signal saves at the next step, leaves with the code that its sender expects, and the same command continues."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from forked import Program
from twins import base, compare

from nnlab.cli import main
from nnlab.config.build import build_trainer
from nnlab.runs import launch
from nnlab.runs.launch import Result
from nnlab.training import Callback, Trainer

QUIET = base("callbacks.checkpoint.seconds=1e6")


class Send(Callback):
    def __init__(self, number: int, step: int) -> None:
        self.number, self.step = number, step

    def step_end(self, trainer: Trainer) -> None:
        if trainer.step == self.step:
            os.kill(os.getpid(), self.number)


def send_at(step: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*arguments: Any) -> Trainer:
        trainer = build_trainer(*arguments)
        trainer.callbacks.insert(0, Send(number, step))
        return trainer

    monkeypatch.setattr(launch, "build_trainer", build)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 75), (signal.SIGUSR2, 75)],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_signal_saves_and_leaves_with_its_code(
    number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", *QUIET, f"output_dir={tmp_path}/disturbed"]
    before = signal.getsignal(number)
    with monkeypatch.context() as patched:
        send_at(7, number, patched)
        assert main(command) == code
    assert "interrupted at step 7 of 24; the same command continues it" in capsys.readouterr().out
    assert signal.getsignal(number) is before
    assert main(command) == 0
    assert "from step 7 of 24" in capsys.readouterr().out
    assert main(["train", *QUIET, f"output_dir={tmp_path}/twin"]) == 0
    [disturbed], [twin] = ((tmp_path / kind / "train").iterdir() for kind in ("disturbed", "twin"))
    assert compare(disturbed, twin) == []


def test_a_signal_with_the_last_step_does_not_ask_for_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_at(24, signal.SIGUSR1, monkeypatch)
    assert main(["train", *QUIET, f"output_dir={tmp_path}"]) == 0
    [run] = (tmp_path / "train").iterdir()
    assert (run / "result.json").exists()


class SendAtTheEnd(Callback):
    """Sends a signal while training's end is evaluated, before all other callbacks have done so or after them."""

    def __init__(self, number: int) -> None:
        self.number = number

    def fit_end(self, trainer: Trainer) -> None:
        os.kill(os.getpid(), self.number)


SNAPSHOTS = [*QUIET, "scheduler=cyclic", "scheduler.cycles=3", "regularizer=[snapshot_ensemble]"]


@pytest.mark.parametrize("place", [0, 3, -1], ids=["first", "in the middle", "last"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 75)])
def test_a_signal_after_the_last_step_ends_the_run_as_interrupted_and_its_end_is_repeated(
    place: int, number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*arguments: Any) -> Trainer:
        trainer = build_trainer(*arguments)
        trainer.callbacks.insert(place % (len(trainer.callbacks) + 1), SendAtTheEnd(number))
        return trainer

    command = ["train", *SNAPSHOTS, f"output_dir={tmp_path}/disturbed"]
    with monkeypatch.context() as patched:
        patched.setattr(launch, "build_trainer", build)
        assert main(command) == code
    assert not list(tmp_path.rglob("result.json"))
    assert main(command) == 0
    assert main(["train", *SNAPSHOTS, f"output_dir={tmp_path}/twin"]) == 0
    [disturbed], [twin] = ((tmp_path / kind / "train").iterdir() for kind in ("disturbed", "twin"))
    assert compare(disturbed, twin) == []


@pytest.mark.parametrize("late", [False, True], ids=["with the last step", "after it"])
def test_a_signal_at_the_end_of_a_job_ends_the_sweep_with_its_code(
    late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*arguments: Any) -> Trainer:
        trainer = build_trainer(*arguments)
        trainer.callbacks.insert(0, SendAtTheEnd(signal.SIGTERM) if late else Send(signal.SIGTERM, trainer.total_steps))
        return trainer

    command = ["train", "-m", *QUIET, "architecture.widths=[4],[5],[6]", f"output_dir={tmp_path}"]
    with monkeypatch.context() as patched:
        patched.setattr(launch, "build_trainer", build)
        assert main(command) == 143
    assert len(list(tmp_path.rglob("result.json"))) == (0 if late else 1)
    assert len(list(tmp_path.rglob("history.csv"))) == 1
    assert main(command) == 0
    assert len(list(tmp_path.rglob("result.json"))) == 3


class Slow(Callback):
    """Makes an evaluation of the validation split take long, in which a signal arrives."""

    def fit_start(self, trainer: Trainer) -> None:
        evaluated, calls = trainer.stack.evaluated, iter(range(10**6))

        def slow(inputs: Any, targets: Any) -> Any:
            if trainer.step == 16:
                if next(calls) == 1:
                    os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.3)
            return evaluated(inputs, targets)

        trainer.stack.evaluated = slow  # type: ignore[method-assign]


def test_a_signal_is_heard_within_a_second_in_a_long_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*arguments: Any) -> Trainer:
        trainer = build_trainer(*arguments)
        trainer.callbacks.insert(0, Slow())
        return trainer

    command = ["train", *QUIET, "callbacks.checkpoint.seconds=0", f"output_dir={tmp_path}/disturbed"]
    with monkeypatch.context() as patched:
        patched.setattr(launch, "build_trainer", build)
        for limit in ("CHUNK", "CHUNK_IN_PLACE"):
            patched.setattr(f"nnlab.training.evaluation.{limit}", 64)
        assert main(command) == 143
    [run] = (tmp_path / "disturbed" / "train").iterdir()
    assert main(command) == 0
    assert main(["train", *QUIET, f"output_dir={tmp_path}/twin"]) == 0
    [twin] = (tmp_path / "twin" / "train").iterdir()
    assert compare(run, twin) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 75), (signal.SIGUSR2, 75), (signal.SIGTERM, 143)])
def test_a_signal_while_packages_are_imported_and_configs_composed_leaves_with_its_code(number: int, code: int) -> None:
    send = f"import os; os.kill(os.getpid(), {int(number)})"
    program = (
        "import sys, nnlab.cli.dispatch as dispatch\n"
        f"def composing(*_):\n    {send}\n    raise AssertionError('the program went on')\n"
        "dispatch._dispatch = composing\nsys.exit(dispatch.main(['train']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_batch_system_that_wants_to_requeue_gets_its_signal_when_the_run_has_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[list[Path]] = []

    def requeue(*_: Any) -> None:
        saved.append(list(tmp_path.glob("train/*/checkpoints/last.ckpt")))

    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        send_at(7, signal.SIGUSR2, monkeypatch)
        assert main(["train", *QUIET, f"output_dir={tmp_path}"]) == 75
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert [len(files) for files in saved] == [1]


def test_a_signal_before_training_leaves_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any) -> Trainer:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the program went on")

    monkeypatch.setattr(launch, "build_trainer", build)
    with pytest.raises(SystemExit) as left:
        main(["train", *QUIET, f"output_dir={tmp_path}"])
    assert left.value.code == 143


def wait_for(line: str, process: Program) -> None:
    """Until a process has printed a line that begins so."""
    while f"\n{line}" not in f"\n{process.output()}":
        assert process.poll() is None, process.communicate(timeout=1)
        time.sleep(0.02)


def test_a_process_of_its_own_answers_to_sigterm(tmp_path: Path) -> None:
    long = ["trainer.epochs=3e4", "callbacks.progress.seconds=0", "trainer.validate_every=1"]
    process = Program(["train", *QUIET, *long, f"output_dir={tmp_path}"], tmp_path)
    wait_for("epoch", process)
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=600)
    assert (process.returncode, errors) == (143, "")
    assert re.match(r"interrupted at step \d+ of 240000; the same command continues it", said.splitlines()[-1])
    assert list(tmp_path.glob("train/*/checkpoints/last.ckpt"))


class SavesForHours(Callback):
    """Interrupts its process in a step, and then keeps it from saving."""

    def step_start(self, trainer: Trainer) -> None:
        if trainer.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    def step_end(self, trainer: Trainer) -> None:
        if trainer.stop_requested:
            print("saving", flush=True)
            time.sleep(36_000)


def save_for_hours() -> None:
    """In a process of its own: put the callback into its trainings."""

    def build(*arguments: Any) -> Trainer:
        trainer = build_trainer(*arguments)
        trainer.callbacks.append(SavesForHours())
        return trainer

    launch.build_trainer = build


def test_a_second_interrupt_leaves_at_once(tmp_path: Path) -> None:
    process = Program(["train", *QUIET, f"output_dir={tmp_path}"], tmp_path, save_for_hours)
    wait_for("saving", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=600)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("status", "signals", "code"),
    [
        ("completed", (), 0),
        ("completed", (10,), 0),
        ("diverged", (), 3),
        ("failed", (), 1),
        ("interrupted", (15,), 143),
    ],
)
def test_exit_codes_follow_from_how_a_run_ended(status: str, signals: tuple[int, ...], code: int) -> None:
    assert Result(Path(), status, {}, signals=signals).exit_code == code
