"""Batch normalization over the minibatch of all processes, not over each one's slice.

Processes r have n_r values of a channel, with mean m_r and sum of squared deviations s_r. Together, n = sum n_r,
mean = sum n_r m_r / n and variance = sum (s_r + n_r (m_r - mean)^2) / n (Chan, Golub and LeVeque 1979, "Updating
formulae and a pairwise algorithm for computing sample variances", equation 1.5). The error signal of an input is
weight / sqrt(variance + eps) (e - mean(e) - x' mean(e x')), with means over all processes (Ioffe and Szegedy 2015,
arXiv:1502.03167, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from nnlab.training.group import Group


def normalizes(network: nn.Module) -> bool:
    """Whether a network has batch normalization."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


class SynchronizedNorm(TorchFunctionMode):
    """Inside the block, batch normalization in training takes the moments of the whole minibatch.

    Args:
        group: the processes, which all must be inside; None where each has the whole minibatch.
        weight: this process's share of the examples, by which its error signals count.
    """

    def __init__(self, group: Group | None, weight: float) -> None:
        super().__init__()
        self.group, self.weight = group, weight

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.batch_norm:
            return self._normalized(func, *args, **kwargs)
        return func(*args, **kwargs)

    def _normalized(
        self,
        func: Callable[..., Any],
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            result: Tensor = func(input, running_mean, running_var, weight, bias, training, momentum, eps)
            return result
        channels = input.shape[1]
        scale = input.new_ones(channels) if weight is None else weight
        shift = input.new_zeros(channels) if bias is None else bias
        y, mean, variance, count = _Normalize.apply(input, scale, shift, eps, self.group, self.weight)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = variance * (count / max(count - 1, 1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
        return y  # type: ignore[no-any-return]


class _Normalize(torch.autograd.Function):
    """Inputs (N, C, ...) normalized by the moments of all processes; also gives mean (C,), variance (C,) and count."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, group: Group | None, share: float
    ) -> tuple[Tensor, Tensor, Tensor, float]:
        axes = [axis for axis in range(x.dim()) if axis != 1]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, axes, correction=0)
        own = torch.cat([mean, variance, mean.new_tensor([x.numel() // x.shape[1]])])
        everyone = own.unsqueeze(0) if group is None else group.gathered(own)
        means, variances, counts = everyone[:, : len(mean)], everyone[:, len(mean) : -1], everyone[:, -1:]
        total = counts.sum()
        mean = (counts * means).sum(0) / total
        variance = (counts * (variances + (means - mean).square())).sum(0) / total
        inverse = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.group, ctx.share, ctx.axes, ctx.total = group, share, axes, float(total)
        ctx.mark_non_differentiable(mean, variance)
        scale = weight * inverse
        y = wide * _column(scale, x) + _column(bias - mean * scale, x)
        return y.to(x.dtype), mean, variance, ctx.total

    @staticmethod
    def backward(ctx: Any, *errors: Any) -> Any:
        x, weight, mean, inverse = ctx.saved_tensors
        error = errors[0].to(mean.dtype)
        normalized = (x.to(mean.dtype) - _column(mean, x)) * _column(inverse, x)
        bias_bar, weight_bar = error.sum(ctx.axes), (error * normalized).sum(ctx.axes)
        # Each process's errors are those of its own mean loss: they count by its share of the examples.
        sums = torch.cat([bias_bar, weight_bar]) * ctx.share
        if ctx.group is not None:
            ctx.group.sum(sums)
        means = sums / (ctx.share * ctx.total)
        mean_error, mean_product = means[: len(mean)], means[len(mean) :]
        inner = error - _column(mean_error, x) - normalized * _column(mean_product, x)
        x_bar = _column(weight * inverse, x) * inner
        return x_bar.to(x.dtype), weight_bar.to(weight.dtype), bias_bar.to(weight.dtype), None, None, None


def _column(values: Tensor, like: Tensor) -> Tensor:
    """Values (C,) beside inputs (N, C, ...)."""
    return values.view(1, -1, *(1,) * (like.dim() - 2))
