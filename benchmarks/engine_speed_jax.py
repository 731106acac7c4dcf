"""JAX's side of `engine_speed.py`: reads one case a line as JSON, answers with microseconds per step and network.

`vmap` over the networks, `lax.scan` over all steps of a measurement inside one `jit`, donated buffers; dropout draws
from JAX's fastest generator. Inputs and labels are random, of the sizes of the digits and of MNIST.
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_default_prng_impl", "unsafe_rbg")
SIZES = {"digits": (1294, 64), "mnist": (54000, 784)}


@functools.cache
def data(name: str) -> tuple[Any, Any]:
    """Inputs (n, D) and labels (n,)."""
    random = np.random.default_rng(0)
    count, features = SIZES[name]
    inputs = jnp.asarray(random.random((count, features), dtype=np.float32))
    return inputs, jnp.asarray(random.integers(0, 10, count))


@functools.cache
def compiled(name: str, dropout: bool, own: bool) -> Any:
    """All steps of the networks as one function of their state and the batches' positions."""
    inputs, labels = data(name)

    def loss(parameters: Any, x: Any, y: Any, key: Any) -> Any:
        for position, (weight, bias) in enumerate(parameters):
            if position and dropout:
                x = x * jax.random.bernoulli(jax.random.fold_in(key, position), 0.5, x.shape) * 2
            x = x @ weight + bias
            x = jax.nn.relu(x) if position < len(parameters) - 1 else x
        return -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1).mean()

    def step(state: Any, x: Any, y: Any, key: Any, k: Any) -> Any:
        parameters, m, v = state
        value, gradient = jax.value_and_grad(loss)(parameters, x, y, key)
        m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
        rate, scale = 1e-3 / (1 - 0.9**k), 1 / (1 - 0.999**k)
        moved = jax.tree.map(lambda p, a, b: p - rate * a / (jnp.sqrt(b * scale) + 1e-8), parameters, m, v)
        return (moved, m, v), value

    axes = (0, 0, 0, 0, None) if own else (0, None, None, 0, None)
    all_networks = jax.vmap(step, in_axes=axes)

    def train(state: Any, order: Any, keys: Any) -> Any:
        def one(state: Any, index_and_number: Any) -> Any:
            index, k = index_and_number
            folded = jax.vmap(lambda key: jax.random.fold_in(key, k))(keys) if dropout else keys
            return all_networks(state, inputs[index], labels[index], folded, k + 1.0)

        return jax.lax.scan(one, state, (order, jnp.arange(len(order))))

    return jax.jit(train, donate_argnums=0)


def measure(members: int, data: str, widths: list[int], batch: int, steps: int, dropout: bool, own: bool) -> float:
    """Microseconds of processor time; everything is compiled before."""
    random = np.random.default_rng(1)
    count, features = SIZES[data]
    sizes = [features, *widths, 10]

    def state() -> Any:
        parameters = [
            (jnp.asarray(random.normal(0, (2 / a) ** 0.5, (members, a, b)), jnp.float32), jnp.zeros((members, b)))
            for a, b in itertools.pairwise(sizes)
        ]
        return parameters, jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters)

    shape = (steps, members, batch) if own else (steps, batch)
    order = jnp.asarray(random.integers(0, count, shape))
    keys = jax.random.split(jax.random.key(0), members)
    train = compiled(data, dropout, own)
    shapes = (members, tuple(widths), batch, steps, data, dropout, own)
    if shapes not in KNOWN:
        jax.block_until_ready(train(state(), order, keys))
        KNOWN.add(shapes)
    fresh = jax.block_until_ready(state())
    start = time.process_time()
    jax.block_until_ready(train(fresh, order, keys))
    return (time.process_time() - start) / steps / members * 1e6


KNOWN: set[Any] = set()  # cases that are compiled

if __name__ == "__main__":
    for line in sys.stdin:
        print(measure(**json.loads(line)), flush=True)
