#!/usr/bin/env bash
# safetensors 0.8 writes a transposed NumPy array in the order of memory: the file loads, with the weights scrambled.
#
# Happens: safetensors.numpy.save_file and save of 0.8.0 (and of 0.9.0rc1) take the bytes of an array as they lie in
# memory and note its shape. For the transpose of a kernel, for moveaxis, for an array in Fortran order, the file holds
# the right numbers at the wrong places; nothing is raised at writing nor at reading. 0.7.0 wrote the same arrays
# correctly; contiguous copies (numpy.ascontiguousarray) are right in all releases. safetensors.torch refuses such
# tensors with an error since its beginnings.
# Guessed: releases differ in speed only, and arrays survive a round trip.
# Matters: moving weights between layouts, (in, out) of JAX and Keras and (out, in) of PyTorch, is one ".T" in front of
# save_file. The model loads without a missing key and predicts at chance.
# Version: safetensors 0.7.0, 0.8.0 and 0.9.0rc1, numpy 2.4.6. Source: safetensors/safetensors issue 825.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "numpy==2.4.6"
for release in 0.7.0 0.8.0 0.9.0rc1; do
    "$folder/venv/bin/pip" install --quiet "safetensors==$release"
    "$folder/venv/bin/python" - "$folder/weights.safetensors" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load_file, save_file

path = sys.argv[1]
kernel = np.arange(12, dtype=np.float32).reshape(3, 4)  # (in, out)
filters = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
arrays = {
    "contiguous copy": np.ascontiguousarray(kernel.T),
    "kernel.T": kernel.T,
    "moveaxis": np.moveaxis(filters, 0, -1),
    "Fortran order": np.asfortranarray(kernel),
}
right = {}
for name, array in arrays.items():
    save_file({"weight": array}, path)
    loaded = load_file(path)["weight"]
    assert loaded.shape == array.shape and np.array_equal(np.sort(loaded, axis=None), np.sort(array, axis=None))
    right[name] = bool(np.array_equal(loaded, array))
print("safetensors", version("safetensors"), "| loaded equals saved:", right)
expected_of_views = version("safetensors") == "0.7.0"
assert right == {name: name == "contiguous copy" or expected_of_views for name in arrays}
PYTHON
done
