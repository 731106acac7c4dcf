#!/usr/bin/env bash
# Adam on bfloat16 weights, a long run: the second moment only ever grows, and fused and foreach stop at different values.
#
# Happens: with beta2 = 0.999 a decay of 0.1 percent is below half a step of bfloat16, so a second moment that is kept in
# the dtype of its weights never decays. After 500 gradients of 1 and 4000 gradients of 0.01 it should be 0.0073; it is
# still 0.25 with torch.optim.Adam(fused=True) and with keras, 0.5 with foreach or the plain loop and with optax, where
# mu_dtype=float32 does not help (it is for the first moment). Steps are 6 to 8 times too small from then on. Fused and
# foreach round at different places, and so differ by a factor of two (their steps by 1.4) after 500 equal gradients.
# Guessed: fused is foreach, faster, equal up to the rounding of bfloat16 (half a percent).
# Matters: gradients shrink over training, exactly what the second moment is for. Weights in bfloat16 without a float32
# copy are common in fine-tuning; a run that is resumed with the other implementation changes its step size.
# Version: torch 2.14.1 (installs PyTorch: 6 GB, some minutes), optax 0.2.8, keras 3.15.1, jax 0.10.2, on the CPU. Source:
# PyTorch, torch.optim, notes on foreach and fused (differences of rounding only); optax, adam, argument mu_dtype.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.14.1" "optax==0.2.8" "keras==3.15.1" "jax==0.10.2" "jaxlib==0.10.2" "numpy==2.4.6"
KERAS_BACKEND=jax "$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import torch

LARGE, SMALL = 500, 4000
GRADIENTS = [1.0] * LARGE + [0.01] * SMALL


def torch_moments(dtype, **implementation):
    weight = torch.nn.Parameter(torch.zeros(1, dtype=getattr(torch, dtype)))
    optimizer = torch.optim.Adam([weight], lr=1e-3, **implementation)
    for gradient in GRADIENTS:
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        yield optimizer.state[weight]["exp_avg_sq"].item()


def optax_moments(dtype, **options):
    transform = optax.adam(1e-3, **options)
    weight = jnp.zeros(1, dtype)
    state, update = transform.init(weight), jax.jit(transform.update)
    for gradient in GRADIENTS:
        _, state = update(jnp.full(1, gradient, dtype), state, weight)
        yield float(state[0].nu[0])


def keras_moments(dtype):
    weight = keras.Variable(np.zeros(1), dtype=dtype)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build([weight])
    apply = jax.jit(lambda weights, state, gradient: optimizer.stateless_apply(state, [gradient], weights))
    weights, state = [weight.value], [variable.value for variable in optimizer.variables]
    (index,) = [i for i, variable in enumerate(optimizer.variables) if "velocity" in variable.path]
    for gradient in GRADIENTS:
        weights, state = apply(weights, state, jnp.full(1, gradient, dtype))
        yield float(state[index][0])


contestants = {
    "torch loop": lambda dtype: torch_moments(dtype, foreach=False),
    "torch foreach": lambda dtype: torch_moments(dtype, foreach=True),
    "torch fused": lambda dtype: torch_moments(dtype, fused=True),
    "optax": optax_moments,
    "optax, mu_dtype=float32": lambda dtype: optax_moments(dtype, mu_dtype=jnp.float32),
    "keras": keras_moments,
}
print({name: version(name) for name in ("torch", "optax", "keras", "jax")})
print(f"second moment after {LARGE} gradients of 1, then {SMALL} of 0.01")
seen = {}
for name, moments in contestants.items():
    for dtype in ("float32", "bfloat16"):
        history = list(moments(dtype))
        seen[name, dtype] = history[LARGE - 1], history[-1]
        print(f"    {name:24} {dtype:9} {history[LARGE - 1]:.4f} {history[-1]:.4f}")
for (name, dtype), values in seen.items():
    if dtype == "float32":
        assert np.allclose(values, (0.3936, 0.0073), atol=1e-4), name
    else:
        assert values == ((0.25, 0.25) if name in ("torch fused", "keras") else (0.5, 0.5)), name
PYTHON
