"""A group of processes ends as a whole, loses nothing, and says in a sentence why it does not come together."""

from __future__ import annotations

import csv
import datetime
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked import SERVER, Program

from nnlab import UserError
from nnlab.cli import compose, main
from nnlab.runs.meeting import launched

sys.path.append(str(Path(__file__).parents[1] / "resume"))

from twins import compare

SMALL = (
    *(
        "data.limit=120",
        "architecture.widths=[8]",
        "trainer.engine=torch",
        "trainer.batch_size=16",
        "trainer.device=cpu",
    ),
    *("scheduler=constant", "callbacks=[statistics,checkpoint]", "callbacks.checkpoint.seconds=0.2"),
)
LONG = (*SMALL, "trainer.epochs=100000", "trainer.validate_every=100")
WAIT = 600.0  # seconds: on a machine with other work, starting a process may take a minute


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def start(folder: Path, *overrides: str, **variables: str) -> Program:
    return Program(["train", f"output_dir={folder}", "name=run", *overrides], folder, **variables)


def torchrun(folder: Path, restarts: int, *overrides: str) -> subprocess.Popen[str]:
    """Two processes that torchrun starts, and as often again."""
    launcher = ["torch.distributed.run", "--nproc-per-node=2", f"--max-restarts={restarts}", "--standalone"]
    command = [sys.executable, "-m", *launcher, "-m", "nnlab", "train", f"output_dir={folder}", "name=run", *overrides]
    environment, pipe = {**os.environ, "OMP_NUM_THREADS": "1"}, subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)


