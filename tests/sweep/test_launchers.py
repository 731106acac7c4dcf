"""The launchers of Hydra's plugins: each runs a grid of jobs; and what is said where one is not installed."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[2]
PACKAGES = {
    "joblib": "hydra_joblib_launcher",
    "submitit_local": "hydra_submitit_launcher",
    "ray": "hydra_ray_launcher",
}
SMALL = ["data.limit=100", "trainer.epochs=1", "callbacks=[checkpoint]"]


def installed(launcher: str) -> bool:
    try:
        return find_spec(f"hydra_plugins.{PACKAGES[launcher]}") is not None
    except ModuleNotFoundError:
        return False


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def sweep(folder: Path, launcher: str, *arguments: str, jobs: int = 3) -> list[Path]:
    """Run a grid of seeds, and return the results' files; a launcher may start a process for each job."""
    command = [sys.executable, "-m", "nnlab", "train", "-m", f"output_dir={folder}", f"seed=range({jobs})", *SMALL]
    done = subprocess.run(
        [*command, f"hydra/launcher={launcher}", *arguments],
        env=environment(), capture_output=True, text=True, timeout=600, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nBest: defaults, with validation accuracy " in done.stdout
    results = sorted((folder / "train").glob("*/result.json"))
    assert len(results) == jobs
    assert {json.loads(file.read_text())["status"] for file in results} == {"completed"}
    table = list(csv.DictReader((folder / "train/summary.csv").read_text().splitlines()))
    assert sorted(row["seed"] for row in table) == [str(seed) for seed in range(jobs)]
    return results


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_grid_runs_through_another_launcher(launcher: str, tmp_path: Path) -> None:
    if not installed(launcher):
        pytest.skip(f"{PACKAGES[launcher]} is not installed")
    sweep(tmp_path, launcher)


def test_another_launcher_only_reads_what_is_finished(tmp_path: Path) -> None:
    if not installed("joblib"):
        pytest.skip("hydra_joblib_launcher is not installed")
    times = [file.stat().st_mtime_ns for file in sweep(tmp_path, "basic", jobs=2)]
    again = sweep(tmp_path, "joblib", "hydra.launcher.n_jobs=1", jobs=2)
    assert [file.stat().st_mtime_ns for file in again] == times


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture
def cluster() -> Iterator[str]:
    """Address of a Ray cluster of this machine alone: on loopback, without reports to Ray's makers or a dashboard."""
    if not installed("ray"):
        pytest.skip("hydra_ray_launcher is not installed")
    gcs, client, agent = free_ports(3)
    # Ray replaces 127.0.0.1 by the machine's own address unless told that it cannot form a cluster of several.
    # Nor does a token that lies in this user's folder for other clusters count here.
    variables = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled"}
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as temporary:  # a socket's path is short
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"]
        words += ["--disable-usage-stats", "--include-dashboard=false", "--node-ip-address=127.0.0.1"]
        words += [f"--port={gcs}", f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent}"]
        output = Path(temporary) / "output"
        with output.open("wb") as file:
            head = subprocess.Popen(
                [*words, f"--temp-dir={temporary}"], env={**environment(), **variables}, cwd=temporary,
                start_new_session=True, stdout=file, stderr=file,
            )  # fmt: skip
        try:
            deadline = time.monotonic() + 600
            while "Ray runtime started" not in output.read_text():
                assert head.poll() is None, output.read_text()
                assert time.monotonic() < deadline, output.read_text()
                time.sleep(0.1)
            yield f"127.0.0.1:{gcs}"
        finally:
            head.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                head.wait(60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)
            head.wait(60)


def test_a_grid_runs_on_a_ray_cluster(cluster: str, tmp_path: Path) -> None:
    sweep(tmp_path, "ray", f"hydra.launcher.ray.init.address='{cluster}'")


@pytest.mark.parametrize("launcher", [*PACKAGES, "submitit_slurm"])
def test_a_launcher_that_is_not_installed_says_how_to_install_it(
    launcher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hydra.core.plugins import Plugins

    from nnlab.cli import main

    known = Plugins.instance().class_name_to_class
    monkeypatch.setattr(
        Plugins.instance(), "class_name_to_class", {name: each for name, each in known.items() if "nnlab" in name}
    )
    assert main(["train", "-m", f"output_dir={tmp_path}", f"hydra/launcher={launcher}", "seed=0,1"]) == 2
    extra = launcher.partition("_")[0]
    assert f"`hydra/launcher={launcher}` is not installed; `pip install 'nnlab[{extra}]'`" in capsys.readouterr().err
