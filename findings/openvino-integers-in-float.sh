#!/usr/bin/env bash
# Integers in a network on OpenVINO's CPU are handled as float32: 16777217 equals 16777216, and ids find a wrong row.
#
# Happens: for int32 and int64 alike, Mod, Div, Equal, Greater, Less, ReduceMax and ReduceSum round their operands to
# float32, exact only up to 2**24 = 16 777 216. "id modulo the number of rows", the usual hash in front of an embedding,
# gives wrong rows from eight digits on; two different ids compare as equal. int64 loses its upper half besides, so that
# "id times a large prime" is wrong for the smallest ids. Inputs and outputs keep the types of the file, Gather, Add and
# Mul of int32 are exact, onnxruntime and the reference evaluator are right throughout.
# Guessed: integers are integers, at least up to 2**31; what a device cannot do is refused.
# Matters: recommenders and tabular networks hash ids of users, items and times inside of the exported graph so that
# training and serving agree. Here they look up the embeddings of somebody else, without an error, a NaN or a warning,
# and every test with ids 1, 2, 3 passes.
# Version: onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, x86-64. Source: openvinotoolkit/openvino issues 35829
# (Mod), 35830 and 37766 (Div), 35826 (Equal), 37956 (MatMul).
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

TYPES = {np.int32: TensorProto.INT32, np.int64: TensorProto.INT64}
rows = 1000


def answers(nodes, ids, output_type, **constants):
    value = helper.make_tensor_value_info
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    inputs, outputs = [value("ids", TYPES[ids.dtype.type], ids.shape)], [value("y", output_type, None)]
    graph = helper.make_graph(nodes, "network", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    file = model.SerializeToString()
    runs = {
        "reference": ReferenceEvaluator(model).run(None, {"ids": ids})[0],
        "onnxruntime": onnxruntime.InferenceSession(file).run(None, {"ids": ids})[0],
        "openvino": openvino.compile_model(openvino.Core().read_model(file), "CPU")({"ids": ids})[0],
    }
    return {name: np.asarray(array).ravel().astype(bool if output_type == TensorProto.BOOL else int).tolist() for name, array in runs.items()}


def embedding(ids, prime=None):
    """Rows that a table of 1000 embeddings is read at; row i of the table holds the number i."""
    table = np.arange(rows, dtype=np.float32)[:, None]
    constants = {"table": table, "rows": np.array([rows], ids.dtype)} | ({} if prime is None else {"prime": np.array([prime], ids.dtype)})
    spread = "ids" if prime is None else "spread"
    nodes = [helper.make_node("Mul", ["ids", "prime"], ["spread"])] if prime is not None else []
    nodes += [helper.make_node("Mod", [spread, "rows"], ["row"]), helper.make_node("Gather", ["table", "row"], ["y"])]
    return answers(nodes, ids, TensorProto.FLOAT, **constants)


def comparison(ids, others):
    return answers([helper.make_node("Equal", ["ids", "others"], ["y"])], ids, TensorProto.BOOL, others=others)


def largest(ids):
    return answers([helper.make_node("ReduceMax", ["ids"], ["y"])], ids, TYPES[ids.dtype.type])


print({name: version(name) for name in ("onnx", "onnxruntime", "openvino")})
small, ids = [1, 2, 3, 16777215], [16777217, 20000001, 100000003, 123456789]
seen = {}
for dtype in TYPES:
    name = np.dtype(dtype).name
    seen[name, "rows of small ids"] = embedding(np.array(small, dtype))
    seen[name, "rows of eight and nine digits"] = embedding(np.array(ids, dtype))
    seen[name, "equal to the id before"] = comparison(np.array(ids, dtype), np.array(ids, dtype) - 1)
    seen[name, "largest id"] = largest(np.array(ids, dtype))
seen["int64", "rows of small ids, hashed"] = embedding(np.array(small[:3], np.int64), prime=2654435761)
for case, runs in seen.items():
    print(*case, *(f"\n    {name:12} {values}" for name, values in runs.items()))
for (dtype, case), runs in seen.items():
    assert runs["reference"] == runs["onnxruntime"]
    assert (runs["openvino"] == runs["reference"]) == (case == "rows of small ids"), (dtype, case)
assert seen["int32", "rows of eight and nine digits"]["reference"] == [value % rows for value in ids]
PYTHON
