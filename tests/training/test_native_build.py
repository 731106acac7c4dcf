"""The native engine is compiled once for a machine, and whatever is wrong with compilers or folders is no failure."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked import SERVER

from nnlab.training.native import build


@pytest.fixture(scope="module")
def real() -> Path:
    """A library that works."""
    try:
        return Path(build.library()._name)
    except build.BuildError as error:
        pytest.skip(f"no compiler here: {error}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, no compilers but those that a test names, and nothing loaded before or after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "compilers", lambda: [tuple(os.environ["CXX"].split())])
    build.library.cache_clear()
    yield tmp_path
    build.library.cache_clear()


def pretended(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str, name: str = "cxx") -> Path:
    """A compiler that notes its calls in `calls` and then `does` something with "$out", where the library should go."""
    program = folder / name
    find = 'while [ $# -gt 0 ]; do [ "$1" = -o ] && out="$2"; shift; done'
    program.write_text(f'#!/bin/sh\necho call >> "{folder}/calls"\n{find}\n{does}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(program))
    return program


def calls(folder: Path) -> int:
    return len((folder / "calls").read_text().splitlines()) if (folder / "calls").exists() else 0


def libraries(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "nnlab" / "native").glob("*"))


def works(library: ctypes.CDLL) -> bool:
    return bool(library.nnlab_plan_size() == ctypes.sizeof(build.Plan))


def test_the_source_is_compiled_once_and_then_found(folder: Path, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended(folder, monkeypatch, f'cp "{real}" "$out"')
    assert works(build.library())
    build.library.cache_clear()
    assert works(build.library())
    assert calls(folder) == 1
    assert [path.suffix for path in libraries(folder)] == [".so"]


def test_another_compiler_gets_a_library_of_its_own(folder: Path, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        pretended(folder, monkeypatch, f'cp "{real}" "$out"', name)
        build.library.cache_clear()
        assert works(build.library())
    assert calls(folder) == 2
    assert len(libraries(folder)) == 2


def test_a_changed_source_is_compiled_anew(folder: Path, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended(folder, monkeypatch, f'cp "{real}" "$out"')
    build.library()
    changed = folder / "source"
    shutil.copytree(build.SOURCE, changed)
    with (changed / "rules.h").open("a") as file:
        file.write("// one more line\n")
    monkeypatch.setattr(build, "SOURCE", changed)
    build.library.cache_clear()
    build.library()
    assert calls(folder) == 2


def test_a_library_that_was_cut_off_is_built_again(folder: Path, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended(folder, monkeypatch, f'cp "{real}" "$out"')
    build.library()
    (library,) = libraries(folder)
    library.unlink()  # and not written over: this process has it mapped
    library.write_bytes(b"not a library")
    build.library.cache_clear()
    assert works(build.library())
    assert calls(folder) == 2


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("echo 'chain.cpp:1:1: error: I have no idea' >&2; exit 1", "I have no idea"),
        ("exit 3", "exit code 3"),
        ("exit 0", "too short"),
        ("echo nonsense > $out", "cxx"),
    ],
    ids=["error", "silent", "nothing", "nonsense"],
)
def test_a_broken_compiler_is_a_reason_and_no_crash(
    does: str, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretended(folder, monkeypatch, does)
    with pytest.raises(build.BuildError, match=reason):
        build.library()
    assert libraries(folder) == []


def test_a_missing_compiler_is_a_reason(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(folder / "nowhere"))
    with pytest.raises(build.BuildError, match="nowhere"):
        build.library()
    monkeypatch.setattr(build, "compilers", lambda: [])
    build.library.cache_clear()
    with pytest.raises(build.BuildError, match=r"no C\+\+ compiler was found"):
        build.library()


def test_the_next_compiler_is_tried_after_one_that_fails(
    folder: Path, real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = pretended(folder, monkeypatch, "exit 1", "bad")
    good = pretended(folder, monkeypatch, f'cp "{real}" "$out"', "good")
    monkeypatch.setattr(build, "compilers", lambda: [(str(bad),), (str(good),)])
    assert works(build.library())


def test_a_cache_that_cannot_be_written_is_replaced_by_a_folder_of_the_process(
    folder: Path, real: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretended(folder, monkeypatch, f'cp "{real}" "$out"')
    (folder / "file").write_text("")  # a file in the place of a folder cannot be written by root either
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file"))
    with caplog.at_level("INFO"):
        loaded = build.library()
    assert works(loaded)
    assert len(caplog.messages) == 1
    assert "cannot be written" in caplog.messages[0]
    assert not str(loaded._name).startswith(str(folder))


def build_here(variables: dict[str, str]) -> None:
    """In a process of its own: compile the library, and leave with 0 if it works."""
    os.environ.update(variables)
    build.compilers = lambda: [(os.environ["CXX"],)]
    sys.exit(not works(build.library()))


def test_two_processes_may_build_at_once(folder: Path, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended(folder, monkeypatch, f'sleep 0.3; cp "{real}" "$out"')
    variables = {name: os.environ[name] for name in ("CXX", "XDG_CACHE_HOME")}
    processes = [SERVER.Process(target=build_here, args=(variables,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(libraries(folder)) == 1


def test_a_compiler_from_the_environment_comes_first_and_the_wheel_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "ccache clang++")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: object() if name == "ziglang" else None)
    commands = build.compilers()
    assert commands[0] == ("ccache", "clang++")
    assert commands[-1][1:3] == ("-m", "ziglang")