def followers(process: Program) -> list[int]:
    """The processes that a leader has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    names = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, name in names.items() if b"nnlab.runs.following" in name]


def wait_for_a_checkpoint(folder: Path, process: Program | subprocess.Popen[str]) -> Path:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline and process.poll() is None:
        for run in (folder / "run").glob("*"):
            if (run / "checkpoints" / "last.ckpt").exists():
                return run
        time.sleep(0.05)
    raise AssertionError(process.communicate(timeout=WAIT))


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def assert_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if alive(pid)]


pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")


SEVERAL = (*SMALL, "trainer.precision=float64", "regularizer=[dropout]", "trainer.epochs=150")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(folder, *SEVERAL, "trainer.processes=2")
    _, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 0, errors
    [run] = (folder / "run").glob("*")
    return run


def losses(run: Path) -> list[float]:
    with (run / "history.csv").open() as file:
        return [float(row["loss/train"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_several_processes_train_as_one_does(tmp_path: Path, undisturbed: Path) -> None:
    alone = start(tmp_path, *SEVERAL)
    _, errors = alone.communicate(timeout=WAIT)
    assert alone.returncode == 0, errors
    [run] = (tmp_path / "run").glob("*")
    expected = losses(run)[:200]  # what later steps make of the last digits is not promised
    assert len(expected) == 200
    assert losses(undisturbed)[:200] == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.slow
def test_a_killed_follower_is_started_again_and_the_run_has_the_same_bits(tmp_path: Path, undisturbed: Path) -> None:
    leader = start(tmp_path, *SEVERAL, "trainer.processes=2")
    run = wait_for_a_checkpoint(tmp_path, leader)
    [pid] = followers(leader)
    os.kill(pid, signal.SIGKILL)
    _, errors = leader.communicate(timeout=WAIT)
    assert leader.returncode == 0, errors
    assert "process 1 was killed by SIGKILL; the group starts again from the last checkpoint" in errors
    assert compare(run, undisturbed) == []


@pytest.mark.slow
def test_a_follower_that_does_not_answer_is_lost_after_the_time_that_a_variable_gives(tmp_path: Path) -> None:
    epochs = (*SMALL, "trainer.processes=2", "trainer.epochs=150")
    leader = start(tmp_path, *epochs, NNLAB_ANSWER_SECONDS="3")
    run = wait_for_a_checkpoint(tmp_path, leader)
    [pid] = followers(leader)
    os.kill(pid, signal.SIGSTOP)
    _, errors = leader.communicate(timeout=WAIT)
    assert leader.returncode == 0, errors
    assert "the group starts again from the last checkpoint" in errors
    assert json.loads((run / "result.json").read_text())["status"] == "completed"
    assert_gone([pid])


def say_to_one_that_does_not_hear(folder: Path, rank: int) -> None:
    """Two processes meet; what the leader comes to, which speaks to the other, stands in a file."""
    import torch.distributed

    from nnlab.training.group import Command, Group, GroupBroken

    store = f"file://{folder / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.distributed.barrier()
    if rank == 0:
        group = Group(0, 2, 0, 2)
        group.answer = datetime.timedelta(seconds=0.5)
        try:
            group.say(Command.ADVANCE)
        except GroupBroken:
            (folder / "lost").touch()
        os._exit(0)
    time.sleep(WAIT)


def test_a_follower_that_does_not_hear_the_next_command_is_lost(tmp_path: Path) -> None:
    processes = [SERVER.Process(target=say_to_one_that_does_not_hear, args=(tmp_path, rank)) for rank in (0, 1)]
    for process in processes:
        process.start()
    processes[0].join(WAIT)
    processes[1].kill()
    assert (tmp_path / "lost").exists()


@pytest.mark.slow
def test_ctrl_c_saves_once_and_another_number_of_processes_continues(tmp_path: Path) -> None:
    leader = start(tmp_path, *LONG, "trainer.processes=2")
    run = wait_for_a_checkpoint(tmp_path, leader)
    pids = followers(leader)
    for pid in [leader.pid, *pids]:  # as a batch system sends it
        os.kill(pid, signal.SIGINT)
    output, errors = leader.communicate(timeout=WAIT)
    assert (leader.returncode, errors) == (130, "")
    assert output.count("interrupted at step") == 1
    assert_gone(pids)
    again = start(tmp_path, f"resume={run}", "trainer.processes=1", "trainer.time_limit=0.5")
    output, errors = again.communicate(timeout=WAIT)
    assert again.returncode == 0, errors
    assert "from step" in output
    assert json.loads((run / "result.json").read_text())["status"] == "completed"


@pytest.mark.slow
def test_followers_end_when_their_leader_is_killed(tmp_path: Path) -> None:
    leader = start(tmp_path, *LONG, "trainer.processes=2")
    wait_for_a_checkpoint(tmp_path, leader)
    pids = followers(leader)
    leader.kill()
    leader.communicate(timeout=WAIT)
    assert_gone([*pids, leader.pid])


@pytest.mark.slow
def test_torchrun_starts_a_killed_group_again_which_trains_as_one_of_its_own(tmp_path: Path, undisturbed: Path) -> None:
    agent = torchrun(tmp_path, 1, *SEVERAL)
    run = wait_for_a_checkpoint(tmp_path, agent)
    children = [int(pid) for pid in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()]
    [follower] = [pid for pid in children if b"\0RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes()]
    os.kill(follower, signal.SIGKILL)
    output, errors = agent.communicate(timeout=WAIT)
    assert agent.returncode == 0, errors
    assert f"continuing {run}" in output
    assert json.loads((run / "environment.json").read_text())["processes"] == 2
    assert losses(run) == losses(undisturbed)
    assert_gone(children)


def joined(monkeypatch: pytest.MonkeyPatch, rank: int, port: int, seconds: str = "0.5") -> None:
    variables = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in {**variables, "NNLAB_JOIN_SECONDS": seconds}.items():
        monkeypatch.setenv(name, value)


def test_a_port_in_use_is_a_sentence(
    port: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    joined(monkeypatch, 0, port)
    assert main(["train", *SMALL]) == 2
    sentence = f"nnlab train: cannot listen at 127.0.0.1:{port}, where the processes are to meet: the port is in use"
    assert sentence in capfd.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        ("soon", "the variable NNLAB_JOIN_SECONDS must be a number of seconds: 'soon'"),
        ("-1", "`NNLAB_JOIN_SECONDS` must be in (0, 604800], got -1"),
        ("nan", "`NNLAB_JOIN_SECONDS` must be in (0, 604800], got nan"),
    ],
)
def test_a_wait_that_cannot_be_is_a_sentence(
    seconds: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    joined(monkeypatch, 0, 0, seconds)
    assert main(["train", *SMALL]) == 2
    assert sentence in capfd.readouterr().err


def test_processes_that_do_not_come_are_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    joined(monkeypatch, 0, 0)
    assert main(["train", *SMALL]) == 2
    assert "1 of 2 processes came to 127.0.0.1:0 within 0.5 seconds; missing: 1" in capfd.readouterr().err


def test_a_process_that_cannot_reach_the_others_says_so(tmp_path: Path) -> None:
    variables = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    alone = start(tmp_path, *SMALL, **variables, NNLAB_JOIN_SECONDS="1")
    _, errors = alone.communicate(timeout=WAIT)
    assert alone.returncode == 2
    [sentence] = errors.splitlines()  # and no page of torch's own for each attempt
    wanted = "nnlab train: process 1 cannot reach process 0 at 127.0.0.1:1 within 1 seconds: nobody listens there"
    assert sentence == wanted


@pytest.mark.slow
def test_another_program_at_the_address_that_says_nothing_is_told_from_a_leader(tmp_path: Path, port: int) -> None:
    variables = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    alone = start(tmp_path, *SMALL, **variables, NNLAB_JOIN_SECONDS="1")
    _, errors = alone.communicate(timeout=WAIT)
    assert alone.returncode == 2
    [sentence] = errors.splitlines()
    assert sentence.endswith("within 1 seconds: another program listens there; choose another MASTER_PORT")


def test_only_training_takes_several_processes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    joined(monkeypatch, 0, 1)
    assert main(["recipe"]) == 2
    assert "2 processes were started, but only `nnlab train` takes more than one" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("trainer.processes=0", "`trainer.processes` must be in [1, inf), got 0"),
        ("trainer.processes=-1", "`trainer.processes` must be in [1, inf), got -1"),
        ("trainer.processes=100000", "`trainer.processes=100000` is more than the"),
    ],
)
def test_a_number_of_processes_that_cannot_be_is_refused_and_leaves_no_folder(
    override: str, sentence: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *SMALL, override, f"output_dir={tmp_path}"]) == 2
    assert sentence in capfd.readouterr().err
    assert not list(tmp_path.glob("train/*"))


def test_too_few_gpus_are_a_sentence(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert main(["train", *SMALL, "trainer.device=auto", "trainer.processes=2"]) == 2
    assert "2 processes need 2 GPUs, and this machine has 1" in capfd.readouterr().err


def test_one_gpu_cannot_be_that_of_several_processes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert main(["train", *SMALL, "trainer.device=cuda:1", "trainer.processes=2"]) == 2
    assert "`trainer.device=cuda:1` is one GPU, and each process takes its own" in capfd.readouterr().err


@pytest.mark.parametrize("variables", [{"RANK": "2"}, {"RANK": "x"}, {"MASTER_PORT": "no"}, {"MASTER_PORT": "99999"}])
def test_a_place_that_cannot_be_is_a_sentence(variables: dict[str, str]) -> None:
    usual = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "1"}
    assert launched(usual) is not None
    assert launched({**usual, "WORLD_SIZE": "1"}) is None
    with pytest.raises(UserError, match=next(iter(variables))):
        launched({**usual, **variables})


def test_the_number_of_processes_is_no_part_of_what_a_run_is() -> None:
    from nnlab.config import identity

    assert identity(compose("trainer.processes=2")) == identity(compose("trainer.processes=1"))
