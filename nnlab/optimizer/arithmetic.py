"""Arithmetic in place on rows (M, P) with hyper-parameters that are numbers, or columns (M, 1) that differ by member.

torch's scalar and tensor forms of the same operation are different calls; every rule would otherwise branch by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nnlab.members import Hyper


def descend(theta: Tensor, direction: Tensor, rate: Hyper) -> None:
    """theta -= rate * direction"""
    if isinstance(rate, Tensor):
        theta.addcmul_(direction, rate, value=-1)
    else:
        theta.sub_(direction, alpha=rate)


def descend_ratio(theta: Tensor, numerator: Tensor, denominator: Tensor, rate: Hyper) -> None:
    """theta -= rate * numerator / denominator; `denominator` is scratch space for rates that differ"""
    if isinstance(rate, Tensor):
        theta.addcdiv_(numerator, denominator.div_(rate), value=-1)
    else:
        theta.addcdiv_(numerator, denominator, value=-rate)


def average(mean: Tensor, value: Tensor, decay: Hyper) -> None:
    """mean = decay * mean + (1 - decay) * value"""
    mean.lerp_(value, 1 - decay)


def average_square(mean: Tensor, value: Tensor, decay: Hyper) -> None:
    """mean = decay * mean + (1 - decay) * value^2"""
    if isinstance(decay, Tensor):
        mean.mul_(decay).addcmul_(value, value * (1 - decay))
    else:
        mean.mul_(decay).addcmul_(value, value, value=1 - decay)


def bias_correction(beta: Hyper, k: int | Tensor) -> Hyper:
    """1 - beta^k, the sum of the weights that a running average from zero has given out after k steps.

    >>> bias_correction(0.9, 2)
    0.18999999999999995
    """
    if isinstance(beta, Tensor):
        return -torch.expm1(k * torch.log(beta))  # 1 - beta**k would lose four digits of float32 for beta near 1
    if isinstance(k, Tensor):
        return -torch.expm1(k * math.log(beta)) if beta else 1.0
    return 1 - math.pow(beta, k)


def shared_numbers(tensors: Sequence[Tensor], *hypers: Hyper) -> list[float] | None:
    """The hyper-parameters for one of torch's fused kernels, which pass over memory once; None if it does not apply.

    The kernels know numbers that all members share only, and read memory in order without a look at the strides.
    """
    numbers = [hyper for hyper in hypers if not isinstance(hyper, Tensor)]
    fits = tensors[0].device.type in ("cpu", "cuda") and all(tensor.is_contiguous() for tensor in tensors)
    return numbers if fits and len(numbers) == len(hypers) else None


def fused_velocity(
    theta: Tensor,
    gradient: Tensor,
    velocity: Tensor,
    rate: Hyper,
    momentum: Hyper,
    *,
    average: bool = False,
    nesterov: bool = False,
) -> bool:
    """A step along a velocity by torch's kernel; False, and nothing done, where it does not apply.

    m = momentum m + (1 - momentum if `average` else 1) g;  theta -= rate (momentum m + g if `nesterov` else m)
    """
    numbers = shared_numbers((theta, gradient, velocity), rate, momentum)
    if not numbers or not numbers[1]:  # the kernel has no place for a velocity that forgets all
        return False
    torch._fused_sgd_(
        [theta], [gradient], [velocity], lr=numbers[0], momentum=numbers[1], nesterov=nesterov,
        dampening=numbers[1] if average else 0.0, weight_decay=0.0, maximize=False, is_first_step=False,
    )  # fmt: skip
    return True
