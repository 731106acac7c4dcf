#!/usr/bin/env bash
# A number too large for float8: 448 in onnxruntime, NaN in OpenVINO and JAX, from one Cast with saturate=1.
#
# Happens: Cast to FLOAT8E4M3FN saturates by default in ONNX; onnx's reference and onnxruntime return 448 for 1000,
# OpenVINO ignores the attribute and returns NaN, as jax and ml_dtypes do (they have no saturating cast). For
# FLOAT8E5M2 they disagree about rounding, too: 61435 is 57344 (nearest) in all but OpenVINO, which returns infinity.
# QuantizeLinear saturates everywhere, but OpenVINO turns NaN into -448 where the others keep it. And onnxruntime with
# saturate=0 returns NaN for 61440, half way to the next step above the largest float8, where infinity is due.
# Guessed: the attribute decides in every runtime; NaN stays NaN.
# Matters: activations of an fp8 model are tuned against one saturation; in another runtime one outlier makes a whole
# output NaN, or a NaN is laundered into a finite number. Both files pass onnx's checker.
# Version: onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, ml_dtypes 0.6.0, jax 0.10.2. Source: ONNX documentation,
# "Float stored in 8 bits", tables of Cast; operator page of Cast, attribute saturate.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "onnx==1.23.2" "onnxruntime==1.32.0" "openvino==2026.4.1" "jax==0.10.2" \
    "jaxlib==0.10.2" "ml_dtypes==0.6.0" "numpy==2.4.6"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

nan, inf = np.nan, np.inf


def model_of(nodes, x, weights=()):
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)
    graph = helper.make_graph(nodes, "float8", [value("x")], [value("y")], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def cast(x, kind, saturate):
    down = helper.make_node("Cast", ["x"], ["small"], to=kind, saturate=saturate)
    return model_of([down, helper.make_node("Cast", ["small"], ["y"], to=TensorProto.FLOAT)], x)


def quantize(x):
    weights = [numpy_helper.from_array(np.float32(1), "scale"), numpy_helper.from_array(np.array(0, ml_dtypes.float8_e4m3fn), "zero")]
    down = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["small"])
    return model_of([down, helper.make_node("DequantizeLinear", ["small", "scale", "zero"], ["y"])], x, weights)


def run(model, x):
    compiled = openvino.compile_model(openvino.Core().read_model(model.SerializeToString()), "CPU")
    return {
        "onnx reference": ReferenceEvaluator(model).run(None, {"x": x})[0].tolist(),
        "onnxruntime": onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0].tolist(),
        "openvino": np.asarray(compiled({"x": x})[0]).tolist(),
    }


large = np.array([1000.0, -1000.0, inf, nan], dtype=np.float32)
wide = np.array([61435.0, 61440.0, 1e6], dtype=np.float32)
seen = {
    "e4m3fn, saturate=1, of 1000 -1000 inf nan": run(cast(large, TensorProto.FLOAT8E4M3FN, 1), large),
    "e4m3fn, QuantizeLinear, the same": run(quantize(large), large),
    "e5m2, saturate=0, of 61435 61440 1e6": run(cast(wide, TensorProto.FLOAT8E5M2, 0), wide),
}
ml = large.astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
wide_ml = wide.astype(ml_dtypes.float8_e5m2).astype(np.float32)
print({name: version(name) for name in ("onnx", "onnxruntime", "openvino", "ml_dtypes", "jax")})
for case, runs in seen.items():
    print(case, *(f"\n    {name:15} {values}" for name, values in runs.items()))
print("ml_dtypes e4m3fn", ml.tolist(), "e5m2", wide_ml.tolist())

same = lambda a, b: np.array_equal(a, b, equal_nan=True)
first, second, third = seen.values()
assert same(first["onnx reference"], [448, -448, 448, nan]) and same(first["onnxruntime"], [448, -448, 448, nan])
assert same(first["openvino"], [nan] * 4) and same(ml, [nan] * 4)
assert same(jnp.asarray(large).astype(jnp.float8_e4m3fn).astype(jnp.float32), [nan] * 4)
assert same(second["onnxruntime"], [448, -448, 448, nan]) and same(second["openvino"], [448, -448, 448, -448])
assert same(third["onnx reference"], [57344, inf, inf]) and same(wide_ml, [57344, inf, inf])
assert same(third["onnxruntime"], [57344, nan, inf]) and same(third["openvino"], [inf, inf, inf])
PYTHON
