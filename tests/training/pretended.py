"""A CUDA device without a GPU: tensors on it have a shape, a type and a place, but no numbers.

As on a GPU, operations that mix it with host memory are refused; asking for a number, which on a GPU would wait for
it, is an error. Tensors on the processor are ordinary ones.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_leaves

FUSED = (torch.ops.aten._fused_sgd_.default, torch.ops.aten._fused_adagrad_.default)


class PretendedCuda(FakeTensorMode):
    """While it is entered, `cuda` is such a device.

    Attributes:
        recording: as within a CUDA graph, where nothing may come from host memory either.
    """

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.recording = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        device = kwargs.get("device")
        on_cuda = device is not None and torch.device(device).type == "cuda"
        if not on_cuda and not any(isinstance(value, FakeTensor) for value in tensors):
            return func(*args, **kwargs)
        # A number is part of the call that is recorded.
        if self.recording and any(value.device.type == "cpu" and value.dim() for value in tensors):
            raise RuntimeError(f"{func} takes something from host memory")
        if func in FUSED:  # torch does not know their shapes; they change their arguments in place
            return None
        return super().__torch_dispatch__(func, types, args, kwargs)
