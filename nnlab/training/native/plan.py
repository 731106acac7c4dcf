"""The plan that is handed to the compiled code, field by field as in `source/plan.h`, and its enumerations."""

from __future__ import annotations

import ctypes
import enum


class Kind(enum.IntEnum):
    """Kinds of layers."""

    LINEAR = 0
    DROPCONNECT = 1
    ELEMENTWISE = 2
    LEARNED_SLOPE = 3
    DROPOUT = 4
    BATCH_NORM = 5


class Function(enum.IntEnum):
    """Elementwise activations without parameters."""

    IDENTITY = 0
    RELU = 1
    LEAKY_RELU = 2
    ELU = 3
    SIGMOID = 4
    TANH = 5
    SOFTPLUS = 6
    GELU = 7
    SILU = 8
    SELU = 9
    MISH = 10
    HARD_THRESHOLD = 11


class LossKind(enum.IntEnum):
    """Losses; a Gaussian's variance is fixed or predicted."""

    SOFTMAX = 0
    BINARY = 1
    HINGE = 2
    MULTICLASS_SVM = 3
    SQUARED_ERROR = 4
    GAUSSIAN_FIXED = 5
    GAUSSIAN_PREDICTED = 6


class Rule(enum.IntEnum):
    """First-order optimizers; `ARITHMETIC` is momentum with the mean of all gradients."""

    SGD = 0
    MOMENTUM = 1
    ARITHMETIC = 2
    HEAVY_BALL = 3
    NESTEROV = 4
    ADAGRAD = 5
    RMSPROP = 6
    RMSPROP_OUTSIDE = 7
    ADADELTA = 8
    ADAM = 9


class Phase(enum.IntFlag):
    """Parts of a step."""

    GRADIENT = 1
    UPDATE = 2


# Columns of `Plan.hypers`, numbers that members may have their own of.
HYPERS = (
    "first", "second", "eps", "optimizer_decay", "l2", "decoupled", "l1", "max_norm", "clip_norm", "clip_value",
    "smoothing",
)  # fmt: skip

_integer, _long, _real, _pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


class Link(ctypes.Structure):
    """One layer of the chain."""

    _fields_ = (
        ("kind", _integer), ("function", _integer),
        ("inputs", _long), ("outputs", _long), ("weight", _long), ("bias", _long),
        ("a", _real), ("b", _real),
        ("noise", _integer), ("inverted", _integer),
        ("p", _pointer), ("mean", _pointer), ("variance", _pointer), ("batches", _pointer),
    )  # fmt: skip


class Plan(ctypes.Structure):
    """Everything that the compiled code reads and writes."""

    _fields_ = (
        ("is_double", _integer), ("links", _integer), ("threads", _integer), ("phases", _integer),
        ("chain", ctypes.POINTER(Link)), ("members", _long), ("parameters", _long),
        ("theta", _pointer), ("gradient", _pointer), ("state1", _pointer), ("state2", _pointer), ("hypers", _pointer),
        ("loss", _integer), ("labels", _integer), ("rule", _integer), ("skip", _integer),
        ("targets", _long), ("class_weights", _pointer), ("fixed_variance", _real),
        ("inputs", _pointer), ("labelled", _pointer), ("order", _pointer), ("order_stride", _long),
        ("first_epoch", _long), ("examples", _long), ("batch_size", _long), ("batches_per_epoch", _long),
        ("noise_keys", _pointer),
        ("first_step", _long), ("steps", _long), ("steps_per_epoch", _long), ("accumulate", _long),
        ("rates", _pointer), ("rate_of_step", _long), ("rate_of_member", _long),
        ("losses", _pointer), ("ended", _pointer), ("skipped", _pointer),
        ("count", _long), ("pass_keys", _pointer), ("outputs", _pointer),
        ("example_losses", _pointer), ("smoothings", _pointer),
    )  # fmt: skip
