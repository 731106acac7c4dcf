#!/usr/bin/env bash
# Keras with format="grain": shuffle=True shuffles once, and every epoch sees the same batches in the same order.
#
# Happens: image_dataset_from_directory(..., shuffle=True, format="grain") permutes the files once. Each pass over the
# dataset, thus each epoch of fit, yields the same batches of the same images in the same order, with a seed and without.
# fit warns that its own shuffling is left to the dataset, which reads as reassuring. The default format="tf" draws a new
# order in each pass, and so does fit on arrays.
# Guessed: the format says which library feeds the images, not whether the epochs are shuffled.
# Matters: the Grain format is how one drops TensorFlow when training Keras on JAX or PyTorch. SGD without reshuffling
# and batch statistics over always the same company cost accuracy, and nothing in the logs looks different.
# Version: keras 3.15.1 (backend jax 0.10.2), grain 0.2.18. Source: keras/src/utils/image_dataset_utils.py (a single
# shuffle of the map dataset); Grain's guide to Dataset, where a new order per epoch comes from repeat() after shuffle().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "keras==3.15.1" "jax==0.10.2" "jaxlib==0.10.2" "grain==0.2.18" "pillow==13.0.0" \
    "numpy==2.4.6"
cd "$folder"
KERAS_BACKEND=jax "$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import jax
import keras
import numpy as np
from PIL import Image

for label in range(3):  # 24 gray images, each of a brightness of its own
    Path(f"images/{label}").mkdir(parents=True)
    for number in range(8):
        Image.fromarray(np.full((8, 8, 3), 8 * label + number, np.uint8)).save(f"images/{label}/{number}.png")


class Brightness(keras.layers.Layer):
    """Hands one pixel of each image on, and notes during training which images came."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def call(self, images):
        jax.debug.callback(lambda pixels: self.batches.append(pixels.astype(int).tolist()), images[:, 0, 0, 0], ordered=True)
        return images[:, 0, 0, :1]


def batches_of_each_epoch(*data, **batch_size):
    layer = Brightness()
    model = keras.Sequential([keras.Input((8, 8, 3)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    layer.batches.clear()
    model.fit(*data, epochs=3, verbose=0, **batch_size)
    jax.effects_barrier()
    return [layer.batches[start : start + 4] for start in (0, 4, 8)]


def from_folder(seed):
    return keras.utils.image_dataset_from_directory(
        "images", image_size=(8, 8), batch_size=6, shuffle=True, seed=seed, format="grain", label_mode="int", verbose=False
    )


print({name: version(name) for name in ("keras", "grain", "jax")})
passes = lambda dataset: [[int(v) for images, _ in dataset for v in np.asarray(images)[:, 0, 0, 0]] for _ in range(3)]
for seed in (1, None):
    orders = passes(from_folder(seed))
    print(f"seed={seed}: three passes over the dataset", *("\n    " + str(order) for order in orders))
    assert orders[0] == orders[1] == orders[2] != sorted(orders[0]) and sorted(orders[0]) == list(range(24))
images = np.concatenate([np.asarray(batch) for batch, _ in from_folder(1)])
grain = batches_of_each_epoch(from_folder(1))
arrays = batches_of_each_epoch(images, np.zeros((24, 1)), batch_size=6)
print("first batch of each epoch of fit, grain: ", [epoch[0] for epoch in grain])
print("first batch of each epoch of fit, arrays:", [epoch[0] for epoch in arrays])
for epoch in grain + arrays:
    assert sorted(sum(epoch, [])) == list(range(24))
assert grain[0] == grain[1] == grain[2]
assert arrays[0] != arrays[1] and arrays[1] != arrays[2]
PYTHON
