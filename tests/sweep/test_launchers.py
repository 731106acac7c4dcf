"""The launchers of Hydra's plugins, where they are installed: a grid of six jobs; else what is said."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

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
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}


def sweep(folder: Path, launcher: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nnlab", "train", "-m", f"output_dir={folder}", "seed=range(6)", *SMALL]
    return subprocess.run(
        [*command, f"hydra/launcher={launcher}", *arguments],
        env=environment(), capture_output=True, text=True, timeout=300, cwd=folder,
    )  # fmt: skip


def check(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    results = list((folder / "train").glob("*/result.json"))
    assert len(results) == 6
    assert {json.loads(file.read_text())["status"] for file in results} == {"completed"}
    table = list(csv.DictReader((folder / "train/summary.csv").read_text().splitlines()))
    assert sorted(row["seed"] for row in table) == [str(seed) for seed in range(6)]


@pytest.mark.parametrize("launcher", PACKAGES)
def test_a_grid_runs_through_another_launcher_and_again_only_reads_its_results(launcher: str, tmp_path: Path) -> None:
    if not installed(launcher):
        pytest.skip(f"{PACKAGES[launcher]} is not installed")
    check(tmp_path, sweep(tmp_path, launcher))
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "train").glob("*/result.json")}
    check(tmp_path, sweep(tmp_path, launcher))
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "train").glob("*/result.json")} == times


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """Address of a Ray cluster of this machine alone."""
    if not installed("ray"):
        pytest.skip("hydra_ray_launcher is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"]
    options = [f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false"]
    head = subprocess.Popen(
        [*command, *options], env=environment(), cwd=tmp_path, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"127.0.0.1:{port}"
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.5)
    time.sleep(3)
    yield address
    os.killpg(head.pid, signal.SIGTERM)
    head.wait(120)


def test_ray_joins_a_running_cluster(cluster: str, tmp_path: Path) -> None:
    check(tmp_path, sweep(tmp_path, "ray", f"hydra.launcher.ray.init.address='{cluster}'"))


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
