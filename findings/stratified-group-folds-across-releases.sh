#!/usr/bin/env bash
# StratifiedGroupKFold(shuffle=True, random_state=0): other folds from scikit-learn 1.8 on; before it, no stratification.
#
# Happens: up to 1.7 the shuffled splitter balanced the classes of the wrong groups, so that its folds were no better
# stratified than random ones; 1.8 repaired it. The same call with the same seed therefore puts most groups into another
# fold, while KFold, StratifiedKFold, GroupKFold and train_test_split give the same rows in both releases.
# Guessed: the folds are the same in all releases, as those of every other splitter with an integer seed are.
# Matters: folds are rarely stored, only the seed is. Networks trained per fold (per patient, per speaker) with 1.7 and
# evaluated after an upgrade are tested mostly on groups that they were trained on; nothing warns.
# Version: scikit-learn 1.7.2 beside 1.9.1. Source: scikit-learn pull request 32540, what's new 1.8.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/folds.py" <<'PYTHON'
import json
import sys

import numpy as np
import sklearn
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

generator = np.random.default_rng(0)
groups = np.repeat(np.arange(100), 5)  # one hundred patients of five images each
labels = np.repeat(generator.random(100) < 0.2, 5).astype(int)  # one patient in five is ill


def fold_of_each_row(splitter):
    folds = np.empty(len(labels), dtype=int)
    for fold, (_, test) in enumerate(splitter.split(np.zeros((len(labels), 1)), labels, groups)):
        folds[test] = fold
    return folds


folds = {cls.__name__: fold_of_each_row(cls(5, shuffle=True, random_state=0)) for cls in (StratifiedGroupKFold, StratifiedKFold, GroupKFold)}
ill = [float(labels[folds["StratifiedGroupKFold"] == fold].mean()) for fold in range(5)]
print("scikit-learn", sklearn.__version__, "| share of the ill per fold", np.round(ill, 3).tolist())
json.dump({"ill": ill, **{name: rows.tolist() for name, rows in folds.items()}}, open(sys.argv[1], "w"))
PYTHON
for release in 1.7.2 1.9.1; do
    python3 -m venv "$folder/$release"
    "$folder/$release/bin/pip" install --quiet "scikit-learn==$release" "numpy==2.3.5" "scipy==1.16.3"
    "$folder/$release/bin/python" -W ignore "$folder/folds.py" "$folder/$release.json"
done
python3 - "$folder/1.7.2.json" "$folder/1.9.1.json" <<'PYTHON'
import json
import sys

old, new = (json.load(open(path)) for path in sys.argv[1:])
same = {name: sum(a == b for a, b in zip(old[name], new[name])) / len(old[name]) for name in old if name != "ill"}
print("rows in the same fold:", same)
spread = [max(seen["ill"]) - min(seen["ill"]) for seen in (old, new)]
print("largest minus smallest share of the ill:", [round(value, 3) for value in spread])
assert same["StratifiedKFold"] == same["GroupKFold"] == 1.0
assert same["StratifiedGroupKFold"] < 0.5
assert round(spread[0], 6) == 0.1 and round(spread[1], 6) == 0.05
PYTHON
