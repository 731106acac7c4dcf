#!/usr/bin/env bash
# WebDataset(shardshuffle=100): since 0.2.109 the shards come in one and the same order in every epoch, without any seed.
#
# Happens: the dataset draws a seed when it is built and starts the shuffling of shards from it at each pass. The order
# of the shards differs from run to run, so that it looks shuffled, and is the same in all epochs of a run. 0.2.100 and
# older drew a new order in each pass. A following .shuffle(n) still draws anew, but only within its buffer; without it
# all samples repeat their order.
# Guessed: no seed means another order in each epoch, as it did for years and as shuffle=True of a DataLoader does.
# Matters: shards are written source by source or class by class, and the buffer holds a few of them at best. The network
# meets the same sequence of sources in every epoch, a run that is cut at a fixed number of steps never sees the last
# shards in any epoch, and upgrading from 0.2.100 changes results without a line in the log.
# Version: webdataset 1.0.2 beside 0.2.100. Source: webdataset/webdataset pull requests 373 (the seed is handed on) and
# 502 (open), webdataset/compat.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/order.py" <<'PYTHON'
import io
import sys
import tarfile
import warnings

import webdataset

warnings.simplefilter("ignore")
folder, shards, samples = sys.argv[1], 8, 5
for shard in range(shards):
    with tarfile.open(f"{folder}/{shard}.tar", "w") as archive:
        for sample in range(samples):
            number = str(shard * samples + sample).encode()
            info = tarfile.TarInfo(f"{number.decode()}.cls")
            info.size = len(number)
            archive.addfile(info, io.BytesIO(number))


def epochs(**options):
    dataset = webdataset.WebDataset(f"{folder}/{{0..{shards - 1}}}.tar", shardshuffle=100, **options)
    dataset = dataset.decode().to_tuple("cls")
    orders = [[label for (label,) in dataset] for _ in range(4)]
    assert all(sorted(order) == list(range(shards * samples)) for order in orders)
    return orders


def runs_and_epochs():
    return [epochs() for _ in range(3)]


runs = runs_and_epochs()
print("webdataset", webdataset.__version__)
for number, run in enumerate(runs):
    print(f"    run {number}, order of the shards per epoch", *("".join(str(label // samples) for label in order[::samples]) for order in run))
same_in_all_epochs = [all(order == run[0] for order in run) for run in runs]
if webdataset.__version__ == "0.2.100":
    assert not any(same_in_all_epochs)
else:
    assert all(same_in_all_epochs) and not runs[0][0] == runs[1][0] == runs[2][0]
PYTHON
python3 -m venv "$folder/venv"
for release in 0.2.100 1.0.2; do
    "$folder/venv/bin/pip" install --quiet "webdataset==$release" "numpy==2.4.6"
    "$folder/venv/bin/python" "$folder/order.py" "$folder"
done
