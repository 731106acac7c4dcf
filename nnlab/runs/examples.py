"""Raw examples from whatever a user has: a table, arrays, an image or a folder of them, piece by piece.

What a file is follows from the run that is to predict it: columns by name where it was trained on columns, else arrays
or images of the shape that it was trained on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch

from nnlab.console import counted
from nnlab.data.arrays import as_inputs, load
from nnlab.data.images import SUFFIXES, decode, files_below
from nnlab.data.pipeline import Pipeline
from nnlab.data.table.column import Column
from nnlab.data.table.delimited import TextOptions
from nnlab.data.table.reading import frames
from nnlab.device import cores
from nnlab.errors import UserError, did_you_mean
from nnlab.runs.prediction import block_size
from nnlab.storage.files import at

ROWS = 1 << 16  # examples in a piece, ...
NUMBERS = 1 << 22  # ... fewer where they are large
MOST_NAMED = 8  # columns that a message names
TEXT = ("separator", "header", "decimal", "encoding", "footer")  # of `data`: how a text table is written


@dataclass(frozen=True)
class Piece:
    """Some examples, one after another.

    Attributes:
        inputs: a frame, or an array (n, ...), as the run's pipeline takes them.
        columns: what may stand beside the predictions, by name: columns of the table, or the `file` of each image.
        targets: values of the target column, or the array of targets, where it is there.
        notes: how the file is read where that is a guess, or is another way than in training.
    """

    inputs: Any
    columns: Mapping[str, Column]
    targets: Any = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)


def pieces(
    source: str | Path, pipeline: Pipeline, data: Mapping[str, Any], text: Mapping[str, Any] | None = None
) -> Iterator[Piece]:
    """The examples of a file or folder; `-` is standard input, a text table.

    Args:
        source: where they are.
        pipeline: of the run that is to predict them.
        data: the section `data` of its config, for how text and images are read.
        text: what the user says about how this text is written, of `TEXT`; None: nothing.

    Raises:
        UserError: there is nothing at `source`, or it is not what the run needs.
    """
    if str(source) == "-":
        yield from _table(sys.stdin.buffer, pipeline, data, text or {})
        return
    path = at(source)
    if not path.exists():
        others = [each.name for each in path.parent.glob("*")] if path.parent.is_dir() else []
        raise UserError(f"there is no file `{source}`" + (f"; {did_you_mean(path.name, others)}" if others else ""))
    if pipeline.columns and (path.is_dir() or path.suffix.lower() in SUFFIXES):
        needed = ", ".join(pipeline.columns[:MOST_NAMED]) + (" ..." if len(pipeline.columns) > MOST_NAMED else "")
        what = "a folder" if path.is_dir() else "an image"
        raise UserError(f"`{source}` is {what}; this run takes a file with the columns {needed}")
    if path.is_dir():
        files, _ = files_below(path)
        if not files:
            raise UserError(f"{path} has no images")
        yield from _images(path, files, data)
    elif path.suffix.lower() in SUFFIXES:
        yield from _images(path.parent, [path], data)
    elif path.suffix.lower() in (".npz", ".npy"):
        yield from _arrays(path, pipeline, data)
    else:
        yield from _table(path, pipeline, data, text or {})


def _table(
    source: Path | IO[bytes], pipeline: Pipeline, data: Mapping[str, Any], text: Mapping[str, Any]
) -> Iterator[Piece]:
    """Rows of a table with the columns by name."""
    if not pipeline.columns:
        shape = " x ".join(map(str, getattr(pipeline.rule, "shape", ())))
        raise UserError(
            f"this run takes images ({shape}): give an image, a folder of them, or an array in a .npz or .npy file"
        )
    expected = pipeline.writing
    # What the user said about the text of the training is expected of others, where the run has noted it.
    kept = ("encoding", "footer") if expected.separator else TEXT
    known = {name: data[name] for name in kept if name in data} | dict(text)
    target = pipeline.target.column
    for frame, said in frames(source, TextOptions(**known, expected=expected), ROWS):
        yield Piece(frame, frame.columns, frame.columns.get(target) if target else None, said)


def _arrays(path: Path, pipeline: Pipeline, data: Mapping[str, Any]) -> Iterator[Piece]:
    """Examples of an array; in a .npz file of the array that has the shape of the run's inputs."""
    content = load(path)
    target = data.get("target")
    if isinstance(content, dict):
        key = _inputs_key(path, content, pipeline, target)
        targets = content.get(str(target)) if target != key else None
        array = content[key]
    else:
        array, targets = content, None
        if array.ndim == 2 and array.shape[1] == len(pipeline.columns) + 1:
            column = target if isinstance(target, int) else -1
            array, targets = np.delete(array, column, 1), array[:, column]
    if targets is not None and len(targets) != len(array):
        raise UserError(f"{path} has {counted(len(array), 'input')} but {counted(len(targets), 'target')}")
    size = _together(array[:1].size)
    for start in range(0, len(array), size):
        part = as_inputs(path, array[start : start + size])[0] if array.ndim > 2 else array[start : start + size]
        yield Piece(part, {}, None if targets is None else targets[start : start + size])


def _inputs_key(path: Path, content: Mapping[str, Any], pipeline: Pipeline, target: Any) -> str:
    """The name of the array of inputs: the only one besides the target, or the only one of the right shape."""
    others = [key for key in content if key != target]
    if len(others) == 1:
        return others[0]
    shape = getattr(pipeline.rule, "shape", (len(pipeline.columns),))
    fitting = [key for key in others if content[key].shape[1:] == tuple(shape)]
    if len(fitting) != 1:
        raise UserError(
            f"{path} holds the arrays {', '.join(content) or 'none'}, of which {len(fitting)} have the shape "
            f"(n, {', '.join(map(str, shape))}) of this run's inputs; give a file with one such array"
        )
    return fitting[0]


def _images(folder: Path, files: Sequence[Path], data: Mapping[str, Any]) -> Iterator[Piece]:
    """The images below a folder, and below which class folder each lies."""
    size, gray = data.get("size"), bool(data.get("grayscale"))
    count = _together(decode(files[0], size, gray).size)
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(files), count):
            some = files[start : start + count]
            images = list(pool.map(lambda path: decode(path, size, gray), some))
            _check_sizes(some, images)
            names = [str(path.relative_to(folder)) for path in some]
            column = Column("file", "text", np.arange(len(some), dtype=np.int32), tuple(names))
            classes = np.array([path.relative_to(folder).parts[0] if path.parent != folder else "" for path in some])
            yield Piece(torch.from_numpy(np.stack(images)), {"file": column}, classes)


def _together(numbers: int) -> int:
    """How many examples of so many numbers are a piece: whole blocks of those that pass through networks together."""
    block = block_size(numbers)
    return block * max(1, min(ROWS // block, NUMBERS // max(block * numbers, 1)))


def _check_sizes(files: Sequence[Path], images: Sequence[npt.NDArray[Any]]) -> None:
    """Refuse images of different sizes, which no array holds."""
    for path, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            raise UserError(
                f"images must have equal sizes, but {files[0]} has another than {path}; train with `data.size`"
            )
