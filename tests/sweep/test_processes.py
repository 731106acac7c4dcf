"""Jobs in processes of their own: slots, leased GPUs, threads, and jobs that crash or are killed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nnlab.storage.claim import try_claim
from nnlab.sweep.driver import Driver, Policy
from nnlab.sweep.job import Job
from nnlab.sweep.processes import Processes, cores, visible_gpus

# A child that does what its message says, without torch.
CHILD = """
import json, os, signal, sys, time
message = json.loads(sys.stdin.readline())
folder = message["directory"]
seen = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")}
seen["begin"] = time.time()
time.sleep(message.get("sleep", 0))
if message["do"] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if message["do"] == "crash":
    sys.exit("the job crashed")
if message["do"] == "hang":
    sys.stdin.read()
    sys.exit(0)
seen["end"] = time.time()
with open(os.path.join(folder, "result.json"), "w") as file:
    json.dump({"status": "completed", "metrics": {}, "seen": seen}, file)
"""


def jobs_in(folder: Path, *actions: str, sleep: float = 0.0) -> list[Job]:
    content = [{"do": action, "sleep": sleep} for action in actions]
    return [Job([f"seed={i}"], each, folder / f"seed={i}", "identity", None) for i, each in enumerate(content)]


def processes(slots: int, gpus: tuple[str, ...] = (), threads: int | None = None) -> Processes:
    def message(job: Job) -> str:
        return json.dumps({**job.config, "directory": str(job.directory)})

    return Processes([sys.executable, "-S", "-c", CHILD], message, slots, threads, gpus)


def run(pool: Processes, jobs: list[Job], policy: Policy | None = None) -> tuple[Driver, list[str]]:
    lines: list[str] = []
    driver = Driver(pool.train, policy or Policy(), say=lines.append)
    pool.run(driver, jobs)
    return driver, lines


def seen(job: Job) -> dict[str, str]:
    content: dict[str, str] = json.loads((job.directory / "result.json").read_text())["seen"]
    return content


def test_killed_and_crashed_jobs_fail_alone_and_say_their_last_words(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "work", "kill", "crash", "work")
    driver, lines = run(processes(2), jobs)
    assert [driver.outcome(job).status for job in jobs] == ["completed", "failed", "failed", "completed"]
    assert driver.outcome(jobs[1]).result["reason"] == "its process was killed by SIGKILL"
    assert driver.outcome(jobs[2]).result["error"] == ["the job crashed", "its process ended with exit code 1"]
    assert any("the job crashed" in line for line in lines)


def test_a_killed_job_is_tried_again(tmp_path: Path) -> None:
    [job] = jobs_in(tmp_path, "kill")
    _, lines = run(processes(1), [job], Policy("retry", 2))
    assert len([line for line in lines if line.startswith("FAILED")]) == 3


def test_each_slot_leases_a_gpu_and_has_its_share_of_the_cores(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, *["work"] * 4, sleep=0.3)
    run(processes(2, ("3", "5")), jobs)
    found = [seen(job) for job in jobs]
    assert {each["CUDA_VISIBLE_DEVICES"] for each in found} == {"3", "5"}
    assert {each["OMP_NUM_THREADS"] for each in found} == {str(max(1, cores() // 2))}
    for gpu in ("3", "5"):
        spans = sorted((each["begin"], each["end"]) for each in found if each["CUDA_VISIBLE_DEVICES"] == gpu)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_threads_can_be_chosen_and_without_gpus_none_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    [job] = jobs_in(tmp_path, "work")
    run(processes(1, threads=3), [job])
    assert seen(job)["OMP_NUM_THREADS"] == "3"
    assert seen(job)["CUDA_VISIBLE_DEVICES"] is None


@pytest.mark.parametrize(
    ("listed", "gpus"), [("", []), ("-1", []), ("0,2", ["0", "2"]), ("GPU-a, GPU-b", ["GPU-a", "GPU-b"])]
)
def test_the_gpus_to_lease_are_those_that_are_visible(listed: str, gpus: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": listed}) == gpus


DRIVER = """
import os, subprocess, sys
from pathlib import Path
from nnlab.storage.claim import try_claim
claim = try_claim(Path(sys.argv[1]))
waiting = "import os, sys, time\\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)"
child = [sys.executable, "-c", waiting, sys.argv[1] + "/enough"]
subprocess.Popen(child, pass_fds=claim.descriptors(), stdout=sys.stderr)
os._exit(0)  # as if it were killed
"""


def test_a_child_keeps_the_claim_when_its_driver_has_gone(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DRIVER, str(tmp_path)], check=True)
    assert try_claim(tmp_path) is None
    (tmp_path / "enough").touch()
    deadline = time.monotonic() + 300
    while (again := try_claim(tmp_path)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert again is not None
    again.close()


def test_a_signal_ends_the_children_and_the_study(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "hang", "work")
    pool = processes(1)

    def interrupt() -> None:
        while not pool._children:
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    driver, _ = run(pool, jobs)
    thread.join()
    assert driver.outcome(jobs[0]).status == "interrupted"
    assert list(driver.outcome(jobs[0]).signals) == [signal.SIGTERM]
    assert driver.outcome(jobs[1]).status == "pending"


def test_a_job_of_nnlab_trains_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnlab.cli import main

    monkeypatch.setattr("nnlab.sweep.grid.Grid._write_studies", lambda self: None)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    small = ["data.limit=100", "trainer.epochs=1", "callbacks=[checkpoint]", f"output_dir={tmp_path}"]
    arguments = ["train", "-m", *small, "hydra/launcher=processes", "hydra.launcher.slots=2", "seed=0,1"]
    assert main(arguments) == 0
    assert "2 jobs each in a process of its own, which differ in seed" in capsys.readouterr().out
    for seed in (0, 1):
        [run] = [path.parent for path in tmp_path.glob(f"train/*seed={seed}*/result.json")]
        assert json.loads((run / "result.json").read_text())["status"] == "completed"
        assert "epoch" not in (run / "output.txt").read_text()
        assert json.loads((run / "environment.json").read_text())["seed"] == seed
