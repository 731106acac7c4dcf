#!/usr/bin/env bash
# The codes of a polars Categorical depend on what else the process has read: class 0 of one run is class 7 of the next.
#
# Happens: since 1.32 all Categorical columns of a process share one numbering. to_physical() of a label column starts
# at 0 only if nothing else is categorical: with a second categorical column in the same file, or with another frame in
# memory, the three classes of one Parquet file get other numbers, with gaps, and max() + 1 is not the number of
# classes. Once the other frames are deleted, the numbering starts anew, so that two reads of one file in one process
# disagree as well. Up to 1.31 every column was numbered from 0 in order of appearance. Enum is stable in all releases.
# Guessed: codes belong to the column, as those of pandas do; the same file gives the same class indices.
# Matters: to_physical() is the short way from a column of names to the targets of a classifier. A network trained in one
# script is scored in another that first reads one more table: each prediction is right and the accuracy is zero; or the
# head gets a unit for every camera, city and user that lies in the same frame.
# Version: polars 2.1.0 beside 1.31.0. Source: pola-rs/polars pull request 23016, issues 23948 and 23962.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/codes.py" <<'PYTHON'
import sys

import polars as pl

path = sys.argv[1]
names = ["dog", "cat", "dog", "bird", "cat", "dog"]
cameras = ["north", "east", "south", "west", "north", "east"]


def code_of_each_class(labels):
    return dict(sorted(zip(labels.cast(pl.String).to_list(), labels.to_physical().to_list())))


def read():
    return pl.read_parquet(path)["label"]


pl.DataFrame({"label": names}, schema={"label": pl.Categorical}).write_parquet(path)
alone = code_of_each_class(read())
other_table = pl.Series("city", ["Oslo", "Lima", "cat"], dtype=pl.Categorical)
after = code_of_each_class(read())
del other_table
again = code_of_each_class(read())
both = pl.DataFrame({"camera": cameras, "label": names}, schema={"camera": pl.Categorical, "label": pl.Categorical})
beside = code_of_each_class(both["label"])
enum = code_of_each_class(both["label"].cast(pl.Enum(["bird", "cat", "dog"])))
print("polars", pl.__version__)
print("    the file alone                  ", alone)
print("    with another table in memory    ", after)
print("    once that table is deleted      ", again)
print("    beside a column of four cameras ", beside, "| classes", both["label"].n_unique())
print("    as Enum                         ", enum)
assert enum == {"bird": 0, "cat": 1, "dog": 2}
assert alone == again == {"bird": 2, "cat": 1, "dog": 0}
if pl.__version__ == "1.31.0":
    assert alone == after == beside
else:
    assert after == {"bird": 4, "cat": 2, "dog": 3}
    assert beside == {"bird": 6, "cat": 5, "dog": 4}
PYTHON
for release in 1.31.0 2.1.0; do
    python3 -m venv "$folder/$release"
    "$folder/$release/bin/pip" install --quiet "polars==$release"
    "$folder/$release/bin/python" "$folder/codes.py" "$folder/labels.parquet"
done
