"""Data larger than the memory: how fast it is read first, how soon a second run starts, and what streaming costs.

    python benchmarks/large_data.py FOLDER [--images 4000] [--rows 1000000] [--disk-only]

Makes photographs of 224 x 224 pixels as JPEGs (`--images 20000` for the full set) and a table of 30 columns as Parquet
and CSV (`--rows 5000000`) in FOLDER, where what nnlab keeps goes, too; `--disk-only` leaves out what needs all inputs
in memory (12 GB of 20,000 images). Claims, each a line with the measured number: the first reading of the images
reaches 0.9 of the rate of torchvision's decoder on the same cores; the second start takes less than 2 s to the first
step; an epoch from disk reaches 0.9 of the speed of one from memory; memory stays below 1.5 GB; an epoch runs where the
process may take, beyond its imports, a quarter of what the inputs take as float32 (RLIMIT_DATA, which unlike
`ulimit -v` does not count mapped files). Seconds are of the processor, all threads, and by the clock in brackets.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from large_files import CLASSES, SIDE, write_photographs, write_tables

NETWORK = ("architecture=convnet", "architecture.channels=[8,16]", "architecture.hidden=16", "trainer.batch_size=16")
REPEATS = 3  # of which the median counts, memory and disk in turn
SMALL = ("architecture.widths=[64]", "trainer.batch_size=256", "loss=binary_cross_entropy")


def child(overrides: Sequence[str], epochs: float) -> None:
    """Build a trainer, take a step, then a part of an epoch; prints seconds and memory."""
    from nnlab.cli import compose
    from nnlab.config.build import build_trainer

    started = float(os.environ["STARTED"])
    if allowed := int(os.environ["ALLOWED"]):
        status = Path("/proc/self/status").read_text().split()
        limit = int(status[status.index("VmData:") + 1]) * 1024 + allowed
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    trainer = build_trainer([compose(*overrides, "callbacks=[]")])
    trainer.advance(1)
    first = time.process_time(), time.time() - started
    steps = max(1, int(epochs * trainer.steps_per_epoch))
    before, clock = time.process_time(), time.time()
    losses = 0.0
    while steps > 0:
        done = trainer.advance(min(steps, 200))
        losses, steps = float(done[-1].mean()), steps - len(done)
    print(json.dumps({
        "first": first, "epoch": (time.process_time() - before, time.time() - clock), "loss": losses,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }))  # fmt: skip


def measured(folder: Path, overrides: Sequence[str], epochs: float, allowed: int = 0) -> dict[str, Any]:
    """What a child process says; `allowed` are the bytes that it may take beyond its imports, 0: any."""
    own = {"XDG_CACHE_HOME": str(folder / "cache"), "STARTED": str(time.time()), "ALLOWED": str(allowed)}
    command = [sys.executable, __file__, "--child", str(epochs), *overrides]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["?"])[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def middle(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The one of several whose epoch took the median of time; one that failed, if one did."""
    failed = [each for each in found if "failed" in each]
    return failed[0] if failed else sorted(found, key=lambda each: each["epoch"])[len(found) // 2]


def decoding_rates(folder: Path, photographs: Path) -> None:
    """Images a second of torchvision's decoder in threads, and of the first reading into the cache, interleaved."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    from nnlab.data.decoding import cores, decode_all

    files = sorted(photographs.rglob("*.jpg"))[:2000]

    def torchvision() -> None:
        with ThreadPoolExecutor(cores()) as pool:
            for _ in pool.map(lambda f: decode_jpeg(read_file(str(f)), mode=ImageReadMode.RGB).contiguous(), files):
                pass

    def nnlab() -> None:
        decode_all(files, None, False, folder / "images.npy")

    seconds: dict[str, list[float]] = {"torchvision": [], "nnlab": []}
    for _ in range(9):
        for name, function in (("torchvision", torchvision), ("nnlab", nnlab)):
            before = time.process_time()
            function()
            seconds[name].append(time.process_time() - before)
            (folder / "images.npy").unlink(missing_ok=True)
    a, b = (median(each) / len(files) * 1e3 for each in seconds.values())
    rate = median(theirs / ours for theirs, ours in zip(*seconds.values(), strict=True))
    print(f"first reading: torchvision {a:.3f} ms an image, nnlab into the cache {b:.3f} ms: {rate:.2f} of its rate")


def starts_and_epochs(
    folder: Path, name: str, overrides: Sequence[str], epochs: float, floats: int, kinds: Sequence[str]
) -> None:
    """The lines for one data set; `kinds` are the values of `data.resident`."""
    first = measured(folder, [*overrides, "data.resident=false"], 0)
    rounds = [
        [measured(folder, [*overrides, f"data.resident={kind}"], epochs) for kind in kinds] for _ in range(REPEATS)
    ]
    found_by = {kind: middle([each[place] for each in rounds]) for place, kind in enumerate(kinds)}
    second, resident = found_by["false"], found_by.get("true", {"failed": "not measured"})
    for kind, found in (("first start", first), ("second start", second), ("second start, resident", resident)):
        if "failed" in found:
            print(f"{name}: {kind}: {found['failed']}")
            continue
        seconds, clock = found["first"]
        print(f"{name}: {kind}: {seconds:.1f} s ({clock:.1f}) to the first step, peak {found['memory']:.2f} GB")
    if "failed" not in second and "failed" not in resident:
        ratio = resident["epoch"][0] / second["epoch"][0]
        same = "same" if second["loss"] == resident["loss"] else "OTHER"
        (disk, disk_clock), (memory, memory_clock) = second["epoch"], resident["epoch"]
        print(
            f"{name}: {epochs} epochs from disk {disk:.1f} s ({disk_clock:.1f}), from memory {memory:.1f} s "
            f"({memory_clock:.1f}): {ratio:.2f} of the speed; {same} loss"
        )
    found = measured(folder, overrides, epochs, floats // 4)
    said = found.get("failed") or f"runs, {found['epoch'][0]:.1f} s ({found['epoch'][1]:.1f}), loss {found['loss']:.6g}"
    print(f"{name}: with {floats / 4e9:.2f} GB beyond its imports, a quarter of the inputs as float32: {said}")


def data_loader(photographs: Path, epochs: float) -> None:
    """A loop of torchvision's ImageFolder and torch's DataLoader with as many workers as cores, on the same network."""
    import torch
    from torchvision import datasets, transforms

    from nnlab.cli import compose
    from nnlab.config.build import build_trainer
    from nnlab.data.decoding import cores

    trainer = build_trainer([compose("data=image_folder", f"data.path={photographs}", *NETWORK, "callbacks=[]")])
    network = trainer.stack.member(0).train()
    change = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.45] * 3, [0.25] * 3)])
    examples = datasets.ImageFolder(str(photographs), change)
    loader = torch.utils.data.DataLoader(examples, 16, shuffle=True, num_workers=cores())
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    steps = int(epochs * trainer.steps_per_epoch)
    clock = time.time()
    before = sum(os.times()[:4])
    for number, (inputs, targets) in enumerate(loader):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(inputs), targets).backward()
        optimizer.step()
        if number + 1 >= steps:
            break
    del loader
    spent, clock = sum(os.times()[:4]) - before, time.time() - clock
    print(f"images: ImageFolder and DataLoader, {cores()} workers: {epochs} epochs {spent:.1f} s ({clock:.1f})")


def main() -> None:
    """Make the data, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=float, default=0.25)
    parser.add_argument("--disk-only", action="store_true")
    given = parser.parse_args()
    kinds = ("false",) if given.disk_only else ("false", "true")
    given.folder.mkdir(parents=True, exist_ok=True)
    photographs = write_photographs(given.folder, given.images)
    print(f"{given.images} photographs of {SIDE} x {SIDE} in {CLASSES} classes, {given.rows} rows of 30 columns")
    decoding_rates(given.folder, photographs)
    images = ["data=image_folder", f"data.path={photographs}", *NETWORK]
    starts_and_epochs(given.folder, "images", images, given.epochs, 4 * 3 * SIDE * SIDE * given.images, kinds)
    data_loader(photographs, given.epochs)
    for path in write_tables(given.folder, given.rows):
        table = ["data=table", f"data.path={path}", "data.target=y", *SMALL]
        starts_and_epochs(given.folder, path.suffix, table, 1.0, 4 * 46 * given.rows, kinds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[3:], float(sys.argv[2]))
    else:
        main()
