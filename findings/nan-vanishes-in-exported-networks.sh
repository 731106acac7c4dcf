#!/usr/bin/env bash
# A network with a NaN answers with ordinary numbers once it is exported: OpenVINO's Relu and onnxruntime's MaxPool drop it.
#
# Happens: one ONNX file, float32, CPU. Relu(NaN) is 0 in OpenVINO, so a network whose first layer has diverged (all
# weights NaN) returns the bias of its head, a confident constant class. In onnxruntime Relu keeps the NaN, but MaxPool
# and GlobalMaxPool drop it as long as one number is in the window, so that a NaN pixel in a corner disappears while
# the same pixel in the middle makes every output NaN; ReduceMax depends on the place of the NaN as well. The reference
# evaluator of onnx keeps NaN through Relu and drops it in MaxPool when it comes last in the window.
# Guessed: NaN in, NaN out, in every runtime, as PyTorch and JAX do for all of these layers.
# Matters: "isfinite" on the outputs is the usual guard of a deployed model and of a test after export; here it passes
# for a model that has no finite weight, and the accuracy is that of the most frequent class.
# Version: onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, jax 0.10.2, x86-64. Source: microsoft/onnxruntime issue
# 10514 (ReduceMax), openvinotoolkit/openvino issue 35935 (MaxPool); the ONNX operators say nothing of NaN here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "onnx==1.23.2" "onnxruntime==1.32.0" "openvino==2026.4.1" "jax==0.10.2" \
    "jaxlib==0.10.2" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import jax
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

nan = np.nan
generator = np.random.default_rng(0)
head = generator.normal(size=(3, 4)).astype(np.float32)
bias = np.array([0.1, 0.7, 0.2], dtype=np.float32)
kernels = generator.normal(size=(4, 1, 3, 3)).astype(np.float32)


def one_operator(name, x, **attributes):
    return graph_of([helper.make_node(name, ["x"], ["y"], **attributes)], x, {})


def network(x, kernels):
    nodes = [
        helper.make_node("Conv", ["x", "kernels"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("MaxPool", ["relu"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["pool"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
        helper.make_node("Gemm", ["features", "head", "bias"], ["y"], transB=1),
    ]
    return graph_of(nodes, x, {"kernels": kernels, "head": head, "bias": bias})


def graph_of(nodes, x, weights):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "network", [value("x", x.shape)], [value("y", None)], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def outputs(model, x):
    compiled = openvino.compile_model(
        openvino.Core().read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    runs = {
        "reference": ReferenceEvaluator(model).run(None, {"x": x})[0],
        "onnxruntime": onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0],
        "openvino": compiled({"x": x})[0],
    }
    return {name: np.round(np.asarray(array).ravel(), 3).tolist() for name, array in runs.items()}


row = np.array([[[nan, 1.0, 2.0, nan]]], dtype=np.float32)
image = generator.normal(size=(1, 1, 14, 14)).astype(np.float32)
corner, middle = image.copy(), image.copy()
corner[0, 0, 0, 0] = middle[0, 0, 6, 6] = nan
seen = {
    "Relu of nan 1 2 nan": outputs(one_operator("Relu", row), row),
    "MaxPool of (nan 1) (2 nan)": outputs(one_operator("MaxPool", row, kernel_shape=[2], strides=[2]), row),
    "network, all first weights nan": outputs(network(image, kernels * nan), image),
    "network, nan pixel in the corner": outputs(network(corner, kernels), corner),
    "network, nan pixel in the middle": outputs(network(middle, kernels), middle),
}
print({name: version(name) for name in ("onnx", "onnxruntime", "openvino", "jax")})
for case, runs in seen.items():
    print(case, *(f"\n    {name:12} {values}" for name, values in runs.items()))
print("jax: relu(nan) =", jax.nn.relu(nan), "| max of nan 1 =", jax.numpy.max(np.array([nan, 1.0])))

has_nan = {case: {name: bool(np.isnan(values).any()) for name, values in runs.items()} for case, runs in seen.items()}
expected = lambda reference, runtime, vino: {"reference": reference, "onnxruntime": runtime, "openvino": vino}
assert has_nan["Relu of nan 1 2 nan"] == expected(True, True, False)
assert has_nan["MaxPool of (nan 1) (2 nan)"] == expected(True, False, False)
assert has_nan["network, all first weights nan"]["openvino"] is False
assert np.allclose(seen["network, all first weights nan"]["openvino"], bias, atol=1e-3)
assert has_nan["network, nan pixel in the corner"] == expected(True, False, False)
assert has_nan["network, nan pixel in the middle"] == expected(True, True, False)
assert np.isnan(jax.nn.relu(nan)) and np.isnan(jax.numpy.max(np.array([nan, 1.0])))
PYTHON
