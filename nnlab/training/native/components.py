"""Which layers, losses and rules the compiled code has equations for, and their numbers as it reads them.

Components are found by their exact class: a subclass may do something else. Whatever is missing is named in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from nnlab import activation as activations
from nnlab import loss as losses
from nnlab import optimizer as optimizers
from nnlab.activation import PReLU
from nnlab.loss.base import Loss
from nnlab.optimizer.base import Optimizer
from nnlab.regularizer import L1, DropConnectLinear, DropoutLayer, MaxNorm, Regularizer, WeightDecay
from nnlab.training.layout import Layout
from nnlab.training.member import Member
from nnlab.training.native.plan import HYPERS, Function, Kind, Link, LossKind, Rule

# By class: the function, and the attribute that is its number.
FUNCTIONS: dict[type, tuple[Function, str | None]] = {
    activations.Identity: (Function.IDENTITY, None),
    activations.ReLU: (Function.RELU, None),
    activations.LeakyReLU: (Function.LEAKY_RELU, "slope"),
    activations.ELU: (Function.ELU, "alpha"),
    activations.Sigmoid: (Function.SIGMOID, None),
    activations.Tanh: (Function.TANH, None),
    activations.Softplus: (Function.SOFTPLUS, None),
    activations.GELU: (Function.GELU, None),
    activations.SiLU: (Function.SILU, None),
    activations.SELU: (Function.SELU, None),
    activations.Mish: (Function.MISH, None),
    activations.HardThreshold: (Function.HARD_THRESHOLD, None),
}
LOSSES: dict[type, LossKind] = {
    losses.SoftmaxCrossEntropy: LossKind.SOFTMAX,
    losses.BinaryCrossEntropy: LossKind.BINARY,
    losses.Hinge: LossKind.HINGE,
    losses.MulticlassSVM: LossKind.MULTICLASS_SVM,
    losses.SquaredError: LossKind.SQUARED_ERROR,
    losses.GaussianNLL: LossKind.GAUSSIAN_PREDICTED,
}
# By class: the rule, the attributes that are its first and second number, and its state in the order of the code.
OPTIMIZERS: dict[type, tuple[Rule, tuple[str, ...], tuple[str, ...]]] = {
    optimizers.SGD: (Rule.SGD, (), ()),
    optimizers.Momentum: (Rule.MOMENTUM, ("momentum",), ("m",)),
    optimizers.HeavyBall: (Rule.HEAVY_BALL, ("momentum",), ("m",)),
    optimizers.Nesterov: (Rule.NESTEROV, ("momentum",), ("m",)),
    optimizers.Adagrad: (Rule.ADAGRAD, (), ("v",)),
    optimizers.RMSProp: (Rule.RMSPROP, ("gamma",), ("v",)),
    optimizers.Adadelta: (Rule.ADADELTA, ("rho",), ("u", "v")),
    optimizers.Adam: (Rule.ADAM, ("beta1", "beta2"), ("m", "v")),
    optimizers.AdamW: (Rule.ADAM, ("beta1", "beta2"), ("m", "v")),
}


def missing_layer(network: nn.Module) -> str | None:
    """The first thing about a chain that there are no equations for, in words; None where there is nothing."""
    plain = isinstance(network, nn.Sequential) and type(network).forward is nn.Sequential.forward
    if not plain:
        return f"a network of class {type(network).__name__}"
    if not any(isinstance(module, nn.Linear) for module in network.children()):
        return "a network without a linear layer"
    for name, module in network.named_children():
        if not _known(module) or any(not parameter.requires_grad for parameter in module.parameters()):
            return f"layer `{name}` ({type(module).__name__})"
    return None


def _known(module: nn.Module) -> bool:
    if type(module) is DropConnectLinear:
        return module.per == "batch"
    if type(module) is nn.BatchNorm1d:
        return module.affine and module.track_running_stats and module.momentum is not None
    if type(module) is nn.Flatten:
        return module.start_dim == 1 and module.end_dim == -1
    return type(module) in (nn.Linear, PReLU, DropoutLayer) or type(module) in FUNCTIONS


def missing_loss(loss: Loss) -> str | None:
    """A loss that there are no equations for, in words."""
    known = type(loss) in LOSSES and getattr(loss, "variance", "") != "covariance"
    return None if known else f"loss `{type(loss).__name__}`"


def missing_rule(member: Member) -> str | None:
    """The first rule of a member that there are no equations for, in words."""
    if type(member.optimizer) not in OPTIMIZERS:
        return f"optimizer `{getattr(member.optimizer, 'kind', type(member.optimizer)).__name__}`"
    rules: list[Regularizer] = [*member.penalties, *member.constraints, *member.averages, *member.sharpness]
    kinds = [_kind_of(rule) for rule in rules]
    for kind, rule in zip(kinds, rules, strict=True):
        if not kind:
            return f"regularizer `{type(rule).__name__}`"
        if kinds.count(kind) > 1:
            return f"more than one `{type(rule).__name__}`"
    return None


def _kind_of(rule: Regularizer) -> str:
    """The column of `HYPERS` that a penalty or constraint fills; empty for one that is not known."""
    if type(rule) is WeightDecay:
        return "decoupled" if rule.decoupled else "l2"
    return {L1: "l1", MaxNorm: "max_norm"}.get(type(rule), "")


def loss_kind(loss: Loss) -> LossKind:
    """The kind of a loss that is known."""
    kind = LOSSES[type(loss)]
    return LossKind.GAUSSIAN_FIXED if getattr(loss, "variance", "") == "fixed" else kind


def rule_of(optimizer: Optimizer) -> tuple[Rule, tuple[str, ...]]:
    """The rule of an optimizer that is known, and the names of its state."""
    rule, _, state = OPTIMIZERS[type(optimizer)]
    if getattr(optimizer, "average", "") == "arithmetic":
        rule = Rule.ARITHMETIC
    if getattr(optimizer, "eps_inside", True) is False:
        rule = Rule.RMSPROP_OUTSIDE
    return rule, state


def hypers(loss: Loss, members: Sequence[Member]) -> np.ndarray:
    """The members' numbers (M, HYPERS) float64, each from its own rules: exactly those of the member alone."""
    table = np.zeros((len(members), len(HYPERS)))
    table[:, HYPERS.index("smoothing")] = smoothing(loss)
    for row, member in zip(table, members, strict=True):
        for name, value in _numbers(member).items():
            row[HYPERS.index(name)] = value
    return table


