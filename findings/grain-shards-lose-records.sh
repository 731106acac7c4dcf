#!/usr/bin/env bash
# Grain's DataLoader over uneven shards: some records are never read, with drop_remainder=False, and nothing says so.
#
# Happens: 10 records for 3 hosts with IndexSampler, one epoch, drop_remainder=False (the default): each host reads 3, and
# one record in the middle of the file is read by none, the same one in every run. The shards have 4, 3 and 3 records,
# but every host stops after the floor of records by hosts. drop_remainder=True loses a record as well, and warns. With
# shuffle=True each host shuffles only its own consecutive block; a file sorted by class stays sorted over the hosts.
# MapDataset with a slice per host reads each record once.
# Guessed: False keeps the remainder, 4 + 3 + 3; shuffling is over the whole file before it is divided.
# Matters: an evaluation over 8 hosts scores fewer examples than the test set has, and reports the mean as that of the
# test set; hosts see other class proportions than the file has.
# Version: grain 0.2.18. Source: google/grain issue 351 (says that the shuffle is within a shard; nothing on the loss).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "grain==0.2.18" "numpy==2.4.6"
"$folder/venv/bin/python" - 2>"$folder/messages" <<'PYTHON' || { cat "$folder/messages"; exit 1; }
from importlib.metadata import version

import grain
from grain.samplers import IndexSampler
from grain.sharding import ShardOptions

RECORDS, HOSTS = 10, 3


def read(shuffle, **options):
    """Return what each host reads in one epoch."""
    hosts = []
    for host in range(HOSTS):
        shard = ShardOptions(shard_index=host, shard_count=HOSTS, **options)
        sampler = IndexSampler(RECORDS, shard_options=shard, shuffle=shuffle, num_epochs=1, seed=1)
        loader = grain.DataLoader(data_source=list(range(RECORDS)), sampler=sampler, worker_count=0)
        hosts.append([int(record) for record in loader])
    return hosts


def unread(hosts):
    return sorted(set(range(RECORDS)) - set(sum(hosts, [])))


seen = {
    "drop_remainder not given": read(shuffle=False),
    "drop_remainder=False": read(shuffle=False, drop_remainder=False),
    "the same, shuffle=True": read(shuffle=True, drop_remainder=False),
    "drop_remainder=True": read(shuffle=False, drop_remainder=True),
    "MapDataset, slices": [list(grain.MapDataset.range(RECORDS).shuffle(seed=1)[host::HOSTS]) for host in range(HOSTS)],
}
print("grain", version("grain"))
for name, hosts in seen.items():
    print(f"    {name:25} {hosts!s:45} read by none: {unread(hosts)}")
assert seen["drop_remainder not given"] == seen["drop_remainder=False"] == [[0, 1, 2], [4, 5, 6], [7, 8, 9]]
blocks = [set(host) for host in seen["the same, shuffle=True"]]
assert blocks[0] < {0, 1, 2, 3} and blocks[1:] == [{4, 5, 6}, {7, 8, 9}]
assert len(unread(seen["the same, shuffle=True"])) == 1
assert unread(seen["drop_remainder=True"]) == [9]
assert unread(seen["MapDataset, slices"]) == []
PYTHON
