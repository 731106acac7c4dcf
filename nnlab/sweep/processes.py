"""Jobs in processes of their own: a number of slots, each with its share of the cores and a GPU that it leases.

A process that crashes or is killed takes only its own job with it. It inherits the claim on the run directory, so that
nobody else writes there while it lives, even if the driver has died; it notices that by its standard input, which then
ends, saves and leaves.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType

from nnlab import interpreter
from nnlab.device import cores
from nnlab.errors import UserError
from nnlab.interruption import EXIT_CODES
from nnlab.storage.folder import OUTPUT, read_result
from nnlab.sweep.driver import Driver, JobFailed
from nnlab.sweep.job import PENDING, Job, Outcome, finished

TAIL = 20  # lines of it that a failure keeps

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the GPUs that may be leased, as CUDA_VISIBLE_DEVICES lists them."""
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [name.strip() for name in listed.split(",") if name.strip() and name.strip() != "-1"]
    import torch

    return [str(i) for i in range(torch.cuda.device_count())]


class Processes:
    """Runs jobs in child processes.

    Args:
        command: the child; it reads a line of JSON from its standard input.
        message: the line for a job.
        slots: jobs at a time, at least 1; None: one for each GPU, or else for each core.
        threads: processor threads of a job; None: cores / slots.
        gpus: names of the GPUs to lease, as for CUDA_VISIBLE_DEVICES.
    """

    def __init__(
        self,
        command: Sequence[str],
        message: Callable[[Job], str],
        slots: int | None = None,
        threads: int | None = None,
        gpus: Sequence[str] = (),
    ) -> None:
        self.command, self.message = list(command), message
        self.slots = len(gpus) or cores() if slots is None else slots
        share = max(1, cores() // self.slots)
        self.threads = share if threads is None else threads
        self._free: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        for slot in range(self.slots):
            self._free.put(gpus[slot % len(gpus)] if gpus else None)
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._received: list[int] = []

    def run(self, driver: Driver, jobs: Sequence[Job]) -> None:
        """Run all jobs, as many at a time as there are slots."""
        with self._forwarding(), concurrent.futures.ThreadPoolExecutor(self.slots) as pool:

            def one(job: Job) -> None:
                if not driver.stopped and not self._received:
                    driver.run_chunk([job])

            for future in [pool.submit(one, job) for job in jobs]:
                future.result()
        if not self._received:
            with self._forwarding():
                driver.run_elsewhere()

    def train(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run one job in a child and wait for it.

        Raises:
            JobFailed: it crashed, was killed, or ended with an error.
        """
        [job] = jobs
        gpu = self._free.get()
        try:
            code = self._run_child(job, gpu)
        finally:
            self._free.put(gpu)
        outcome = finished(job)
        if outcome is not None and code >= 0:
            return [Outcome(outcome.result)]
        by_signal = {exit_code: number for number, exit_code in EXIT_CODES.items()}
        if read_result(job.directory) is None and (self._received or code in by_signal):
            signals = self._received[:1] or [by_signal[code]]
            return [Outcome({**PENDING, "status": "interrupted"}, signals)]
        raise JobFailed("\n".join([*_tail(job), _ending(code)]))

    def environment(self, gpu: str | None) -> dict[str, str]:
        """The child's environment: its threads, set before torch loads, and its GPU."""
        variables = {**interpreter.environment(), **dict.fromkeys(THREAD_VARIABLES, str(self.threads))}
        return variables if gpu is None else {**variables, "CUDA_VISIBLE_DEVICES": gpu}

    def _run_child(self, job: Job, gpu: str | None) -> int:
        claim = job.claim.descriptors() if job.claim is not None else []
        with open(job.directory / OUTPUT, "ab") as output:
            child = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=self.environment(gpu),
                pass_fds=claim, start_new_session=True,
            )  # fmt: skip
        self._children[child.pid] = child
        try:
            if child.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.write(self.message(job).encode() + b"\n")
                    child.stdin.flush()
            if self._received:
                child.terminate()
            return child.wait()
        finally:
            del self._children[child.pid]
            if child.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.close()

    @contextlib.contextmanager
    def _forwarding(self) -> Iterator[None]:
        """Inside the block, a signal that ends the driver lets the children save first."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, _frame: FrameType | None) -> None:
            self._received.append(number)
            for child in list(self._children.values()):
                child.send_signal(signal.SIGTERM if len(self._received) == 1 else signal.SIGKILL)

        before = {number: signal.signal(number, handle) for number in EXIT_CODES}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _tail(job: Job) -> list[str]:
    """The last lines of what a job's process printed."""
    try:
        with open(job.directory / OUTPUT, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            return file.read().decode(errors="replace").splitlines()[-TAIL:]
    except OSError as error:
        raise UserError(f"cannot read `{job.directory / OUTPUT}` ({error.strerror})") from error


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"its process ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process was killed by signal {-code}"


def end_with_parent() -> None:
    """In a child: end by SIGTERM, which saves first, when the driver has died. Reads standard input from now on."""

    def watch() -> None:
        descriptor = sys.stdin.fileno()
        while os.read(descriptor, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
