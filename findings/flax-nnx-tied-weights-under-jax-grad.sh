#!/usr/bin/env bash
# Two layers of a Flax NNX model that share one Param: jax.grad splits the gradient, and one update unties them.
#
# Happens: nnx.grad returns one gradient for a shared weight, the sum over its uses. jax.grad takes the same module
# (a pytree since flax 0.12), sees the Param twice and returns two different partial gradients without a word. Stepping
# the module with jax.tree.map then leaves an encoder and a decoder with two weights of different values; the number of
# leaves was two all along, so a count of parameters or a global gradient norm is off as well.
# Guessed: the sum at one place, as nnx.grad gives it, or an error that the module is no tree.
# Matters: tied embeddings are the usual case; the loss falls, and the model that is saved is not the one that was
# designed (twice the embedding's parameters in effect, trained with a part of its gradient each).
# Version: flax 0.12.8, jax 0.10.2. Source: flax docs, guide "Module & Pytree", section on reference sharing (says that
# sharing is lost across JAX's transforms; gradients are not mentioned). nnx.find_duplicates finds the pair.
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


class TiedAutoencoder(nnx.Module):
    def __init__(self, rngs):
        self.encoder = nnx.Linear(4, 4, use_bias=False, rngs=rngs)
        self.decoder = nnx.Linear(4, 4, use_bias=False, rngs=rngs)
        self.decoder.kernel = self.encoder.kernel

    def __call__(self, x):
        return self.decoder(nnx.tanh(self.encoder(x)))


x = jax.random.normal(jax.random.key(1), (16, 4))
loss = lambda model: jnp.mean((model(x) - x) ** 2)
model = TiedAutoencoder(nnx.Rngs(0))

print("flax", flax.__version__, "jax", jax.__version__)
(whole,) = jax.tree.leaves(nnx.grad(loss)(model))
parts = jax.tree.leaves(jax.grad(loss)(model))
norm = lambda array: round(float(jnp.linalg.norm(array)), 3)
print("nnx.grad: 1 gradient, norm", norm(whole))
print("jax.grad:", len(parts), "gradients, norms", [norm(part) for part in parts], "norm of their sum", norm(sum(parts)))

stepped = jax.tree.map(lambda weight, gradient: weight - 0.1 * gradient, model, jax.grad(loss)(model))
apart = float(jnp.abs(stepped.encoder.kernel[...] - stepped.decoder.kernel[...]).max())
print("tied before:", model.encoder.kernel is model.decoder.kernel, "| tied after a step:",
      stepped.encoder.kernel is stepped.decoder.kernel, f"| largest difference {apart:.4f}")

assert len(parts) == 2 and not jnp.allclose(parts[0], parts[1])
assert jnp.allclose(sum(parts), whole, atol=1e-6)
assert stepped.encoder.kernel is not stepped.decoder.kernel and apart > 1e-3
assert len(nnx.find_duplicates(model)) == 1
PYTHON
