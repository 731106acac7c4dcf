#!/usr/bin/env bash
# A Keras model that is saved and loaded starts its dropout masks and augmentations again from the first one.
#
# Happens: the state of the seed generator in Dropout, RandomFlip and the like is a variable of the model (it is listed
# in model.variables) but is written neither to .keras nor to .weights.h5. With an integer seed the loaded layer starts
# at draw 0: a job that resumes every epoch sees the masks and flips of epoch 1 in every epoch. Without a seed the loaded
# layer draws a new seed, so that two resumed runs differ from each other and from the run that was never stopped, even
# with set_random_seed at the start of each.
# Guessed: the file holds all variables of the model, as it holds the iterations and moments of the optimizer, and the
# run continues bit by bit. (The optimizer's part does.)
# Matters: preemptible jobs with hourly restarts train on far fewer different masks and augmented images than they
# believe; and nobody can reproduce the interrupted run.
# Version: keras 3.15.1 (backend jax 0.10.2). Source: keras-team/keras issue 19796 (closed as stale).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "keras==3.15.1" "jax==0.10.2" "jaxlib==0.10.2" "h5py==3.15.1" "numpy==2.4.6"
KERAS_BACKEND=jax "$folder/venv/bin/python" - "$folder/model.keras" <<'PYTHON'
import sys

import keras
import numpy as np

path = sys.argv[1]
x = np.ones((8, 16), dtype=np.float32)


def masks(model, count):
    return [(np.asarray(model(x, training=True)) == 0).tobytes() for _ in range(count)]


def position(model):
    return np.asarray(model.layers[-1].seed_generator.state.value).tolist()


def continued_and_resumed(seed):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dropout(0.5, seed=seed)])
    first = masks(model, 3)
    model.save(path)
    resumed = [keras.models.load_model(path) for _ in range(2)]
    print(f"seed={seed}: state (seed, draws) at save {position(model)}, in two loaded models", *map(position, resumed))
    return first, masks(model, 3), *(masks(other, 3) for other in resumed)


print("keras", keras.__version__, "on", keras.backend.backend())
first, continued, resumed, again = continued_and_resumed(seed=3)
print("  resumed equals the masks before the save:", resumed == first, "| equals the continued run:", resumed == continued)
assert resumed == again == first != continued
first, continued, resumed, again = continued_and_resumed(seed=None)
print("  resumed equals the continued run:", resumed == continued, "| two resumed runs are equal:", resumed == again)
assert resumed != continued and resumed != again
PYTHON
