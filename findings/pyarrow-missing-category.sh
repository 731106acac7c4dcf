#!/usr/bin/env bash
# A missing label becomes the last class: pyarrow's to_numpy on a dictionary column with nulls.
#
# Happens: a categorical column of a Parquet file is read by pyarrow as a dictionary (codes and names). to_numpy and
# numpy.asarray on such a column of a table write the last name of the dictionary wherever a value is missing. The null
# count of the column is right, to_pylist and to_pandas give None and NaN, a column of plain strings gives None, and so
# does the very same column after combine_chunks().
# Guessed: a missing value is missing on every way out, whatever the column is encoded as.
# Matters: unlabeled rows of a semi-supervised or half-annotated data set turn into training examples of one class, and
# missing categorical features into its most arbitrary value; there is no NaN left that a check could find.
# Version: pyarrow 26.0.1 and 20.0.0, numpy 2.4.6, pandas 3.1.1. Source: ChunkedArray.to_numpy in
# pyarrow/table.pxi (names taken by code, and a null has the code -1); apache/arrow pull request 40295 repaired Array alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/labels.py" <<'PYTHON'
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

path = sys.argv[1]
names = ["cat", None, "bird", "cat", None, "dog"]
pq.write_table(pa.table({"coded": pa.array(names).dictionary_encode(), "plain": pa.array(names)}), path)
table = pq.read_table(path)
coded, plain = table["coded"], table["plain"]
assert pa.types.is_dictionary(coded.type) and coded.null_count == plain.null_count == 2
ways = {
    "to_pylist": coded.to_pylist(),
    "to_pandas": [None if pd.isna(value) else value for value in coded.to_pandas()],
    "strings, to_numpy": plain.to_numpy().tolist(),
    "to_numpy": coded.to_numpy().tolist(),
    "numpy.asarray": np.asarray(coded).tolist(),
    "one chunk, to_numpy": coded.combine_chunks().to_numpy(zero_copy_only=False).tolist(),
}
print("pyarrow", pa.__version__, "numpy", np.__version__, "pandas", pd.__version__)
for way, values in ways.items():
    print(f"    {way:23} {values}")
filled = ["dog" if name is None else name for name in names]
for way, values in ways.items():
    assert values == (names if way in ("to_pylist", "to_pandas", "strings, to_numpy", "one chunk, to_numpy") else filled), way
PYTHON
for release in 20.0.0 26.0.1; do
    python3 -m venv "$folder/$release"
    "$folder/$release/bin/pip" install --quiet "pyarrow==$release" "numpy==2.4.6" "pandas==3.1.1"
    "$folder/$release/bin/python" "$folder/labels.py" "$folder/labels.parquet"
done
