"""Compiling the source once for this machine, and loading it.

The library lies in the user's cache folder under a name made of source, compiler, flags and processor: whatever
changes gets a library of its own. It is written beside its place and moved there, so that two processes may build at
once. Where the cache cannot be written, a folder that is removed at the end of the process serves; where no compiler
works, nothing is loaded, and the reason is kept.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import importlib.util
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nnlab.storage.cache import cache_folder
from nnlab.training.native.plan import Link, Plan

log = logging.getLogger(__name__)

SOURCE = Path(__file__).parent / "source"
FLAGS = (
    "-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fno-exceptions", "-fno-rtti",
    "-fvisibility=hidden", "-g0", "-fPIC", "-shared", "-pthread", "-w",
)  # fmt: skip
TARGETS = ("-march=native", "-mcpu=native")  # how compilers call this processor; the first that one knows
TIME_LIMIT = 120  # seconds for one compiler

Command = tuple[str, ...]


class BuildError(Exception):
    """No compiler gave a library that works."""


@functools.cache
def library() -> ctypes.CDLL:
    """The compiled code; built where it is not there yet.

    Raises:
        BuildError: there is no compiler, or none that works.
    """
    reasons = []
    for compiler in compilers():
        try:
            return _library(compiler)
        except (OSError, subprocess.SubprocessError, BuildError) as error:
            reasons.append(f"{' '.join(compiler)}: {_line(error)}")
    raise BuildError("; ".join(reasons) or "no C++ compiler was found")


def compilers() -> list[Command]:
    """Commands that compile C++, in the order in which they are tried: $CXX, the system's, the wheel `ziglang`."""
    named = [tuple(os.environ["CXX"].split())] if os.environ.get("CXX") else []
    found = [(path,) for name in ("c++", "g++", "clang++") if (path := shutil.which(name))]
    wheel = [(sys.executable, "-m", "ziglang", "cc", "-x", "c++")] if importlib.util.find_spec("ziglang") else []
    return list(dict.fromkeys([*named, *found, *wheel]))


def library_folder() -> Path:
    """Where libraries are kept."""
    return cache_folder() / "native"


def _library(compiler: Command) -> ctypes.CDLL:
    """The library that `compiler` makes: loaded where it is there and whole, else built."""
    name = f"chain-{_fingerprint(compiler)}.so"
    path = library_folder() / name
    if path.exists():
        try:
            return _load(path)
        except (OSError, AttributeError, BuildError):  # cut off, or of another system that shares the folder
            log.debug("%s is built anew", path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(suffix=".so", dir=path.parent)
    except OSError as error:
        log.info("the native engine is compiled anew in every process: its cache cannot be written (%s)", error)
        path = Path(_folder_of_process()) / name
        _compile(compiler, path)
        return _load(path)
    os.close(descriptor)
    try:
        _compile(compiler, Path(temporary))
        loaded = _load(Path(temporary))
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return loaded


@functools.cache
def _folder_of_process() -> str:
    folder = tempfile.mkdtemp(prefix="nnlab-native-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _compile(compiler: Command, path: Path) -> None:
    """Compile to `path`.

    Raises:
        BuildError: with the first error that the compiler gave.
    """
    source = str(SOURCE / "chain.cpp")
    for target in TARGETS:
        command = [*compiler, *FLAGS, target, source, "-o", str(path), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            return
    lines = done.stderr.splitlines()
    first = next((line for line in lines if "error" in line), lines[0] if lines else "")
    raise BuildError(first or f"exit code {done.returncode}")


def _fingerprint(compiler: Command) -> str:
    """Of everything that decides the library: source, compiler with its date and size, flags, processor."""
    parts = [path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.suffix in (".h", ".cpp")]
    program = shutil.which(compiler[0])
    if program:
        state = os.stat(program)
        parts.append(f"{os.path.realpath(program)} {state.st_size} {state.st_mtime_ns}".encode())
    parts.append(" ".join([*compiler, *FLAGS, processor()]).encode())
    return hashlib.blake2b(b"\0".join(parts), digest_size=12).hexdigest()


@functools.cache
def processor() -> str:
    """What the compilers look at for this processor: architecture, model and instruction sets."""
    about = [platform.system(), platform.machine(), platform.processor()]
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    except OSError:
        first = []
    about += [line for line in first if line.startswith(("model name", "flags", "Features", "CPU part"))]
    return " ".join(about)


def _load(path: Path) -> ctypes.CDLL:
    """Load a library and compare its memory layout with this side's.

    Raises:
        OSError: it is not a library.
        AttributeError: not this one.
        BuildError: a plan has another size there.
    """
    loaded = ctypes.CDLL(str(path))
    for name, structure in (("nnlab_plan_size", Plan), ("nnlab_link_size", Link)):
        function = getattr(loaded, name)
        function.restype = ctypes.c_int64
        if function() != ctypes.sizeof(structure):
            raise BuildError(f"{name} is {function()}, not {ctypes.sizeof(structure)}")
    for name in ("nnlab_train", "nnlab_outputs"):
        function = getattr(loaded, name)
        function.argtypes, function.restype = [ctypes.POINTER(Plan)], None
    return loaded


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
