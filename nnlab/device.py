"""Where a run computes: the device and precision that a name such as `auto` or `bf16` stands for."""

from __future__ import annotations

import torch

from nnlab.errors import UserError
from nnlab.validation import check_choice

PRECISIONS = ("float32", "tf32", "bf16", "float64")


def resolve_device(name: str) -> torch.device:
    """The device for `auto` (cuda, then mps, then cpu) or an explicit name such as `cuda:1`.

    Raises:
        UserError: the name is no device, or that device is not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind == "gpu":
        raise UserError("`trainer.device` has no option 'gpu'; NVIDIA's and AMD's are `cuda`, Apple's `mps`")
    check_choice("trainer.device", kind, ("auto", "cpu", "cuda", "mps"))
    if index and not index.isdecimal():
        raise UserError(f"`trainer.device` must look like `cuda:0`, got `{name}`")
    count = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}[kind]
    if int(index or 0) >= count:
        here = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise UserError(f"`trainer.device={name}` is not on this machine; here: {here}")
    return torch.device(name)


def resolve_dtype(precision: str) -> torch.dtype:
    """The dtype in which parameters are kept: float64 for `float64`, otherwise float32.

    Raises:
        UserError: there is no such precision.
    """
    check_choice("trainer.precision", precision, PRECISIONS)
    return torch.float64 if precision == "float64" else torch.float32