def smoothing(loss: Loss) -> np.ndarray:
    """Label smoothing of all members (1,), or of each (M,), float64."""
    found = getattr(loss, "label_smoothing", 0.0)
    return np.asarray(found.cpu() if isinstance(found, Tensor) else found, dtype=np.float64).reshape(-1)


def _numbers(member: Member) -> dict[str, float]:
    optimizer = member.optimizer
    numbers = {
        place: getattr(optimizer, name)
        for place, name in zip(("first", "second"), OPTIMIZERS[type(optimizer)][1], strict=False)
    }
    numbers |= {"eps": getattr(optimizer, "eps", 0.0), "optimizer_decay": getattr(optimizer, "weight_decay", 0.0)}
    numbers |= {_kind_of(rule): float(rule.strength) for rule in member.penalties}
    numbers["max_norm"] = math.inf
    numbers |= {_kind_of(rule): float(rule.max_norm) for rule in member.constraints if isinstance(rule, MaxNorm)}
    for name in ("clip_norm", "clip_value"):
        bound = getattr(member, name)
        numbers[name] = math.inf if bound is None else float(bound)
    return numbers


def links(network: nn.Module, layout: Layout, buffers: Mapping[str, Tensor], features: int) -> list[Link]:
    """The chain's layers, for inputs of `features` numbers; they point into `buffers` (M, ...), which must stay."""
    starts = {slot.name: slot.start for slot in layout.slots}
    chain: list[Link] = []
    noisy = 0
    for name, module in network.named_children():
        if isinstance(module, nn.Flatten):
            continue
        link = Link(inputs=features, outputs=features, noise=-1)
        link.weight = starts.get(f"{name}.weight", starts.get(f"{name}.slope", -1))
        link.bias = starts.get(f"{name}.bias", -1)
        if isinstance(module, nn.Linear):
            link.kind = Kind.DROPCONNECT if isinstance(module, DropConnectLinear) else Kind.LINEAR
            link.outputs = features = module.out_features
        elif isinstance(module, nn.BatchNorm1d):
            link.kind, link.a, link.b = Kind.BATCH_NORM, module.eps, module.momentum
            link.mean, link.variance, link.batches = (
                buffers[f"{name}.{what}"].data_ptr() for what in ("running_mean", "running_var", "num_batches_tracked")
            )
        elif isinstance(module, DropoutLayer):
            link.kind = Kind.DROPOUT
        elif isinstance(module, PReLU):
            link.kind = Kind.LEARNED_SLOPE
        else:
            link.kind = Kind.ELEMENTWISE
            link.function, number = FUNCTIONS[type(module)]
            link.a = getattr(module, number) if number else 0.0
        if isinstance(module, DropConnectLinear | DropoutLayer):
            link.p, link.inverted, link.noise = buffers[f"{name}.p"].data_ptr(), module.inverted, noisy
            noisy += 1
        chain.append(link)
    return chain


def pointers(tensors: Sequence[Tensor]) -> np.ndarray:
    """Addresses of tensors, as the compiled code reads them: without gaps, the last axis first.

    Raises:
        ValueError: a tensor lies otherwise in memory.
    """
    if not all(tensor.is_contiguous() for tensor in tensors):
        raise ValueError("the compiled code reads contiguous tensors only")
    return np.array([tensor.data_ptr() for tensor in tensors], dtype=np.uint64)
