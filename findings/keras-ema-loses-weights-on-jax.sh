#!/usr/bin/env bash
# Keras on JAX with use_ema=True: the trained weights are gone after evaluate(), and a second fit() raises.
#
# Happens: at the end of fit the averaged weights are written into the model by sharing their arrays, and the next
# compiled step gives the same arrays to JAX twice, to be overwritten in place. After fit and evaluate, saving the model
# raises "Array has been deleted"; after fit, a second fit raises TypeError: 'NoneType' object is not callable, and the
# model cannot be saved any more either. Saving right after fit works. The same calls without use_ema work.
# Guessed: use_ema changes the values of the weights and nothing else.
# Matters: fit, evaluate, save is the order of every training script; the hours of training are lost at the last line.
# Version: keras 3.15.1, jax 0.10.2 (and keras 3.11.3 with jax 0.7.2). Source: keras' own trainer for JAX (it donates its
# state to the compiled step); no report found.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "keras==3.15.1" "jax==0.10.2" "jaxlib==0.10.2" "numpy==2.4.6"
KERAS_BACKEND=jax "$folder/venv/bin/python" - "$folder/model.keras" 2>"$folder/messages" <<'PYTHON' || { cat "$folder/messages"; exit 1; }
import sys

import jax
import keras
import numpy as np

path = sys.argv[1]
x = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
y = x.sum(axis=1, keepdims=True)
calls = {
    "fit": lambda model: model.fit(x, y, verbose=0),
    "evaluate": lambda model: model.evaluate(x, y, verbose=0),
    "save": lambda model: model.save(path),
}


def outcome(use_ema, names):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-2, use_ema=use_ema), "mse")
    for name in names:
        try:
            calls[name](model)
        except Exception as error:
            return f"{name} raises {type(error).__name__}: {str(error).splitlines()[0][:45]}"
    return "works"


print("keras", keras.__version__, "jax", jax.__version__)
orders = [("fit", "save"), ("fit", "evaluate", "save"), ("fit", "fit")]
seen = {(use_ema, names): outcome(use_ema, names) for names in orders for use_ema in (False, True)}
for (use_ema, names), result in seen.items():
    print(f"use_ema={use_ema!s:5} {', '.join(names):20} {result}")
assert all(result == "works" for (use_ema, _), result in seen.items() if not use_ema)
assert seen[True, ("fit", "save")] == "works"
assert seen[True, ("fit", "evaluate", "save")].startswith("save raises RuntimeError: Array has been deleted")
assert seen[True, ("fit", "fit")].startswith("fit raises TypeError")
PYTHON
