"""Published data sets in files: MNIST's idx and CIFAR-10's batches; damage and failed downloads are named."""

import gzip
import hashlib
import os
import pickle
import struct
import sys
import tarfile
import urllib.error
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nnlab.data import CIFAR10, MNIST, FashionMNIST, cifar10
from nnlab.data.mnist import FILES
from nnlab.errors import UserError


@pytest.fixture(autouse=True)
def made_files(monkeypatch, request):
    """Files that a test has made have no published checksums."""
    if "real" not in request.function.__name__:
        for kind in (MNIST, FashionMNIST):
            monkeypatch.setattr(kind, "checksums", {})


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def mnist_arrays():
    draw = np.random.default_rng(0)
    for count in (240, 60):
        yield draw.integers(0, 256, (count, 28, 28))
        yield np.arange(count) % 10


def write_mnist(root, folder="MNIST", compress=False):
    raw = root / folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, array in zip(FILES, mnist_arrays(), strict=True):
        content = idx(array)
        (raw / (name + ".gz" if compress else name)).write_bytes(gzip.compress(content) if compress else content)
    return raw


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
@pytest.mark.parametrize("compress", [False, True])
def test_idx_files_are_read_plain_and_compressed(tmp_path, kind, compress):
    write_mnist(tmp_path, kind.__name__, compress)
    raw = kind().read(0, tmp_path)
    train_images, train_labels, test_images, test_labels = mnist_arrays()
    assert (raw.inputs.squeeze(1).numpy() == train_images).all()
    assert (raw.targets.numpy() == train_labels).all()
    assert (raw.test[0].squeeze(1).numpy() == test_images).all()
    assert (raw.test[1].numpy() == test_labels).all()
    data = kind(validation=0.1).load(0, tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (216, 24, 60)
    assert data.input_shape == (1, 28, 28)


def truncated(raw):
    path = raw / FILES[0]
    path.write_bytes(path.read_bytes()[:-5])


def replaced(name, content):
    return lambda raw: (raw / name).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "holds 188155 bytes of data where its header says 240 x 28 x 28"),
        (replaced(FILES[1], b"<html>"), "does not begin like an idx file of bytes with 1 axes"),
        (replaced(FILES[1], b""), "does not begin like an idx file"),
        (replaced(FILES[1], idx(np.zeros((240, 1)))), "does not begin like an idx file of bytes with 1 axes"),
        (replaced(FILES[1], idx(np.zeros(239))), "where each label needs an image of 28 x 28"),
        (replaced(FILES[0], idx(np.zeros((240, 28, 27)))), "where each label needs an image of 28 x 28"),
        (replaced(FILES[1], idx(np.full(240, 10))), "it holds the label 10, but the classes are 0 to 9"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path, damage, message):
    damage(write_mnist(tmp_path))
    with pytest.raises(UserError) as error:
        MNIST().load(0, tmp_path)
    assert message in str(error.value)
    assert "is damaged" in str(error.value)
    assert "delete" in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_a_damaged_gz_file_is_named(tmp_path):
    raw = write_mnist(tmp_path, compress=True)
    path = raw / f"{FILES[0]}.gz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(
        UserError, match=r"idx3-ubyte\.gz is damaged: it cannot be decompressed .*; delete it to download"
    ):
        MNIST().load(0, tmp_path)


def altered(path, content):
    """Change one pixel, or whatever the last byte is."""
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize("damage", [altered, lambda path, content: path.write_bytes(content[:1000])])
@pytest.mark.parametrize("compress", [False, True])
def test_a_file_that_is_not_the_published_one_is_named_with_its_checksum(tmp_path, monkeypatch, compress, damage):
    raw = write_mnist(tmp_path, compress=compress)
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in raw.iterdir()}
    monkeypatch.setattr(MNIST, "checksums", sums)
    assert len(MNIST().read(0, tmp_path).inputs) == 240
    path = raw / f"{FILES[0]}{'.gz' if compress else ''}"
    damage(path, path.read_bytes())
    actual = hashlib.md5(path.read_bytes()).hexdigest()
    with pytest.raises(UserError, match=rf"damaged.*MD5 {actual}, expected {sums[path.name]}\); delete it to download"):
        MNIST().read(0, tmp_path)


def test_a_published_file_may_have_been_compressed_by_another_program(tmp_path, monkeypatch):
    plain, packed = write_mnist(tmp_path / "plain"), write_mnist(tmp_path / "packed", compress=True)
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in plain.iterdir()}
    monkeypatch.setattr(MNIST, "checksums", sums | {path.name: "0" * 32 for path in packed.iterdir()})
    assert len(MNIST().read(0, tmp_path / "packed").inputs) == 240


@pytest.fixture
def torchvision(monkeypatch):
    """A stand-in for torchvision.datasets, because tests have no network."""
    datasets = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(datasets=datasets))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    return datasets


