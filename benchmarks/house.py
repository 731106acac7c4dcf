"""Claim: every concept stands once, and nothing climbs back up. Counts for the work tree, or for a commit beside it.

    python benchmarks/house.py              the work tree
    python benchmarks/house.py 28934bc      that commit and the work tree side by side

Counted in nnlab/ and hydra_plugins/: modules and their lines; import circles (modules in one, imports for types apart);
modules that read each file of a run; classes called `Finding`; file names that stand twice, but `base`;
attributes that `Trainer` sets; and calls that go up: imports of a floor from a floor below it, or on the same.
"""

from __future__ import annotations

import ast
import collections
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN_FILES = ("history.csv", "statistics.csv", "overrides.yaml", "environment.json", "result.json", "config.yaml")
READING = ("read_text", "read_bytes", "safe_load", "loads", "load", "reader", "DictReader")


class House:
    """The modules of a checkout.

    Args:
        root: the checkout.
    """

    def __init__(self, root: Path) -> None:
        paths = sorted([*root.glob("nnlab/**/*.py"), *root.glob("hydra_plugins/**/*.py")])
        self.root = root
        self.texts = {self.name(path): path.read_text() for path in paths}
        self.trees = {name: ast.parse(text) for name, text in self.texts.items()}
        self.paths = {self.name(path): path for path in paths}

    def name(self, path: Path) -> str:
        """The dotted name of a module."""
        return ".".join(path.relative_to(self.root).with_suffix("").parts).removesuffix(".__init__")

    def imports(self, name: str) -> set[str]:
        """The modules of the house that a module imports when it runs, anywhere in it."""
        tree = self.trees[name]
        blocks = [
            node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        ]
        ignored = {id(inner) for block in blocks for child in block.body for inner in ast.walk(child)}
        found: set[str] = set()
        for node in ast.walk(tree):
            if id(node) in ignored:
                continue
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {each for each in inside if each in self.trees}
                found |= set() if inside <= set(self.trees) else {node.module}
        return {each for each in found if each in self.trees and each != name}

    def circles(self) -> int:
        """Modules that import one another in a circle; the package itself, which imports late, is not counted."""
        needs = {name: self.imports(name) for name in self.trees if name != "nnlab"}
        while free := [name for name, needed in needs.items() if not needed & set(needs)]:
            needs = {name: needed for name, needed in needs.items() if name not in free}
        return len(needs)

    def readers(self, file: str) -> int:
        """Functions that name a file of a run, directly or by a constant, and read something."""
        constants = {
            target.id
            for tree in self.trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target, value in _pairs(node)
            if isinstance(value, ast.Constant) and value.value == file
        }
        count = 0
        for tree in self.trees.values():
            for function in ast.walk(tree):
                if isinstance(function, ast.FunctionDef):
                    inner = list(ast.walk(function))
                    docstring = ast.get_docstring(function, clean=False)
                    named = any(
                        (isinstance(node, ast.Constant) and isinstance(node.value, str) and file in node.value
                         and node.value != docstring)
                        or (isinstance(node, ast.Name) and node.id in constants)
                        for node in inner
                    )  # fmt: skip
                    reads = any(
                        isinstance(node, ast.Call) and _called(node) in (*READING, "_read", "_lines") for node in inner
                    )
                    count += named and reads
        return count

    def floors(self) -> Mapping[str, int]:
        """The floor of each part, as the structure test of the checkout has it."""
        scope: dict[str, object] = {}
        tree = ast.parse((self.root / "tests" / "test_structure.py").read_text())
        table = next(node for node in tree.body if isinstance(node, ast.Assign) and _pairs(node)[0][0].id == "FLOORS")
        exec(compile(ast.Module([table], []), "floors", "exec"), scope)
        return scope["FLOORS"]  # type: ignore[return-value]

    def climbs(self) -> int:
        """Imports of another part that is not on a floor below."""
        floors, count = self.floors(), 0
        for name in self.trees:
            here = name.split(".")[1] if name.count(".") else ""
            for other in self.imports(name):
                there = other.split(".")[1] if other.count(".") else ""
                if here in floors and there in floors and here != there:
                    count += not (floors[there] < floors[here] or floors[here] == floors[there] == 0)
        return count

    def handed_up(self) -> int:
        """Types of functions that a module takes in order to call what stands above it: aliases of `Callable`."""
        return sum(
            isinstance(node, ast.Assign)
            and "Callable" in ast.dump(node.value)
            and isinstance(node.value, ast.Subscript)
            for name, tree in self.trees.items()
            if name.startswith(("nnlab.recipe", "nnlab.sweep", "nnlab.runs"))
            for node in tree.body
        )

    def attributes(self) -> int:
        """The attributes that the trainer sets on itself."""
        for name, tree in self.trees.items():
            if name.startswith("nnlab.training"):
                for node in ast.walk(tree):
                    if isinstance(node, ast.ClassDef) and node.name == "Trainer":
                        return len(
                            {
                                each.attr
                                for each in ast.walk(node)
                                if isinstance(each, ast.Attribute)
                                and isinstance(each.ctx, ast.Store)
                                and isinstance(each.value, ast.Name)
                                and each.value.id == "self"
                            }
                        )
        return 0

    def doubled_names(self) -> int:
        """File names that stand more than once."""
        names = collections.Counter(path.name for path in self.paths.values())
        return sum(count > 1 for name, count in names.items() if name not in ("__init__.py", "base.py"))

    def catalogs(self) -> int:
        """Classes of findings."""
        classes = [node for tree in self.trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        return sum(node.name == "Finding" for node in classes)

    def printing(self) -> int:
        """Calls of `print` below the command line."""
        above = ("nnlab.commands", "nnlab.cli", "nnlab.console")
        return sum(
            isinstance(node, ast.Call) and _called(node) == "print"
            for name, tree in self.trees.items()
            if not name.startswith(above)
            for node in ast.walk(tree)
        )

    def counts(self) -> dict[str, int]:
        """Everything that is counted."""
        lines = [len(text.splitlines()) for text in self.texts.values()]
        return {
            "modules": len(self.texts),
            "lines": sum(lines),
            "longest module": max(lines),
            "modules in import circles": self.circles(),
            **{f"readers of {file}": self.readers(file) for file in RUN_FILES},
            "classes called Finding": self.catalogs(),
            "file names that stand twice": self.doubled_names(),
            "attributes of Trainer": self.attributes(),
            "imports that climb": self.climbs(),
            "types of functions handed down to climb": self.handed_up(),
            "prints below the command line": self.printing(),
        }


def _pairs(node: ast.Assign) -> list[tuple[ast.Name, ast.expr]]:
    """Names and values of an assignment, also of several at once."""
    [target] = node.targets[:1]
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        return [(t, v) for t, v in zip(target.elts, node.value.elts, strict=True) if isinstance(t, ast.Name)]
    return [(target, node.value)] if isinstance(target, ast.Name) else []


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def at(commit: str) -> dict[str, int]:
    """The counts of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        return House(Path(folder)).counts()


def main() -> None:
    """Print the table."""
    columns = {commit: at(commit) for commit in sys.argv[1:]} | {"work tree": House(ROOT).counts()}
    print(f"{'':42}" + "".join(f"{name[:10]:>12}" for name in columns))
    for row in columns["work tree"]:
        print(f"{row:42}" + "".join(f"{column[row]:>12}" for column in columns.values()))


if __name__ == "__main__":
    main()
