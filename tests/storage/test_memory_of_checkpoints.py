"""A checkpoint of a large network is read and written without several copies of it in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import torch

from nnlab.storage import checkpoint

STATE = {"identity": "", "config": {}, "step": 3, "seconds": 1.0, "files": {}, "members": [torch.arange(4_000_000.0)]}
SIZE = 16_000_000


def test_reading_holds_little_besides_the_tensors(tmp_path: Path) -> None:
    checkpoint.rotate_and_save(tmp_path, STATE)
    tracemalloc.start()  # counts what Python allocates; torch's own tensors it does not see
    found = checkpoint.load(tmp_path / "last.ckpt")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert torch.equal(found["members"][0], STATE["members"][0])
    assert most < 0.3 * SIZE


def test_writing_holds_the_content_once() -> None:
    checkpoint.encode(STATE)  # what torch imports for it
    tracemalloc.start()
    content = checkpoint.encode(STATE)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(content) > SIZE
    assert most < 1.6 * SIZE  # the memory of what is written grows by an eighth at a time
