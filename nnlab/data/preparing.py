"""Inputs of the splits as the network sees them: in memory, or streamed from where the raw examples lie.

What takes up to `SMALL` bytes is encoded and preprocessed as a whole. What takes more goes through the same operations
in pieces, with the same bits. It ends in memory where that is asked for, or where it takes at most a share of what
is free; otherwise pixels stay bytes on disk until the minibatch, and numbers of a table, or of a projection, which take
longer to compute than to read, are kept on disk as the float32 that the network sees.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nnlab.data.pipeline import Pipeline
from nnlab.data.preprocessing.base import Preprocessing, Transform
from nnlab.data.rules import ColumnRule, InputRule, TargetRule
from nnlab.device import free_memory, give_back
from nnlab.errors import UserError
from nnlab.storage import cache
from nnlab.storage.array_file import ArrayFile, ArrayWriter
from nnlab.streaming import SMALL, Streamed, fits, pieces

if TYPE_CHECKING:
    from nnlab.data.base import Source
    from nnlab.data.raw import Raw

TABLE_ROWS = 1 << 16  # rows of a table that are encoded at a time
PROJECTED = 1 << 26  # numbers that are projected at a time: the bits of a product depend on how many rows it has
KEPT = 4  # sets of splits of one data set whose numbers stay on disk

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Part:
    """The raw inputs of a split: rows `index` (n,) of all raw examples `rows`."""

    rows: Any
    index: Tensor

    def taken(self) -> Any:
        """The raw examples, in memory."""
        return self.rows.index_select(0, self.index) if isinstance(self.rows, Tensor) else self.rows[self.index]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Inputs of the splits with what was fitted for them; `resident` says whether they are in memory."""

    inputs: Sequence[Tensor | Streamed]
    rule: InputRule
    transform: Transform
    resident: bool


def prepare_inputs(
    source: Source, preprocessing: Preprocessing, raw: Raw, parts: Sequence[Part], target: TargetRule, mark: str
) -> Prepared:
    """Fit encoding and preprocessing to the first part, and apply them to all.

    Args:
        source: whose options say how.
        preprocessing: before it has seen data.
        raw: the raw examples.
        parts: the splits, that of training first.
        target: for what is stored.
        mark: the fingerprint of the raw examples; empty: nothing is stored.
    """
    if _bytes(raw) <= SMALL and source.resident is not False:
        taken = [part.taken() for part in parts]
        rule = source.input_rule(raw, taken[0])
        floats = [rule.encode(inputs).inputs for inputs in taken]
        transform = preprocessing.fit(floats[0])
        return Prepared([transform.apply(inputs).float().contiguous() for inputs in floats], rule, transform, True)
    key = _key(source, preprocessing, raw, parts, mark)
    entry = None if key is None else cache.find(key)
    if entry is not None:
        stored = Pipeline.from_stored(entry.content["pipeline"], _arrays(entry.folder, entry.content["arrays"]))
        rule, transform = stored.rule, stored.transform
    else:
        rule = source.input_rule(raw, _view(parts[0]))
        transform = preprocessing.fit(_encoded(rule, parts[0]))
    streamed = [_final(rule, transform, part) for part in parts]
    on_disk = isinstance(rule, ColumnRule) or not transform.keeps_inputs
    if entry is None and key is not None:
        pipeline = Pipeline(rule, transform, target)
        kept = streamed if on_disk else []
        entry = cache.built(key, raw.origin, lambda folder: _save(pipeline, kept, folder, mark))
        _forget_others(mark)
    files = [ArrayFile(entry.folder / f"{i}.npy") for i in range(len(parts))] if entry is not None and on_disk else []
    resident = _fits(streamed) if source.resident == "auto" else bool(source.resident)
    if resident:
        _check_room(streamed)
    inputs: Sequence[Tensor | Streamed] = [_opened(file) for file in files] or streamed
    if resident:
        inputs = [each[:] if isinstance(each, Streamed) else each.clone() for each in inputs]
    give_back()  # what reading and fitting took for a moment
    return Prepared(inputs, rule, transform, resident)