def test_a_missing_data_set_is_downloaded_once_and_leaves_no_other_files(tmp_path, torchvision):
    calls = []
    torchvision.MNIST = lambda root, download: calls.append(write_mnist(Path(root)))
    for _ in range(2):
        assert len(MNIST().read(0, tmp_path / "data").inputs) == 240
    assert len(calls) == 1
    found = sorted(path.name for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert found == sorted(FILES)
    assert not list((tmp_path / "data").glob(".download*"))


@pytest.mark.parametrize(
    "failure",
    [
        urllib.error.URLError("no route to host"),
        TimeoutError("timed out"),
        RuntimeError("File not found or\ncorrupted."),
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
        PermissionError(13, "Permission denied"),
    ],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("kind", [MNIST, CIFAR10])
def test_every_failed_download_is_one_sentence_and_leaves_nothing(tmp_path, torchvision, failure, kind):
    def fail(root, download):
        (Path(root) / "half.gz").write_bytes(b"half")
        raise failure

    setattr(torchvision, kind.__name__, fail)
    with pytest.raises(UserError) as error:
        kind().load(0, tmp_path)
    message = str(error.value)
    assert message.startswith(f"{kind.__name__} is not in {tmp_path}")
    assert "could not be downloaded" in message
    assert "connect to the network, or set `data_root`" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def add_outside(tar):
    tar.add(__file__, "../../escaped")


def add_link(tar):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    tar.addfile(link)


@pytest.mark.parametrize(
    ("add", "reason"),
    [
        (add_outside, "'../../escaped' would be extracted to .*outside"),
        (add_link, "'link' in the archive is neither a file nor a folder"),
    ],
)
def test_an_archive_cannot_write_outside_its_folder(add, reason, tmp_path, torchvision):
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        add(tar)

    def unpack(root, download):
        with tarfile.open(archive) as tar:
            tar.extractall(root)  # as torchvision does

    torchvision.CIFAR10 = unpack
    before = tarfile.TarFile.extractall
    with pytest.raises(UserError, match=rf"could not be downloaded \({reason}"):
        CIFAR10().load(0, tmp_path / "data")
    assert not [*tmp_path.rglob("escaped"), *tmp_path.rglob("link")]
    assert tarfile.TarFile.extractall is before


def cifar_arrays():
    draw = np.random.default_rng(0)
    return {name: (draw.integers(0, 256, (40, 3072), dtype=np.uint8), np.arange(40) % 10) for name in cifar10.PICKLES}


def write_cifar(root, monkeypatch, protocol=2):
    if protocol is None:
        folder = root / "cifar-10-batches-bin"
        folder.mkdir()
        for name, (pixels, labels) in cifar_arrays().items():
            (folder / f"{name}.bin").write_bytes(np.c_[labels.astype(np.uint8), pixels].tobytes())
        return folder
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    sums = {}
    for name, (pixels, labels) in cifar_arrays().items():
        content = pickle.dumps({"data": pixels, "labels": labels.tolist(), "batch_label": name}, protocol)
        sums[name] = hashlib.md5(content).hexdigest()
        (folder / name).write_bytes(content)
    monkeypatch.setattr(cifar10, "PICKLES", sums)
    return folder


@pytest.mark.parametrize("protocol", [3, 4, None])
def test_cifar_batches_are_read_from_binary_files_and_pickles(tmp_path, monkeypatch, protocol):
    write_cifar(tmp_path, monkeypatch, protocol)
    raw = CIFAR10().read(0, tmp_path)
    arrays = cifar_arrays()
    expected = np.concatenate([arrays[name][0] for name in list(arrays)[:5]])
    assert (raw.inputs.flatten(1).numpy() == expected).all()
    assert raw.inputs.shape == (200, 3, 32, 32)
    assert raw.targets.tolist() == list(range(10)) * 20
    assert (raw.test[0].flatten(1).numpy() == arrays["test_batch"][0]).all()
    assert len(CIFAR10().load(0, tmp_path).validation) == 20


def test_a_changed_cifar_pickle_is_not_opened(tmp_path, monkeypatch):
    folder = write_cifar(tmp_path, monkeypatch, 3)
    path = folder / "data_batch_2"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"data_batch_2 is damaged \(MD5 \w+, expected \w+\); delete it"):
        CIFAR10().load(0, tmp_path)


def test_pickles_may_only_hold_arrays(tmp_path):
    path = tmp_path / "evil"
    path.write_bytes(pickle.dumps({"data": os.system, "labels": []}))
    with pytest.raises(pickle.UnpicklingError, match=r"posix\.system is not allowed"):
        cifar10.read_pickle(path, hashlib.md5(path.read_bytes()).hexdigest())


def test_damaged_cifar_binaries_are_named(tmp_path, monkeypatch):
    path = write_cifar(tmp_path, monkeypatch, None) / "data_batch_1.bin"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match=r"data_batch_1\.bin is damaged: its 122919 bytes are no multiple of 3073"):
        CIFAR10().load(0, tmp_path)
    path.write_bytes(b"\x0a" + content[1:])
    with pytest.raises(UserError, match=r"data_batch_1\.bin is damaged: it holds the label 10"):
        CIFAR10().load(0, tmp_path)


def data_root():
    root = os.environ.get("NNLAB_DATA", "")
    if not (Path(root) / "MNIST" / "raw" / FILES[0]).is_file() or not root:
        pytest.skip("needs the environment variable NNLAB_DATA to point to a folder with MNIST/raw")
    return Path(root)


def test_the_real_mnist_splits_into_55000_5000_and_10000():
    data = MNIST().load(0, data_root())
    assert (len(data.train), len(data.validation), len(data.test)) == (55000, 5000, 10000)
    assert abs(data.train.inputs.mean().item()) < 1e-4
    assert data.train.inputs.std().item() == pytest.approx(1, abs=1e-3)
    share = torch.bincount(data.validation.targets) / torch.bincount(data.train.targets)
    assert share == pytest.approx(1 / 11, rel=0.01)


def test_the_real_mnist_is_that_of_torchvision():
    datasets = pytest.importorskip("torchvision.datasets")
    raw = MNIST().read(0, data_root())
    for ours, train in (((raw.inputs, raw.targets), True), (raw.test, False)):
        theirs = datasets.MNIST(data_root(), train=train)
        assert torch.equal(ours[0].squeeze(1), theirs.data)
        assert torch.equal(ours[1], theirs.targets)
