"""The house keeps its walls: floors, dependencies that only one place may know, late imports."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = {
    **dict.fromkeys(
        [
            "errors",
            "interruption",
            "interpreter",
            "process",
            "metric_names",
            "validation",
            "types",
            "randomness",
            "members",
            "device",
            "streaming",
            "units",
        ],
        0,
    ),
    **dict.fromkeys(["console", "notebook", "storage"], 0),
    **dict.fromkeys(
        [
            *("data", "architecture", "activation", "initialization", "loss", "optimizer", "scheduler"),
            *("regularizer", "statistics", "backprop"),
        ],
        1,
    ),
    "training": 2,
    **dict.fromkeys(["diagnosis", "report"], 3),
    "callbacks": 4,
    "config": 5,
    **dict.fromkeys(["runs", "study"], 6),
    "sweep": 7,
    **dict.fromkeys(["cli", "recipe", "play"], 8),
    "probe": 9,
    **dict.fromkeys(["commands", "estimators"], 10),
}
FREE = {"__init__", "__main__"}

# Packages that only these modules may import.
CONFINED = {
    "hydra": ("nnlab/cli", "hydra_plugins"),
    "omegaconf": ("nnlab/cli", "hydra_plugins"),
    "tensorboard": ("nnlab/callbacks/tensorboard", "nnlab/commands/board.py"),
    "matplotlib": ("nnlab/report", "experiments"),
}

# Packages that no other place may import: those of CONFINED, and the names of a run's files, which storage/ has.
RUN_FILES = (
    *("config.yaml", "overrides.yaml", "environment.json", "result.json", "history.csv", "statistics.csv"),
    *("last.ckpt", "previous.ckpt", "best.ckpt", "log.txt", "output.txt", "events.out.tfevents"),
)


def modules(*patterns: str) -> list[Path]:
    """The files that the patterns find; a pattern that finds none guards nothing, and is a mistake."""
    found = {pattern: sorted(ROOT.glob(pattern)) for pattern in patterns}
    empty = [pattern for pattern, files in found.items() if not files]
    assert not empty, f"no files at {empty}"
    return [path for files in found.values() for path in files]


NNLAB = modules("nnlab/**/*.py")
MODULES = [*NNLAB, *modules("hydra_plugins/**/*.py")]
NAMES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}
OPTIONS = modules("configs/*/**/*.yaml")


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """Modules that a file imports at run time, anywhere in it; those for type checkers alone do not count."""
    found = []
    tree = ast.parse(path.read_text())
    ignored = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in node.body
        for inner in ast.walk(child)
    }
    for node in ast.walk(tree):
        if id(node) in ignored:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            submodules = [name for name in inside if name in NAMES]
            found += [*submodules, *([node.module] if len(submodules) < len(inside) else [])]
    return tuple(found)


def part(path: Path) -> str:
    """The package or top-level module of nnlab that a file belongs to."""
    relative = path.relative_to(ROOT / "nnlab")
    return relative.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", NNLAB, ids=str)
def test_modules_import_only_from_floors_below(path: Path) -> None:
    here = part(path)
    if here in FREE:
        return
    floor = FLOORS[here]
    for name in imports(path):
        if not name.startswith("nnlab.") or name.split(".")[1] == here:
            continue
        other = name.split(".")[1]
        if other.startswith("_"):
            continue
        below = FLOORS[other]
        allowed = below < floor or floor == below == 0
        assert allowed, f"{path.relative_to(ROOT)} (floor {floor}) imports {name} (floor {below})"


@pytest.mark.parametrize("package", CONFINED)
def test_only_its_own_place_knows_a_package(package: str) -> None:
    for path in MODULES:
        if any(name.split(".")[0] == package for name in imports(path)):
            relative = str(path.relative_to(ROOT))
            assert relative.startswith(CONFINED[package]), f"{relative} imports {package}"


def test_test_files_have_names_of_their_own() -> None:
    """pytest imports them by name alone, since those of a folder import what they share as top-level modules."""
    seen: dict[str, Path] = {}
    for path in modules("tests/**/*.py"):
        if path.name != "conftest.py":
            assert path.name not in seen, f"{path.relative_to(ROOT)}: {seen[path.name].relative_to(ROOT)} has its name"
            seen[path.name] = path


def test_every_part_of_the_package_has_a_floor() -> None:
    assert {part(path) for path in NNLAB} - FREE == set(FLOORS)


def texts(path: Path) -> list[str]:
    """The texts in a file's code, docstrings left out."""
    tree = ast.parse(path.read_text())
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documented = [node for node in ast.walk(tree) if isinstance(node, scopes) and ast.get_docstring(node)]
    docstrings = {id(node.body[0].value) for node in documented if isinstance(node.body[0], ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return [node.value for node in constants if isinstance(node.value, str)]


def test_only_storage_names_the_files_of_a_run() -> None:
    named = {name: set[str]() for name in RUN_FILES}
    for path in MODULES:
        for text in texts(path):
            for name in RUN_FILES:
                if name in text:
                    named[name].add(str(path.relative_to(ROOT)))
    for name, places in named.items():
        [place] = places
        assert place.startswith("nnlab/storage/"), f"{place} names {name}"


def prints(path: Path) -> bool:
    """Whether a module calls `print`."""
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Name) and function.id == "print" for function in calls)


def test_nothing_below_the_command_line_prints() -> None:
    above = ("nnlab/commands/", "nnlab/cli/", "nnlab/console.py")
    printing = [str(path.relative_to(ROOT)) for path in MODULES if prints(path)]
    assert [place for place in printing if not place.startswith(above)] == []


def test_modules_do_not_import_one_another_in_circles() -> None:
    needs = {name: set(imports(path)) - {name} for name, path in NAMES.items() if name != "nnlab"}
    while True:
        free = {name for name, needed in needs.items() if not needed & set(needs)}
        if not free:
            break
        needs = {name: needed for name, needed in needs.items() if name not in free}
    assert not needs, f"a circle is among {sorted(needs)}"


def test_training_loads_no_package_that_it_does_not_use() -> None:
    code = (
        "import sys, nnlab.runs.launch, nnlab.config; "
        "print([m for m in ('torchvision', 'matplotlib', 'sklearn', 'tensorboard', 'torch._dynamo', 'pandas')"
        " if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_run_on_the_digits_does_not_load_the_compiler(tmp_path: Path) -> None:
    code = (
        "import sys, nnlab; nnlab.train('trainer.epochs=1', f'output_dir={sys.argv[1]}', 'callbacks=[]'); "
        "print([m for m in ('torchvision', 'matplotlib', 'sklearn', 'torch._dynamo', 'torch._inductor', 'pandas')"
        " if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "[]"


def test_every_config_option_describes_itself() -> None:
    for path in OPTIONS:
        lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
        assert lines, path
        assert lines[0].startswith("# "), f"{path.relative_to(ROOT)} has no description"
        assert len(lines[0]) > 12, path
