"""The house keeps its walls: floors, dependencies that only one place may know, late imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = {
    **dict.fromkeys(["errors", "metric_names", "validation", "types", "randomness", "members", "device", "storage"], 0),
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
    **dict.fromkeys(["cli", "recipe"], 8),
    "commands": 9,
}
FREE = {"__init__", "__main__"}

# Packages that only these modules may import.
CONFINED = {
    "hydra": ("nnlab/cli", "hydra_plugins"),
    "omegaconf": ("nnlab/cli", "hydra_plugins"),
    "tensorboard": ("nnlab/callbacks/tensorboard", "nnlab/commands/board.py"),
    "matplotlib": ("nnlab/report", "experiments"),
}

MODULES = sorted([*ROOT.glob("nnlab/**/*.py"), *ROOT.glob("hydra_plugins/**/*.py")])


def imports(path: Path) -> list[str]:
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
            found.append(node.module)
            if node.module == "nnlab":
                found += [f"nnlab.{alias.name}" for alias in node.names]
    return found


def part(path: Path) -> str:
    """The package or top-level module of nnlab that a file belongs to."""
    relative = path.relative_to(ROOT / "nnlab")
    return relative.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", [p for p in MODULES if p.relative_to(ROOT).parts[0] == "nnlab"], ids=str)
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
    for path in sorted(ROOT.glob("configs/*/**/*.yaml")):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
        assert lines, path
        assert lines[0].startswith("# "), f"{path.relative_to(ROOT)} has no description"
        assert len(lines[0]) > 12, path
