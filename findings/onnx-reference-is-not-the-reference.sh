#!/usr/bin/env bash
# The reference evaluator of onnx reads padding as data in LSTM, GRU and RNN, and its L1 norm adds signed numbers.
#
# Happens: ReferenceEvaluator accepts sequence_lens and ignores it: a sequence of two steps in a batch of five gets
# outputs for all five, and its last state is the state after the padding. clip is ignored too. LpNormalization with p=1
# divides by the sum of the values instead of the sum of their magnitudes, so that "normalized" rows reach any size and
# change sign. onnxruntime and OpenVINO follow the operator pages and agree with each other.
# Guessed: the evaluator that comes with the standard is the one to trust when two runtimes differ.
# Matters: it is the usual ground truth of a test after export ("the runtime must equal the reference"). Such a test
# fails for a right runtime as soon as a batch has padding, passes as long as all sequences are full, and who uses it to
# compute embeddings gets ones that depend on how far the batch was padded.
# Version: onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1. Source: onnx/reference/ops/op_lstm.py, op_gru.py, op_rnn.py
# (argument marked as unused) and op_lp_normalization.py; operator pages LSTM and LpNormalization.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "onnx==1.23.2" "onnxruntime==1.32.0" "openvino==2026.4.1" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

generator = np.random.default_rng(0)
hidden, gates = 2, {"LSTM": 4, "GRU": 3, "RNN": 1}
two_steps = generator.normal(size=(2, 1, 3)).astype(np.float32)  # (time, batch, features)
padding = np.full((3, 1, 3), 9.0, dtype=np.float32)
padded = np.concatenate([two_steps, padding])


def answers(node, x, constants):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph([node], "network", [value("x", x.shape)], [value("y", None)], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    file = model.SerializeToString()
    vino = openvino.compile_model(openvino.Core().read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    runs = {
        "reference": ReferenceEvaluator(model).run(None, {"x": x})[0],
        "onnxruntime": onnxruntime.InferenceSession(file).run(None, {"x": x})[0],
        "openvino": vino({"x": x})[0],
    }
    return {name: np.asarray(array).ravel() for name, array in runs.items()}


def last_state(layer, x, length, **attributes):
    width = gates[layer] * hidden
    fixed = np.random.default_rng(1)
    shapes = {"W": (1, width, 3), "R": (1, width, hidden), "B": (1, 2 * width)}
    constants = {name: fixed.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    constants["lengths"] = np.array([length], dtype=np.int32)
    node = helper.make_node(layer, ["x", "W", "R", "B", "lengths"], ["", "y"], hidden_size=hidden, **attributes)
    return answers(node, x, constants)


def show(case, runs):
    print(case, *(f"\n    {name:12} {np.round(values, 4).tolist()}" for name, values in runs.items()))
    return runs


def agree(left, right):
    return bool(np.allclose(left, right, atol=1e-4))


print({name: version(name) for name in ("onnx", "onnxruntime", "openvino")})
for layer in gates:
    truth = last_state(layer, two_steps, 2)
    runs = show(f"{layer}, state after two steps and three of padding (true: {np.round(truth['onnxruntime'], 4).tolist()})", last_state(layer, padded, 2))
    assert agree(truth["reference"], truth["onnxruntime"]) and agree(truth["openvino"], truth["onnxruntime"])
    assert agree(runs["onnxruntime"], truth["onnxruntime"]) and agree(runs["openvino"], truth["onnxruntime"])
    assert agree(runs["reference"], last_state(layer, padded, 5)["reference"]) and not agree(runs["reference"], truth["reference"])
runs = show("LSTM, clip=0.1", last_state("LSTM", two_steps, 2, clip=0.1))
assert agree(runs["onnxruntime"], runs["openvino"]) and agree(runs["reference"], last_state("LSTM", two_steps, 2)["reference"])
row = np.array([[3.0, -2.0, -2.0, 0.5]], dtype=np.float32)
runs = show(f"LpNormalization p=1 of {row[0].tolist()}", answers(helper.make_node("LpNormalization", ["x"], ["y"], p=1, axis=1), row, {}))
assert agree(runs["onnxruntime"], row / np.abs(row).sum()) and agree(runs["openvino"], runs["onnxruntime"])
assert agree(runs["reference"], row / row.sum())
PYTHON
