#!/usr/bin/env bash
# A query that may look at no key: zeros in ONNX and PyTorch, the mean of all values in JAX, Flax, Keras, MLX.
#
# Happens: with a boolean mask whose row is all False (a padded query, a padded sequence in a batch), jax.nn, flax.nnx,
# keras.ops and mlx return the average over every value, those of the masked keys included. The Attention operator of
# ONNX (opset 23 and up) returns exactly zero, in the reference evaluator and in onnxruntime, as PyTorch's
# scaled_dot_product_attention does (2.14.1; not run here).
# Guessed: zeros everywhere, and NaN from ONNX, whose specification is a softmax over -inf.
# Matters: an exported model differs from the trained one at padded positions; harmless while the loss masks them, not
# harmless once they are pooled, normalized over or used as keys by the next layer. In JAX, padding leaks in unseen.
# Version: jax 0.10.2, flax 0.12.8, keras 3.15.1, mlx 0.32.4, onnx 1.23.2, onnxruntime 1.32.0. Source: the libraries' own
# code (a large negative number instead of -inf in the four); onnx operator page, Attention.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "jax==0.10.2" "jaxlib==0.10.2" "flax==0.12.8" "keras==3.15.1" "mlx[cpu]==0.32.4" \
    "onnx==1.23.2" "onnxruntime==1.32.0" "numpy==2.4.6"
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import jax
import keras
import mlx.core as mx
import numpy as np
import onnxruntime
from flax import nnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

shape = batch, heads, length, width = 1, 1, 3, 4
generator = np.random.default_rng(0)
query, key, value = (generator.normal(size=shape).astype(np.float32) for _ in range(3))
mask = np.ones((batch, heads, length, length), dtype=bool)
mask[0, 0, 1] = False  # the second query sees no key
heads_last = [np.swapaxes(array, 1, 2) for array in (query, key, value)]

node = helper.make_node("Attention", ["query", "key", "value", "mask"], ["out"])
inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("query", "key", "value")]
inputs.append(helper.make_tensor_value_info("mask", TensorProto.BOOL, mask.shape))
graph = helper.make_graph([node], "attention", inputs, [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
feeds = {"query": query, "key": key, "value": value, "mask": mask}

rows = {
    "jax.nn": jax.nn.dot_product_attention(*heads_last, mask=mask)[0, :, 0],
    "flax.nnx": nnx.dot_product_attention(*heads_last, mask=mask)[0, :, 0],
    "keras.ops": keras.ops.dot_product_attention(*heads_last, mask=mask)[0, :, 0],
    "mlx": mx.fast.scaled_dot_product_attention(*map(mx.array, (query, key, value)), scale=width**-0.5, mask=mx.array(mask))[0, 0],
    "onnx reference": ReferenceEvaluator(model).run(None, feeds)[0][0, 0],
    "onnxruntime": onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)[0][0, 0],
}
print({name: version(name) for name in ("jax", "flax", "keras", "mlx", "onnx", "onnxruntime")})
for name, row in rows.items():
    print(f"{name:15}", np.round(np.asarray(row)[1], 4))
mean = value[0, 0].mean(axis=0)
print(f"{'mean of values':15}", np.round(mean, 4))
for name, row in rows.items():
    expected = np.zeros(width) if "onnx" in name else mean
    assert np.allclose(np.asarray(row)[1], expected, atol=1e-6), name
    assert np.allclose(np.asarray(row)[[0, 2]], rows["onnxruntime"][[0, 2]], atol=1e-5), name  # the other rows agree
PYTHON
