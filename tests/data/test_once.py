"""Files are read once for runs that differ in their seeds, and again when they have changed."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import torch

from nnlab.data import Digits, Moons, Table, once
from nnlab.data import digits as digits_module
from nnlab.data.base import Source
from nnlab.data.table import table as table_module


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read."""
    read: list[str] = []
    bundled, table = digits_module.read_bundled, table_module.read_table

    def count_bundled(name: str) -> object:
        read.append(name)
        return bundled(name)

    def count_table(path: Path, options: object, spool: object) -> object:
        read.append(path.name)
        return table(path, options, spool)  # type: ignore[arg-type]

    monkeypatch.setattr(digits_module, "read_bundled", count_bundled)
    monkeypatch.setattr(table_module, "read_table", count_table)
    return read


def write(path: Path, value: int) -> None:
    path.write_text("a,b,y\n" + "\n".join(f"{i},{i * value % 7},{i % 3 + value}" for i in range(60)))


def test_seeds_share_what_was_read_and_keep_their_own_splits(counted: list[str], tmp_path: Path) -> None:
    first, second = (Digits(validation=0.1).load(seed, tmp_path) for seed in (101, 102))
    assert len(counted) <= 1
    assert first.fingerprint == second.fingerprint
    assert not torch.equal(first.train.targets, second.train.targets)


def test_what_is_done_with_the_examples_afterwards_reads_nothing_anew(counted: list[str], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write(path, 1)
    for fold in range(3):
        Table(path=str(path), target="y", task="regression", validation_fold=fold).load(0, tmp_path)
    assert counted == ["t.csv"]


def test_every_option_of_all_data_sets_is_about_the_examples_and_not_about_reading_them() -> None:
    assert {each.name for each in dataclasses.fields(Source)} - {"test"} <= set(once.AFTERWARDS)


def test_a_changed_file_and_other_options_are_read_anew(counted: list[str], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write(path, 1)
    table = Table(path=str(path), target="y", task="regression")
    before = table.load(0, tmp_path)
    assert table.load(1, tmp_path).fingerprint == before.fingerprint
    assert counted == ["t.csv"]
    write(path, 3)
    os.utime(path, ns=(1, 1))
    assert table.load(0, tmp_path).fingerprint != before.fingerprint
    Table(path=str(path), target="y", task="regression", drop=["a"]).load(0, tmp_path)
    assert counted == ["t.csv"] * 3


def test_generated_data_are_drawn_for_every_seed(tmp_path: Path) -> None:
    first, second = (Moons(examples=50).load(seed, tmp_path) for seed in (0, 1))
    assert first.fingerprint != second.fingerprint
