#!/usr/bin/env bash
# In a table with decimal commas, polars takes 1.234 for a little more than one; three other readers give no number.
#
# Happens: a column of `8,5`, with `1.234` and `12.500` behind its first 100 rows, by which polars infers the type. With
# read_csv(decimal_comma=True) it is Float64 and ends in 1.234 and 12.5: the comma is allowed besides the point, it does not
# take its place. (Among the first 100 rows, such a cell makes the column text.) pandas (decimal=","), PyArrow
# (decimal_point=",") and DuckDB (decimal=",") leave the column as text, which nobody can train on by mistake.
# Guessed: the four agree: text, or an error, since with a decimal comma a point is no decimal sign.
# Matters: spreadsheets of half of Europe write 1234 as 1.234, and only values from a thousand on have the point: the column
# is monotonic no more, the largest incomes become the smallest, the network trains without a warning, and another reader
# in production sees other inputs. With a fraction, 1.234,5, the same reader makes the whole column text.
# Version: polars 2.1.0, pandas 3.1.0, PyArrow and DuckDB as printed. Source: polars documentation of `decimal_comma`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==2.1.0 pandas==3.1.0 pyarrow duckdb
cat >"$folder/read.py" <<'PYTHON'
import sys

import duckdb
import pandas
import polars
import pyarrow
from pyarrow import csv

path = sys.argv[1]
with open(path, "w") as file:
    file.write("account;sales\n" + "".join(f"{i};{i % 9},5\n" for i in range(120)) + "120;987\n121;1.234\n122;12.500\n")
by_polars = polars.read_csv(path, separator=";", decimal_comma=True)["sales"]
by_pandas = pandas.read_csv(path, sep=";", decimal=",")["sales"]
options = {"parse_options": csv.ParseOptions(delimiter=";"), "convert_options": csv.ConvertOptions(decimal_point=",")}
by_pyarrow = csv.read_csv(path, **options)["sales"]
by_duckdb = duckdb.read_csv(path, sep=";", decimal=",").fetchall()
print("polars ", polars.__version__, by_polars.dtype, by_polars.to_list()[-3:])
print("pandas ", pandas.__version__, by_pandas.dtype, by_pandas.tolist()[-3:])
print("pyarrow", pyarrow.__version__, by_pyarrow.type, by_pyarrow.to_pylist()[-3:])
print("duckdb ", duckdb.__version__, type(by_duckdb[0][1]).__name__, [row[1] for row in by_duckdb][-3:])
assert by_polars.to_list()[:2] + by_polars.to_list()[-3:] == [0.5, 1.5, 987.0, 1.234, 12.5]
assert all(isinstance(value, str) for value in by_pandas.tolist())
assert all(isinstance(value, str) for value in by_pyarrow.to_pylist())
assert all(isinstance(row[1], str) for row in by_duckdb)
PYTHON
"$folder/venv/bin/python" "$folder/read.py" "$folder/sales.csv"
