#!/usr/bin/env bash
# Weights whose gradient has become zero: from step 830 on each costs PyTorch's Adam up to twelve times as much, for ever.
#
# Happens: where a gradient is exactly zero from some step on (dead units, masked or pruned weights, rows of an embedding
# that are not met), Adam's running average of it shrinks by a tenth a step. After 830 steps it reaches the numbers below
# the smallest normal one, and there it stays: 0.9 times the fourth of them is rounded to itself. So it never becomes
# zero, and in every step from then on the processor handles it by its slow path: on an Intel Xeon 1.1 ms -> 13 ms a step for
# a million such weights with fused=True, 4 -> 15 ms without, 1.1 -> 12.5 ms for SGD with momentum. With
# torch.set_flush_denormal(True) it stays at 0.9. Optax under jit has zeros there, and its steps cost the same throughout.
# Guessed: a step of an optimizer costs the same whatever the numbers are; at most a few hundred steps in between are slow,
# until the average is zero.
# Matters: training slows down in the middle, the more the more units die, without any sign of it; a profile of the
# first steps shows nothing, and so does one with random gradients. A population of small networks, or one with
# activity penalties, is hit as a whole.
# Version: torch 2.14.1 on the CPU (installs PyTorch: 6 GB, some minutes); jax 0.10.2, optax 0.2.8. How much slower depends on
# the processor (old ones more, ARM hardly); that the average comes to rest does not. Source: IEEE 754 rounding; PyTorch
# leaves the processor's flush-to-zero mode off by default, XLA turns it on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.14.1" "jax==0.10.2" "optax==0.2.8" "numpy==2.4.6"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

WEIGHTS, STEPS, SMALLEST = 1_000_000, 1500, np.finfo(np.float32).smallest_normal
first = np.random.default_rng(0).normal(size=WEIGHTS).astype(np.float32)
print("torch", torch.__version__, "jax", jax.__version__, "optax", optax.__version__, platform.machine())
print("one step with gradients, then steps with zeros: ms a step (median of 50), and averages below the smallest normal")


def timed(name, step, average):
    taken = []
    for _ in range(STEPS):
        start = time.process_time()
        step()
        taken.append(1000 * (time.process_time() - start))
    early, late = (sorted(part)[25] for part in (taken[10:60], taken[-50:]))
    left = np.abs(np.asarray(average()))
    subnormal = int(((left > 0) & (left < SMALLEST)).sum())
    print(f"{name:34} steps 10 to 60: {early:5.1f}   steps 1450 to 1500: {late:5.1f}   below: {subnormal:9,}", flush=True)
    return subnormal, late / early


def in_torch(name, make, state):
    weights = torch.zeros(WEIGHTS, requires_grad=True)
    optimizer = make([weights])
    weights.grad = torch.from_numpy(first.copy())
    optimizer.step()
    weights.grad.zero_()
    return timed(name, optimizer.step, lambda: optimizer.state[weights][state])


found = [
    in_torch("Adam, fused", lambda w: torch.optim.Adam(w, fused=True), "exp_avg"),
    in_torch("Adam", lambda w: torch.optim.Adam(w), "exp_avg"),
    in_torch("SGD, momentum 0.9", lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9), "momentum_buffer"),
]
torch.set_flush_denormal(True)
flushed = in_torch("Adam, fused, set_flush_denormal", lambda w: torch.optim.Adam(w, fused=True), "exp_avg")
torch.set_flush_denormal(False)

rule = optax.adam(1e-3)
weights = jnp.zeros(WEIGHTS)
state = rule.init(weights)


@jax.jit
def update(weights, state, gradient):
    change, state = rule.update(gradient, state, weights)
    return optax.apply_updates(weights, change), state


def step_of_optax(gradient=jnp.zeros(WEIGHTS)):
    global weights, state
    weights, state = jax.block_until_ready(update(weights, state, gradient))


step_of_optax(jnp.asarray(first))
in_optax = timed("optax.adam under jax.jit", step_of_optax, lambda: state[0].mu)

assert all(subnormal > 0.99 * WEIGHTS for subnormal, _ in found)
assert flushed[0] == in_optax[0] == 0
if platform.machine() == "x86_64":
    assert min(slower for _, slower in found) > 1.5
PYTHON
