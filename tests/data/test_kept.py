"""What was read from large files is kept on disk, read anew when a file has changed, and whole or not there."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nnlab.commands.data import main as data_command
from nnlab.data import ImageFolder, Table, decoding, preparing
from nnlab.data import once as once_module
from nnlab.data.table import column as column_module
from nnlab.errors import UserError
from nnlab.storage import array_file, cache
from nnlab.storage.array_file import ArrayFile, ArrayWriter, write_array
from nnlab.streaming import Streamed


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and nothing in memory of what was read before."""
    monkeypatch.setattr(cache, "data_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(once_module, "_last", [])
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that were decoded."""
    names: list[str] = []
    decode = decoding.decode_content

    def count(content: bytes, path: Path, *options: object) -> object:
        names.append(path.name)
        return decode(content, path, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "decode_content", count)
    return names


def photographs(folder: Path, count: int = 30) -> Path:
    draw = np.random.default_rng(0)
    for number in range(count):
        path = folder / "photographs" / "abc"[number % 3] / f"{number:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (12, 10, 3), dtype=np.uint8)).save(path, quality=90)
    return folder / "photographs"


def load(path: Path, resident: bool = False, seed: int = 0, **options: object) -> object:
    once_module._last.clear()
    return ImageFolder(path=str(path), resident=resident, **options).load(seed, path.parent)


def test_images_are_decoded_once_and_have_the_bits_of_those_in_memory(tmp_path, decoded):
    path = photographs(tmp_path)
    first = load(path)
    assert sorted(decoded) == sorted(each.name for each in path.rglob("*.jpg"))
    decoded.clear()
    again, other_seed = load(path), load(path, seed=1)
    assert decoded == []
    resident = load(path, resident=True)
    assert isinstance(first.train.inputs, Streamed)
    assert not isinstance(resident.train.inputs, Streamed)
    for split in ("train", "validation", "test"):
        expected = getattr(resident, split).inputs
        assert torch.equal(getattr(first, split).inputs[:], expected)
        assert torch.equal(getattr(again, split).inputs[:], expected)
    assert first.fingerprint == again.fingerprint == resident.fingerprint == other_seed.fingerprint
    assert not torch.equal(other_seed.train.targets, first.train.targets)


def test_a_changed_image_of_equal_size_and_time_is_decoded_anew(tmp_path, decoded, folder):
    path = photographs(tmp_path)
    before = load(path)
    changed = path / "a" / "00.jpg"
    content, state = bytearray(changed.read_bytes()), changed.stat()
    content[-20] ^= 1
    changed.write_bytes(content)
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))
    decoded.clear()
    after = load(path)
    assert len(decoded) == 30
    assert after.fingerprint != before.fingerprint
    kept = [entry for entry in cache.entries() if "as read" in entry.content["about"]]
    assert len(kept) == 1, "what was read from the old file is removed"


def test_a_file_of_preprocessing_that_is_somebody_elses_is_not_trusted_to_stay(tmp_path):
    class Own(preparing.Preprocessing):
        def fit(self, inputs):
            return preparing.Transform

    raw, parts = ImageFolder(path=str(photographs(tmp_path))).read(0, tmp_path), []
    assert preparing._key(ImageFolder(path="x"), Own(), raw, parts, "mark") is None


def test_what_a_killed_process_left_is_no_entry_and_is_cleared(tmp_path, folder, decoded):
    path = photographs(tmp_path)
    load(path)
    entry = next(each.folder for each in cache.entries() if "as read" in each.content["about"])
    entry.rename(folder / f".{entry.name}.part")
    (folder / f".{entry.name}.part" / "entry.json").unlink()
    decoded.clear()
    load(path)
    assert len(decoded) == 30
    (folder / ".other.part").mkdir()
    (folder / ".other.part" / "images.npy").write_bytes(bytes(1000))
    assert cache.clear() > 1000
    assert [each.name for each in folder.iterdir()] == [".locks"]


def test_two_that_need_the_same_build_it_once(folder):
    built, started = [], threading.Barrier(2)

    def build(place: Path) -> dict[str, object]:
        built.append(place)
        write_array(place / "a.npy", np.zeros(3))
        return {}

    def need() -> None:
        started.wait()
        assert cache.built("key", "a file", build).folder == folder / "key"

    threads = [threading.Thread(target=need) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_a_full_disk_is_said_and_the_images_are_read_into_memory(tmp_path, folder, monkeypatch, caplog):
    path = photographs(tmp_path)
    expected = load(path, resident=True).train.inputs
    cache.clear()

    def full(self: ArrayWriter, rows: object, first: int | None = None) -> None:
        with cache.explained(self.path):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArrayWriter, "write", full)
    found = load(path)
    assert "is read anew at each start: cannot write" in caplog.text
    assert "the disk is full" in caplog.text
    assert torch.equal(found.train.inputs[:], expected)
    assert [entry.content["about"] for entry in cache.entries()] == ["statistics"]
    assert not list(folder.glob(".*.part"))


def test_a_cache_that_cannot_be_written_is_said_once(tmp_path, folder, caplog):
    path = photographs(tmp_path)
    folder.touch()  # a file where the folder would be
    assert len(load(path).train) > 0
    assert caplog.text.count("is read anew at each start") == 1


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system reserves no place")
def test_a_disk_that_is_too_full_is_known_before_anything_is_decoded(tmp_path, folder, decoded, monkeypatch, caplog):
    path = photographs(tmp_path)

    def full(descriptor: int, start: int, count: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert len(load(path).train) > 0
    assert "the disk is full" in caplog.text
    assert len(decoded) == 30, "once, into memory"
    assert not list(folder.glob(".*.part"))


def test_what_is_read_from_mappings_is_given_back_and_read_again(tmp_path, monkeypatch):

    array = np.random.default_rng(0).normal(size=(400, 1000))
    write_array(tmp_path / "a.npy", array)
    file, values = ArrayFile(tmp_path / "a.npy"), array_file.mapped_values(tmp_path / "a.npy")
    given_back = []
    monkeypatch.setattr(array_file, "_mappings", [type("Mapping", (), {"madvise": staticmethod(given_back.append)})])
    monkeypatch.setattr(array_file, "TOUCHED", array.nbytes)
    monkeypatch.setattr(array_file, "_read", 0)
    for _ in range(3):
        assert np.array_equal(file[0:400].numpy(), array)
    assert len(given_back) == 1
    array_file.touched(array.nbytes)
    assert np.array_equal(values, array)


def test_a_broken_image_is_named_and_nothing_is_kept(tmp_path, folder):
    path = photographs(tmp_path)
    broken = path / "b" / "01.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(UserError, match=r"cannot read the image .*b/01\.jpg .*repair or remove it"):
        load(path)
    assert cache.entries() == []
    assert not list(folder.glob(".*.part"))


def write_table(path: Path, rows: int = 700) -> Path:
    draw = np.random.default_rng(0)
    lines = ["x,word,day,gap,y"]
    for number in range(rows):
        gap = "" if number % 7 == 0 else f"{draw.normal():.3f}"
        word = draw.choice(["north", "south", "east", ""])
        target = "" if number == 5 else f"{draw.normal():.4f}"
        lines.append(f"{draw.normal():.5f},{word},2024-0{1 + number % 9}-11,{gap},{target}")
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("preprocessing", ["Standardize", "PCA", "Whiten", "Quantile", "Robust", "NoPreprocessing"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_read_in_pieces_onto_disk_has_the_bits_of_one_in_memory(tmp_path, monkeypatch, suffix, preprocessing):
    import importlib

    import polars

    path = write_table(tmp_path / "t.csv")
    if suffix == ".parquet":
        polars.read_csv(path, try_parse_dates=True).write_parquet(tmp_path / "t.parquet")
        path = tmp_path / "t.parquet"
    names = ("standardize", "pca", "whiten", "quantile", "robust", "none")
    modules = [importlib.import_module(f"nnlab.data.preprocessing.{name}") for name in names]
    kind = next(getattr(module, preprocessing) for module in modules if hasattr(module, preprocessing))

    def load_table(resident: bool) -> object:
        once_module._last.clear()
        return Table(path=str(path), target="y", preprocessing=kind(), resident=resident).load(0, tmp_path)

    expected = load_table(True)
    monkeypatch.setattr(column_module, "MANY_CELLS", 0)
    monkeypatch.setattr("nnlab.data.table.delimited.BLOCK", 4096)
    monkeypatch.setattr("nnlab.data.table.delimited.SAMPLE_BYTES", 4096)
    monkeypatch.setattr(preparing, "TABLE_ROWS", 64)
    for _ in range(2):  # read, and from what is kept
        found = load_table(False)
        assert found.input_names == expected.input_names
        assert found.fingerprint == expected.fingerprint
        for split in ("train", "validation", "test"):
            assert torch.equal(getattr(found, split).inputs[:], getattr(expected, split).inputs)
            assert torch.equal(getattr(found, split).targets, getattr(expected, split).targets)


def test_rows_without_a_mapping_are_read_by_their_position(tmp_path, monkeypatch):
    array = np.random.default_rng(0).normal(size=(20, 3, 2)).astype(np.float32)
    write_array(tmp_path / "a.npy", array)
    mapped = ArrayFile(tmp_path / "a.npy")

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(np, "load", refused)
    read = ArrayFile(tmp_path / "a.npy")
    assert mapped.tensor is not None
    assert read.tensor is None
    rows = torch.tensor([19, 0, 7, 7])
    for file in (mapped, read):
        assert np.array_equal(file[rows].numpy(), array[rows.numpy()])
        assert np.array_equal(file.part(4, 9)[1:3].numpy(), array[5:7])
        assert np.array_equal(file[torch.arange(20) % 2 == 0].numpy(), array[::2])


@pytest.mark.parametrize("limit", ["LARGE", "SHARE"])
def test_large_rows_and_files_are_read_by_their_position(tmp_path, monkeypatch, limit):
    array = np.random.default_rng(0).integers(0, 255, (20, 3, 400, 200), dtype=np.uint8)
    write_array(tmp_path / "a.npy", array)
    monkeypatch.setattr(array_file, "LARGE", 1 << 40)
    assert ArrayFile(tmp_path / "a.npy").tensor is not None
    monkeypatch.setattr(array_file, limit, 0)
    file = ArrayFile(tmp_path / "a.npy")
    assert file.tensor is None
    for rows in ([5, 6, 7, 3, 3, 4, 19], [19], []):
        assert np.array_equal(file[torch.tensor(rows, dtype=torch.long)].numpy(), array[rows])
        assert np.array_equal(file.part(2, 9)[torch.arange(7)].numpy(), array[2:9])


def test_the_command_lists_and_clears_what_is_kept(tmp_path, capsys):
    path = photographs(tmp_path)
    load(path)
    assert data_command(["--cache"]) == 0
    printed = capsys.readouterr().out
    assert f"{path}: 30 examples as read" in printed
    assert data_command(["--cache", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["entries"]
    assert {each["about"] for each in listed} == {"30 examples as read", "statistics"}
    (cache.data_folder() / ".abc.part").mkdir()
    (cache.data_folder() / ".abc.part" / "0.npy").write_bytes(bytes(300_000))
    assert data_command(["--cache=clear"]) == 0
    assert "2 entries and 1 that killed processes had begun removed" in capsys.readouterr().out
    assert cache.entries() == cache.unfinished() == []
