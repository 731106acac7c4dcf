"""Claim: whatever is damaged in a run's folder, every command answers with a sentence, and never with a traceback.

Every file of a run x 8 damages x 8 commands; a study with a damaged run still shows the others.

    python benchmarks/damaged_runs.py              all cases, some minutes
    python benchmarks/damaged_runs.py --cases 80   a sample

| | cases | wrong |
|---|---|---|
| all of 12 files | 768 | 0 |
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import random
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from nnlab.cli import main

SMALL = ["data.limit=80", "architecture.widths=[4]", "trainer.epochs=2", "scheduler=constant"]
CALLBACKS = "callbacks=[tensorboard,statistics,checkpoint]"


def flipped(data: bytes) -> bytes:
    """The content with one bit flipped in its middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :] if data else b"\4"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "last bytes missing": lambda data: data[:-7],
    "noise": lambda data: bytes(random.Random(0).randrange(256) for _ in range(200)),
    "another shape": lambda data: b"[1, 2]\n",
    "one bit": flipped,
    "removed": lambda data: data,
    "a folder": lambda data: data,
}


class Place:
    """A study with two sound runs, and copies of it in which one is damaged.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.original = root / "original"
        code, said = self.answer(
            ["train", "-m", *self.arguments(self.original), "seed=0,1", "hydra.launcher.stack=never"]
        )
        assert code == 0, said
        self.run = sorted(path.parent.name for path in self.original.glob("study/*/config.yaml"))[0]
        folder = self.original / "study" / self.run
        self.files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    @staticmethod
    def arguments(place: Path) -> list[str]:
        """The overrides of the study in a folder."""
        return [*SMALL, CALLBACKS, f"output_dir={place}", "name=study"]

    @contextlib.contextmanager
    def damaged(self, file: str, damage: str) -> Iterator[Path]:
        """A copy of the study in which a file of the first run is damaged."""
        copy = self.root / "copy"
        shutil.copytree(self.original, copy)
        path = copy / "study" / self.run / file
        content = DAMAGES[damage](path.read_bytes())
        if damage in ("removed", "a folder"):
            path.unlink()
            if damage == "a folder":
                path.mkdir()
        else:
            path.write_bytes(content)
        try:
            yield copy
        finally:
            shutil.rmtree(copy)

    @staticmethod
    def answer(arguments: list[str]) -> tuple[int, str]:
        """The exit code of a command and all that it printed; a traceback where it raised."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                code = main(arguments)
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 1
            except BaseException:
                return -1, traceback.format_exc()
        return code, said.getvalue()

    def commands(self, copy: Path) -> dict[str, list[str]]:
        """The commands that read a run."""
        run = str(copy / "study" / self.run)
        return {
            "evaluate": ["evaluate", run],
            "diagnose": ["diagnose", run],
            "plot": ["plot", run, "only=loss,calibration"],
            "reproduce": ["reproduce", run],
            "study": ["study", str(copy / "study")],
            "export": ["export", run, "format=state_dict"],
            "resume": ["train", f"resume={run}", "trainer.epochs=3"],
            "sweep": ["train", "-m", *self.arguments(copy), "seed=0,1", "hydra.launcher.stack=never"],
        }


def check(place: Place, file: str, damage: str, command: str) -> str | None:
    """What is wrong with the answer to one case, if anything is."""
    with place.damaged(file, damage) as copy:
        code, said = place.answer(place.commands(copy)[command])
        if code == -1:
            return f"traceback: {said.strip().splitlines()[-1]}"
        if code and not said.strip():
            return "exit code without a word"
        if command == "study" and "seed" not in said and "Best" not in said:
            return "the sound run is not shown"
    return None


def cases(place: Place) -> list[tuple[str, str, str]]:
    """Every file, damage and command."""
    return list(itertools.product(place.files, DAMAGES, place.commands(place.original)))


def report(count: int | None) -> int:
    """Check the cases, print what is wrong, and the number of cases with it."""
    with tempfile.TemporaryDirectory(prefix="nnlab-damaged-") as folder:
        place = Place(Path(folder))
        chosen = cases(place)
        if count is not None:
            chosen = random.Random(1).sample(chosen, min(count, len(chosen)))
        wrong = 0
        for case in chosen:
            found = check(place, *case)
            if found:
                wrong += 1
                print(" | ".join((*case, found)), flush=True)
        print(f"{len(chosen)} cases, {wrong} wrong")
        return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, help="a sample of so many cases; default: all")
    raise SystemExit(bool(report(parser.parse_args().cases)))