def _bytes(raw: Raw) -> int:
    """What the inputs take as floats, those of a table before categories become several."""
    if raw.kinds:
        return 8 * len(raw.inputs) * len(raw.inputs.columns)
    return 4 * int(np.prod(raw.inputs.shape))


def _fits(streamed: Sequence[Streamed]) -> bool:
    """Whether all inputs take at most a share of the free memory."""
    needed = sum(each.numel() * each.element_size() for each in streamed)
    found = fits(needed, torch.device("cpu"))
    if not found:
        log.info("the inputs take %.1f GB and are read from disk in minibatches (data.resident)", needed / 1e9)
    return found


def _check_room(streamed: Sequence[Streamed]) -> None:
    """Refuse inputs that the memory does not hold.

    Raises:
        UserError: says how much they take.
    """
    needed, free = sum(each.numel() * each.element_size() for each in streamed), free_memory(torch.device("cpu"))
    if needed > free:
        raise UserError(
            f"`data.resident=true` takes {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; leave it at `auto`"
        )


def _view(part: Part) -> Any:
    """The raw examples of a part, without taking them into memory."""
    if not hasattr(part.rows, "dtype"):
        return part.rows[part.index]  # the columns of a table are taken one by one
    return Streamed(part.rows, part.index, tuple(part.rows.shape[1:]), lambda raw: raw, part.rows.dtype)


def _encoded(rule: InputRule, part: Part) -> Streamed:
    """The numbers that preprocessing takes."""
    one = rule.encode(part.rows[part.index[:1]]).inputs
    piece = TABLE_ROWS if isinstance(rule, ColumnRule) else None
    return Streamed(part.rows, part.index, one.shape[1:], lambda raw: rule.encode(raw).inputs, one.dtype, piece)


def _final(rule: InputRule, transform: Transform, part: Part) -> Streamed:
    """The numbers that the network takes."""
    encoded = _encoded(rule, part)

    def prepare(raw: Any) -> Tensor:
        return transform.apply(rule.encode(raw).inputs).float()

    piece = encoded.piece if transform.keeps_inputs else max(1, PROJECTED // encoded.shape[1:].numel())
    return Streamed(part.rows, part.index, prepare(part.rows[part.index[:1]]).shape[1:], prepare, piece=piece)


def _opened(file: ArrayFile) -> Tensor | Streamed:
    """A mapping, which is a tensor; or rows of the file where there is none."""
    if file.tensor is not None:
        return file.tensor
    return Streamed(file, torch.arange(len(file)), file.shape[1:], lambda rows: rows)


def _key(source: Source, preprocessing: Preprocessing, raw: Raw, parts: Sequence[Part], mark: str) -> str | None:
    """The name of what is stored; None where the preprocessing is somebody's own, whose code may change."""
    if not mark or not type(preprocessing).__module__.startswith("nnlab."):
        return None
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.index.numpy().data)
    options = type(preprocessing).__qualname__, sorted(vars(preprocessing).items())
    writing = raw.inputs.writing if raw.kinds else None
    return cache.key_of("prepared", type(source).__qualname__, mark, digest.digest(), options, dict(raw.kinds), writing)


def _save(pipeline: Pipeline, inputs: Sequence[Streamed], folder: Path, mark: str) -> dict[str, Any]:
    """Write what was fitted, and the inputs if there are any; returns the rest as JSON."""
    arrays = pipeline.arrays()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    for position, streamed in enumerate(inputs):
        with ArrayWriter(folder / f"{position}.npy", tuple(streamed.shape), np.float32) as file:
            for piece in pieces(streamed, streamed.piece):
                file.write(piece.numpy())
    about = "splits as the network sees them" if inputs else "statistics"
    return {
        "pipeline": json.loads(json.dumps(pipeline.to_json())),
        "arrays": list(arrays),
        "of": mark if inputs else "",
        "about": about,
    }


def _arrays(folder: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: np.load(folder / f"{name}.npy") for name in names}


def _forget_others(mark: str) -> None:
    """Remove the splits of a data set that were used longest ago: each seed has its own."""
    of_this = [entry.folder for entry in cache.entries() if entry.content.get("of") == mark]
    cache.clear(lambda entry: entry.folder not in of_this[KEPT:])
