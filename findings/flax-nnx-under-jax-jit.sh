#!/usr/bin/env bash
# A Flax NNX model inside plain jax.jit: one dropout mask for ever, and BatchNorm never learns its statistics.
#
# Happens: since flax 0.12 every nnx.Module is a pytree, so jax.jit takes one as an argument. What the call changes in
# the module (the counter that Dropout draws its keys from, the running mean of BatchNorm) changes only the copy inside
# the trace. Nothing is raised and nothing is warned: every step drops the same units, and evaluation normalizes with
# mean 0 and variance 1. nnx.jit carries the changes back out.
# Guessed: an error, as flax raises for a module that the jitted function closes over ("trace level").
# Matters: jax.jit for nnx.jit is a short prefix apart in a training script; the loss still falls, dropout only stops regularizing
# and the model fails at evaluation.
# Version: flax 0.12.8, jax 0.10.2. Source: flax docs, guide "Module & Pytree" (jax.jit over a Module, trace-level
# awareness); the guide "Flax NNX vs JAX transformations" still says that JAX's transforms do not take such objects.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "flax==0.12.8" "jax==0.10.2" "jaxlib==0.10.2" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import flax
import jax
import jax.numpy as jnp
from flax import nnx


class Block(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(64, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.dropout(self.norm(x))


def after_three_steps(jit):
    block = Block(nnx.Rngs(0))
    step = jit(lambda model, x: model(x))
    x = jax.random.normal(jax.random.key(1), (32, 64)) + 5.0
    masks = [step(block, x) == 0 for _ in range(3)]
    repeated = sum(bool((mask == masks[0]).all()) for mask in masks[1:])
    return repeated, float(block.norm.mean[...].mean()), int(block.dropout.rngs.count[...])


print("flax", flax.__version__, "jax", jax.__version__)
seen = {jit.__module__.split(".")[0] + ".jit": after_three_steps(jit) for jit in (jax.jit, nnx.jit)}
for name, (repeated, mean, count) in seen.items():
    print(f"{name:9} equal dropout masks {repeated} of 2, running mean {mean:.3f} (inputs: 5), keys drawn {count}")
repeated, mean, count = seen["jax.jit"]
assert (repeated, mean, count) == (2, 0.0, 0), seen
repeated, mean, count = seen["flax.jit"]
assert repeated == 0 and mean > 0.1 and count == 3, seen
PYTHON
