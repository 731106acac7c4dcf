"""`nnlab board [RUN or STUDY ...]`: start TensorBoard on the right folder, and print the address of the right page.

TensorBoard's first page, TIME SERIES, shows the first hundreds of runs; SCALARS begins with all runs switched off where
there are many, and nnlab's own charts (training against validation, all layers in one chart) are in CUSTOM SCALARS. So
the address leads to CUSTOM SCALARS for few runs, and to TIME SERIES for many. Of a study whose configurations were
repeated with several seeds it selects the curves over seeds, `mean/...`; clearing the box with that word brings all
runs back.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from nnlab import interpreter
from nnlab.cli.arguments import Grammar, Key, whole
from nnlab.errors import UserError
from nnlab.storage.files import at
from nnlab.storage.folder import EVENTS, MEAN

PORT = 6006
PINNED = ("loss/validation", "loss/train_average", "accuracy/validation", "rmse/validation")  # on top of TIME SERIES
SEEDS = "^mean/"  # the curves over seeds of a study (`nnlab.study.curves`), among the names of runs
MANY = 40  # runs beyond which CUSTOM SCALARS begins with all runs switched off
MOST_POINTS = 1_000_000  # of a curve; 0, which stands for all, leaves the charts of CUSTOM SCALARS empty
PATIENCE = 60.0  # seconds that TensorBoard may take to answer


GRAMMAR = Grammar(
    "board",
    "Show runs and studies in TensorBoard; without a folder those in outputs.",
    "[RUN or STUDY ...]",
    [
        Key("port", "by default 6006, or another one where that is taken", whole),
        Key("host", "the address to listen on", default="localhost"),
    ],
)


def main(arguments: Sequence[str]) -> int:
    """Run TensorBoard until it is interrupted.

    Raises:
        UserError: there are no runs, or TensorBoard does not start.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    with _ended_by_signals(), board(given.words, given.port, given.host) as address:
        print(f"TensorBoard: {address}")
        print("CUSTOM SCALARS has the charts, IMAGES what was learned, HPARAMS the table; Ctrl-C ends it", flush=True)
        if urllib.parse.quote(SEEDS, safe="") in address:
            print(f"shown are the curves over seeds; without `{SEEDS}` in the field of runs, all runs", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
    return 0


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Inside, SIGTERM ends as Ctrl-C does, so that TensorBoard does not stay on its port."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # only that one may
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def board(paths: Sequence[str | Path] = (), port: int | None = None, host: str = "localhost") -> Iterator[str]:
    """A TensorBoard that shows `paths` inside the block; the value is the address of the page to open.

    Raises:
        UserError: there are no runs, or TensorBoard does not start.
    """
    folders = [at(path) for path in paths or ["outputs"]]
    runs = sum(count_runs(folder) for folder in folders)
    repeated = len(folders) == 1 and any((folders[0] / MEAN).glob(f"*/{EVENTS}*"))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_together(folders))
        chosen = port or free_port(host)
        log = stack.enter_context(tempfile.TemporaryFile())
        command = [*interpreter.running("tensorboard.main"), "--logdir", str(folder)]
        # TensorBoard keeps 1,000 points of a curve, drawn at random; the first loss is to be among them.
        command += ["--samples_per_plugin", f"scalars={MOST_POINTS}"]
        process = subprocess.Popen(
            [*command, "--host", host, "--port", str(chosen)], stdout=log, stderr=log, env=interpreter.environment()
        )
        stack.callback(_stop, process)
        _wait(process, f"http://{host}:{chosen}/", log)
        yield f"http://{host}:{chosen}/{page(runs, seeds=repeated)}"


def page(runs: int, *, seeds: bool = False) -> str:
    """What to add to the address: the page for so many runs, where there are many with the first charts pinned.

    `seeds` selects the curves over seeds.
    """
    chosen = urllib.parse.quote(SEEDS, safe="")
    if runs <= MANY:
        # The training loss is averaged already; the rest must not be.
        return "#custom_scalars&_smoothingWeight=0" + (f"&regexInput={chosen}" if seeds else "")
    # Curves over seeds have averages under the plain tag.
    pinned = [tag.replace("train_average", "train") for tag in PINNED] if seeds else PINNED
    cards = [{"plugin": "scalars", "tag": tag} for tag in pinned]
    filtered = f"&smoothing=0&runFilter={chosen}" if seeds else ""
    return f"?pinnedCards={urllib.parse.quote(json.dumps(cards, separators=(',', ':')))}{filtered}#timeseries"


def count_runs(folder: Path) -> int:
    """How many runs are at or below a folder.

    Raises:
        UserError: there are none.
    """
    runs = len({path.parent for path in folder.rglob(f"{EVENTS}*")}) if folder.is_dir() else 0
    if not runs:
        what = "there is no folder" if not folder.is_dir() else "there is no run with TensorBoard's events in"
        raise UserError(f"{what} `{folder}`; give the folder of a run or of a study, such as outputs/train")
    return runs


@contextlib.contextmanager
def _together(folders: Sequence[Path]) -> Iterator[Path]:
    """One folder that shows all of them; a single run under its own name rather than a dot."""
    if len(folders) == 1 and not list(folders[0].glob(f"{EVENTS}*")):
        yield folders[0]
        return
    with tempfile.TemporaryDirectory(prefix="nnlab-board-") as temporary:
        for folder in folders:
            name, number = folder.resolve().name, 1
            while (link := Path(temporary) / (name if number == 1 else f"{name} ({number})")).is_symlink():
                number += 1
            link.symlink_to(folder.resolve(), target_is_directory=True)
        yield Path(temporary)


def free_port(host: str) -> int:
    """6006 if nothing listens there, else one that the system gives."""
    for port in (PORT, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    raise UserError(f"cannot listen on `{host}`")


def _wait(process: subprocess.Popen[bytes], address: str, log: IO[bytes]) -> None:
    """Until TensorBoard answers.

    Raises:
        UserError: it has ended, or does not answer.
    """
    started = time.monotonic()
    while time.monotonic() - started < PATIENCE:
        if process.poll() is not None:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            raise UserError(f"TensorBoard did not start: {lines[-1] if lines else 'no reason given'}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(address, timeout=5).close()
            return
        time.sleep(0.1)
    raise UserError(f"TensorBoard does not answer at {address}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
