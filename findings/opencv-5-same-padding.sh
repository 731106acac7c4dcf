#!/usr/bin/env bash
# One ONNX file after an upgrade of OpenCV: SAME_UPPER was right in 4 and is read as SAME_LOWER by 5, and the reverse.
#
# Happens: where "same" padding is odd (a 3 x 3 kernel of stride 2 on an even image), auto_pad says on which side the
# extra row goes. cv2.dnn of 4.14 puts it below and to the right for both words, 5.0.0 above and to the left for both, in
# Conv, MaxPool and AveragePool alike; onnxruntime follows the words, and with explicit pads all three agree. A 2 x 2
# MaxPool of stride 1 is still padded below by 5.0.0. Nothing is raised, the shapes are right, the features shift by one
# pixel per layer.
# Guessed: both releases compute what the attribute says, as onnxruntime does.
# Matters: SAME_UPPER is the padding of TensorFlow and Keras, and exporters write it by name when the size of the image
# is open. Detectors look at boxes that are off by part of a stride, the classes below change for half of the images,
# and the version of OpenCV is the last thing one suspects.
# Version: opencv-python-headless 4.14.0.94 and 5.0.0.93, onnxruntime 1.32.0, onnx 1.23.2. Source: operator pages of
# ONNX, Conv and MaxPool, attribute auto_pad; no report found.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "onnx==1.23.2" "onnxruntime==1.32.0" "numpy==2.4.6"
cat >"$folder/padding.py" <<'PYTHON'
import cv2
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

generator = np.random.default_rng(0)
rows = np.tile(np.arange(1, 7, dtype=np.float32)[:, None], (1, 6))[None, None]  # row i holds the number i
images = generator.normal(size=(256, 3, 32, 32)).astype(np.float32)
middle = np.zeros((1, 1, 3, 3), dtype=np.float32)
middle[0, 0, 1, 1] = 1.0
shapes = {"first": (16, 3, 3, 3), "second": (32, 16, 3, 3), "third": (64, 32, 3, 3), "head": (10, 64)}
weights = {name: (generator.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32) for name, shape in shapes.items()}


def convolution(image, kernel, output, padding):
    return helper.make_node("Conv", [image, kernel], [output], strides=[2, 2], kernel_shape=[3, 3], **padding)


def classifier(padding):
    nodes = []
    for image, kernel in (("x", "first"), ("relu_first", "second"), ("relu_second", "third")):
        nodes.append(convolution(image, kernel, f"conv_{kernel}", padding))
        nodes.append(helper.make_node("Relu", [f"conv_{kernel}"], [f"relu_{kernel}"]))
    nodes.append(helper.make_node("GlobalMaxPool", ["relu_third"], ["pool"]))
    nodes.append(helper.make_node("Flatten", ["pool"], ["features"]))
    nodes.append(helper.make_node("Gemm", ["features", "head"], ["y"], transB=1))
    return nodes


def answers(nodes, x, shape, weights):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "network", [value("x", x.shape)], [value("y", shape)], initializers)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    network = cv2.dnn.readNetFromONNX(np.frombuffer(file, np.uint8))
    network.setInput(x)
    return onnxruntime.InferenceSession(file).run(None, {"x": x})[0], network.forward()


upper, lower = {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}
explicit = {"pads": [0, 0, 1, 1]}  # what SAME_UPPER means for 3 x 3 kernels of stride 2 on even images
pool, small = dict(kernel_shape=[3, 3], strides=[2, 2]), dict(kernel_shape=[2, 2], strides=[1, 1])
cases = {
    "Conv SAME_UPPER": ([convolution("x", "kernel", "y", upper)], (1, 1, 3, 3)),
    "Conv SAME_LOWER": ([convolution("x", "kernel", "y", lower)], (1, 1, 3, 3)),
    "Conv explicit": ([convolution("x", "kernel", "y", explicit)], (1, 1, 3, 3)),
    "MaxPool SAME_UPPER": ([helper.make_node("MaxPool", ["x"], ["y"], **pool, **upper)], (1, 1, 3, 3)),
    "MaxPool SAME_LOWER": ([helper.make_node("MaxPool", ["x"], ["y"], **pool, **lower)], (1, 1, 3, 3)),
    "AveragePool SAME_UPPER": ([helper.make_node("AveragePool", ["x"], ["y"], **pool, **upper)], (1, 1, 3, 3)),
    "AveragePool SAME_LOWER": ([helper.make_node("AveragePool", ["x"], ["y"], **pool, **lower)], (1, 1, 3, 3)),
    "MaxPool of 2 SAME_UPPER": ([helper.make_node("MaxPool", ["x"], ["y"], **small, **upper)], (1, 1, 6, 6)),
}
print("opencv", cv2.__version__, "onnxruntime", onnxruntime.__version__)
column = {}
for name, (nodes, shape) in cases.items():
    column[name] = [y[0, 0, :, 1].round(1).tolist() for y in answers(nodes, rows, shape, {"kernel": middle} if "Conv" in name else {})]
    print(f"    rows seen by {name:24} onnxruntime {column[name][0]}  opencv {column[name][1]}")
agreement = {}
for name, padding in (("auto_pad", upper), ("explicit pads", explicit)):
    there, here = answers(classifier(padding), images, (256, 10), weights)
    agreement[name] = float((there.argmax(1) == here.argmax(1)).mean())
print("    three layers of stride 2, share of images of the same class as in onnxruntime:", agreement)

right = {name: there == here for name, (there, here) in column.items()}
assert agreement["explicit pads"] > 0.99 and right["Conv explicit"] and right["MaxPool of 2 SAME_UPPER"]
five = cv2.__version__ == "5.0.0"
for layer in ("Conv", "MaxPool", "AveragePool"):
    assert right[f"{layer} SAME_UPPER"] == (not five) and right[f"{layer} SAME_LOWER"] == five
assert agreement["auto_pad"] < 0.7 if five else agreement["auto_pad"] > 0.99
PYTHON
for release in 4.14.0.94 5.0.0.93; do
    "$folder/venv/bin/pip" install --quiet --no-deps "opencv-python-headless==$release"
    "$folder/venv/bin/python" "$folder/padding.py" 2>"$folder/log" || { cat "$folder/log"; exit 1; }
done
