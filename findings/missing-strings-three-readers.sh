#!/usr/bin/env bash
# One Parquet file, one scikit-learn pipeline: a missing string is imputed under pandas 3 and left alone under polars.
#
# Happens: pandas 3 gives a missing string to scikit-learn as nan, polars 2 and pandas 2 as None. SimpleImputer fills nan
# only, so under the latter two it returns the column with its holes and says nothing. OrdinalEncoder passes nan on as
# nan and gives None a code of its own, as if "missing" were the last category. An encoder that was fitted on a frame of
# pandas 3 knows nan and takes polars' None for an unknown category: a row of zeros with handle_unknown="ignore".
# Guessed: scikit-learn takes frames of both libraries and treats their missing values alike, as it does for numbers.
# Matters: a pipeline in front of a network is fitted with one reader and served with another, or pandas is upgraded;
# shapes and names stay, the inputs of exactly those rows that had holes change.
# Version: scikit-learn 1.9.1 with pandas 3.1.1, pandas 2.3.3 and polars 2.1.0, pyarrow 22.0.0. Source: pandas, "Migration
# guide for the new string data type" (nan as missing value); scikit-learn, SimpleImputer, parameter missing_values.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/read.py" <<'PYTHON'
import json
import pickle
import sys

import numpy as np
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

library, table, encoder_path, out = sys.argv[1:]
if library == "polars":
    import polars as frames
else:
    import pandas as frames
frame = frames.read_parquet(table)[["color"]]
if library == "pandas 3":
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(frame)
    pickle.dump(encoder, open(encoder_path, "wb"))
encoder = pickle.load(open(encoder_path, "rb")) if library != "pandas 2" else OneHotEncoder(sparse_output=False).fit(frame)
imputed = SimpleImputer(strategy="most_frequent").fit_transform(frame).ravel().tolist()
codes = OrdinalEncoder().fit_transform(frame).ravel()
seen = {
    "missing as": type(np.asarray(frame, dtype=object)[2, 0]).__name__,
    "imputed": imputed,
    "codes": [None if np.isnan(code) else code for code in codes.tolist()],
    "one hot of the missing": encoder.transform(frame)[2].tolist(),
}
print(f"{library} ({frames.__version__}), scikit-learn {sklearn.__version__}", *(f"\n    {name:23} {value}" for name, value in seen.items()))
json.dump(seen, open(out, "w"))
PYTHON
python3 -m venv "$folder/new"
"$folder/new/bin/pip" install --quiet "scikit-learn==1.9.1" "pandas==3.1.1" "polars==2.1.0" "pyarrow==22.0.0" "numpy==2.4.6"
python3 -m venv "$folder/old"
"$folder/old/bin/pip" install --quiet "scikit-learn==1.9.1" "pandas==2.3.3" "pyarrow==22.0.0" "numpy==2.4.6"
"$folder/new/bin/python" - "$folder/table.parquet" <<'PYTHON'
import sys

import pyarrow
import pyarrow.parquet

pyarrow.parquet.write_table(pyarrow.table({"color": ["red", "blue", None, "red"]}), sys.argv[1])
PYTHON
"$folder/new/bin/python" "$folder/read.py" "pandas 3" "$folder/table.parquet" "$folder/encoder" "$folder/pandas3"
"$folder/old/bin/python" "$folder/read.py" "pandas 2" "$folder/table.parquet" "$folder/encoder" "$folder/pandas2"
"$folder/new/bin/python" "$folder/read.py" "polars" "$folder/table.parquet" "$folder/encoder" "$folder/polars"
python3 - "$folder/pandas3" "$folder/pandas2" "$folder/polars" <<'PYTHON'
import json
import sys

new, old, polars = (json.load(open(path)) for path in sys.argv[1:])
assert (new["missing as"], old["missing as"], polars["missing as"]) == ("float", "NoneType", "NoneType")
assert new["imputed"] == ["red", "blue", "red", "red"]
assert old["imputed"] == polars["imputed"] == ["red", "blue", None, "red"]
assert new["codes"] == [1, 0, None, 1] and old["codes"] == polars["codes"] == [1, 0, 2, 1]
assert sum(new["one hot of the missing"]) == sum(old["one hot of the missing"]) == 1
assert sum(polars["one hot of the missing"]) == 0
PYTHON
