#!/usr/bin/env bash
# Keras with gradient_accumulation_steps=4: the learning rate schedule runs four times too fast, and so does the average.
#
# Happens: optimizer.iterations counts updates of the weights, as one expects, but a LearningRateSchedule is read at the
# number of batches. A cosine over 100 updates is at zero after 25 of them, and the rest of the training does not move
# the weights. The averaged weights of use_ema=True decay with every batch as well, four times as fast as asked for.
# Clipping, weight decay, moments and the batches left over at the end of an epoch follow the updates correctly.
# Guessed: accumulation over four equal batches equals one step on one of them, schedule and average included.
# Matters: accumulation is switched on when a batch does not fit, and the schedule is planned in updates, which is what
# iterations reports. The loss flattens early, and that looks like convergence; warmup is over in a quarter of its time.
# Version: keras 3.15.1 (backend jax 0.10.2). Source: keras/src/optimizers/base_optimizer.py. The text on the argument
# gradient_accumulation_steps does say that schedules look at the undivided count, and that the average does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "keras==3.15.1" "jax==0.10.2" "jaxlib==0.10.2" "numpy==2.4.6"
KERAS_BACKEND=jax "$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import keras
import numpy as np

updates, accumulated = 100, 4
generator = np.random.default_rng(0)
batch, target = generator.normal(size=(8, 5)).astype(np.float32), generator.normal(size=(8, 1)).astype(np.float32)


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rows = []

    def on_train_batch_end(self, number, logs=None):
        weights = np.concatenate([weight.ravel() for weight in self.model.get_weights()])
        self.rows.append((int(self.model.optimizer.iterations), float(self.model.optimizer.learning_rate), weights))


def trained(steps, **options):
    """A hundred updates on one batch, each of one batch or accumulated over equal ones; state after every update."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(gradient_accumulation_steps=None if steps == 1 else steps, **options)
    model.compile(optimizer, "mse")
    recorder, batches = Recorder(), updates * steps
    model.fit(np.tile(batch, (batches, 1)), np.tile(target, (batches, 1)), batch_size=8, shuffle=False, verbose=0, callbacks=[recorder])
    average = np.concatenate([np.ravel(value) for value in optimizer._model_variables_moving_average]) if options.get("use_ema") else None
    return recorder.rows[steps - 1 :: steps], average


def difference(left, right):
    return float(np.abs(left - right).max())


print({name: version(name) for name in ("keras", "jax")})
constant = [trained(steps, learning_rate=0.02)[0] for steps in (1, accumulated)]
print("constant rate: largest difference of the weights", difference(constant[0][-1][2], constant[1][-1][2]))
assert difference(constant[0][-1][2], constant[1][-1][2]) < 1e-6

cosine = lambda: keras.optimizers.schedules.CosineDecay(0.02, decay_steps=updates)
plain, accumulating = (trained(steps, learning_rate=cosine())[0] for steps in (1, accumulated))
for update in (10, 25, 50, 100):
    (count, rate, _), (counts, rates, _) = plain[update - 1], accumulating[update - 1]
    print(f"cosine, update {update:3}: iterations {count:3} and {counts:3}, learning rate {rate:.5f} without and {rates:.5f} with accumulation")
    assert count == counts == update
still = next(update for update in range(1, updates) if all(np.array_equal(accumulating[update - 1][2], row[2]) for row in accumulating[update:]))
print("with accumulation the weights stand still from update", still, "of", updates)
assert still <= 26 and accumulating[24][1] < 1e-6 < 0.015 < plain[24][1]

averages = [trained(steps, learning_rate=0.02, use_ema=True, ema_momentum=0.99)[1] for steps in (1, accumulated)]
expected = trained(1, learning_rate=0.02, use_ema=True, ema_momentum=0.99**accumulated)[1]
print(f"average of the weights: accumulating differs by {difference(*averages):.4f} from momentum 0.99, by {difference(averages[1], expected):.4f} from momentum 0.99**4")
assert difference(*averages) > 4 * difference(averages[1], expected)
PYTHON
