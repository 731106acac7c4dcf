"""Where a run computes: the device and precision that a name such as `auto` or `bf16` stands for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from nnlab.errors import UserError
from nnlab.validation import check_choice

PRECISIONS = ("float32", "tf32", "bf16", "float64")


def resolve_device(name: str) -> torch.device:
    """The device for `auto` (cuda, then mps, then cpu) or an explicit name such as `cuda:1`.

    Raises:
        UserError: the name is no device, or that device is not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind == "gpu":
        raise UserError("`trainer.device` has no option 'gpu'; NVIDIA's and AMD's are `cuda`, Apple's `mps`")
    check_choice("trainer.device", kind, ("auto", "cpu", "cuda", "mps"))
    if index and not index.isdecimal():
        raise UserError(f"`trainer.device` must look like `cuda:0`, got `{name}`")
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}[kind]
    if int(index or 0) >= count:
        here = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise UserError(f"`trainer.device={name}` is not on this machine; here: {here}")
    return torch.device(name)


def resolve_dtype(precision: str) -> torch.dtype:
    """The dtype in which parameters are kept: float64 for `float64`, otherwise float32.

    Raises:
        UserError: there is no such precision.
    """
    check_choice("trainer.precision", precision, PRECISIONS)
    return torch.float64 if precision == "float64" else torch.float32


def set_up(device: torch.device, precision: str, deterministic: bool) -> None:
    """Make torch compute on `device` as a run asks for: products and convolutions of float32 in full or in tf32."""
    if device.type == "cuda":  # by its defaults, cuDNN's convolutions take tf32 for float32
        products = "tf32" if precision == "tf32" else "ieee"
        torch.backends.cuda.matmul.fp32_precision = products
        torch.backends.cudnn.conv.fp32_precision = products  # type: ignore[attr-defined]
    # Only where it changes something: the call loads torch's compiler, which takes a second.
    if deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(deterministic)


@contextlib.contextmanager
def small_as_zero() -> Iterator[None]:
    """While it lasts, this thread takes numbers nearer to zero than the smallest normal one as zero, if it can.

    The optimizer's memory of gradients that have vanished comes to rest among them, and each would take the processor
    a hundred times as long.
    """
    number = torch.full((), torch.finfo(torch.float32).smallest_normal)
    before = float(number / 2) == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory(device: torch.device) -> int:
    """Bytes that are free where `device` keeps its tensors, also under a container's or a shell's limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    available = _number(Path("/proc/meminfo"), "MemAvailable:", 1024) or pages
    return max(0, min([available, *_left_by_groups(), *_left_by_shell()]))


def _left_by_groups() -> Iterator[int]:
    """Bytes that control groups leave, those of this process and all above; files that the system keeps do not count.

    Version 2 first, then version 1 (https://docs.kernel.org/admin-guide/cgroup-v2.html, "memory.stat").
    """
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    places = [Path("/sys/fs/cgroup")]
    for line in lines:
        _, kind, path = [*line.split(":", 2), "", ""][:3]
        if kind in ("", "memory"):
            root = Path("/sys/fs/cgroup") / kind
            group = root / path.lstrip("/")
            places += [group, *(above for above in group.parents if above.is_relative_to(root)), root]
    for place in dict.fromkeys(places):
        for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most, used = _number(place / limit), _number(place / usage)
            if most is not None and used is not None:
                yield most - used + _file_bytes(place / "memory.stat")


def _file_bytes(path: Path) -> int:
    """Bytes of files that the system keeps for a group and those below it, which it gives up where memory is wanted.

    Those read more than once count as active; version 1 names what counts the groups below `total_...`.
    """
    kinds = ("inactive_file ", "active_file ")
    return sum(_number(path, f"total_{kind}") or _number(path, kind) or 0 for kind in kinds)


def _left_by_shell() -> Iterator[int]:
    """Bytes that `ulimit -v` and `ulimit -d` leave."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for kind, label in ((resource.RLIMIT_AS, "VmSize:"), (resource.RLIMIT_DATA, "VmData:")):
        most, used = resource.getrlimit(kind)[0], _number(Path("/proc/self/status"), label, 1024)
        if most != resource.RLIM_INFINITY and used is not None:
            yield most - used


def _number(path: Path, label: str = "", unit: int = 1) -> int | None:
    """The number behind `label` in a file of the system, if there is one."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.removeprefix(label).split()
        if line.startswith(label) and words and words[0].isdecimal():
            return int(words[0]) * unit
    return None


def give_back() -> None:
    """Let the system have what was freed; the C library (glibc) keeps much of it for later otherwise."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out."""
    text = str(error)
    signs = ("not enough memory", "out of memory", "can't allocate memory", "Storage size calculation overflowed")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in text for sign in signs)
    )
