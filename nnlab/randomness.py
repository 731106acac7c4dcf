"""Randomness as a pure function of (seed, purpose, step): nothing has to be saved for a run to continue exactly.

Two sources, both free of global state:

- `generator(seed, *stream)`: a `torch.Generator` for what is drawn once or once an epoch (initial weights, splits,
  data order). Streams with different names are independent.
- `uniform(key, *shape)` and its relatives: a counter-based generator in plain tensor arithmetic for what is drawn in
  every step (dropout masks, augmentation). The value at position i is a hash of (key, i), so the members of a
  population draw all their masks in one call, each the same as if it were alone, on any device.

Source of the hash: the 32-bit finalizer of MurmurHash3 (Appleby 2011), applied twice with the two halves of the key
in between, after the counter-based design of Salmon et al. 2011 ("Parallel random numbers: as easy as 1, 2, 3").
"""

from __future__ import annotations

import functools
import hashlib
import math

import torch
from torch import Tensor


def derive_seed(seed: int, *stream: str | int) -> int:
    """A 63-bit seed for one purpose, such as `derive_seed(0, "order", epoch)`; distinct streams are independent."""
    text = "/".join([str(seed), *map(str, stream)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *stream: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for one purpose; the same arguments always give the same numbers."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *stream))


def _signed32(value: int) -> int:
    """Two's complement of the low 32 bits, because torch has no unsigned 32-bit arithmetic."""
    return (value & 0xFFFFFFFF) - ((value & 0x80000000) << 1)


_GOLDEN = _signed32(0x9E3779B1)
_MURMUR1, _MURMUR2 = _signed32(0x85EBCA6B), _signed32(0xC2B2AE35)


def _mix(bits: Tensor) -> Tensor:
    """Finalizer of MurmurHash3 on int32, in place on fresh tensors; the masks make the arithmetic shift logical."""
    bits = (bits >> 16).bitwise_and_(0xFFFF).bitwise_xor_(bits).mul_(_MURMUR1)
    bits = (bits >> 13).bitwise_and_(0x7FFFF).bitwise_xor_(bits).mul_(_MURMUR2)
    return (bits >> 16).bitwise_and_(0xFFFF).bitwise_xor_(bits)


@functools.lru_cache(maxsize=64)
def _counter(first: int, count: int, device: torch.device) -> Tensor:
    """The hashed positions first ... first + count - 1, which all keys share."""
    return _mix(torch.arange(first, first + count, dtype=torch.int32, device=device) * _GOLDEN)


def fold(key: Tensor, *data: int) -> Tensor:
    """Derive new keys, one for each member, from keys (...,) int64 and integers such as the step and the layer."""
    for number in data:
        low = _mix((key & 0x7FFFFFFF).to(torch.int32) ^ _signed32(number * 0x9E3779B1 + 0x7F4A7C15))
        high = _mix((key >> 31).to(torch.int32) + low)
        key = (low.to(torch.int64) & 0x7FFFFFFF) | ((high.to(torch.int64) & 0x7FFFFFFF) << 31)
    return key


def random_bits(key: Tensor, *shape: int, first: int = 0) -> Tensor:
    """Independent random bits, int32 of shape (*key.shape, *shape), from keys of any shape (int64, non-negative).

    They are those at the positions from `first` on: a part of what a larger shape, with another first axis, gives.
    """
    count = math.prod(shape)
    low = (key & 0x7FFFFFFF).to(torch.int32).unsqueeze(-1)
    high = (key >> 31).to(torch.int32).unsqueeze(-1)
    bits = _mix(_mix(_counter(first, count, key.device) ^ low).add_(high))
    return bits.reshape(*key.shape, *shape)


def uniform(key: Tensor, *shape: int, dtype: torch.dtype = torch.float32, first: int = 0) -> Tensor:
    """Uniform numbers in [0, 1) with 24 random bits, of shape (*key.shape, *shape); `first` as in `random_bits`."""
    return (random_bits(key, *shape, first=first) >> 8).bitwise_and_(0xFFFFFF).to(dtype).mul_(2.0**-24)


def bernoulli(key: Tensor, probability: Tensor | float, *shape: int, first: int = 0) -> Tensor:
    """A mask, bool of shape (*key.shape, *shape), true with `probability` (a number, or a tensor of key's shape).

    `first` is that of `random_bits`.
    """
    bits = random_bits(key, *shape, first=first) & 0x7FFFFFFF
    if not isinstance(probability, Tensor):
        return bits < min(int(probability * 2.0**31), 0x7FFFFFFF)
    threshold = (probability * 2.0**31).to(torch.int64)
    return bits < threshold.reshape(threshold.shape + (1,) * len(shape))


def normal(key: Tensor, *shape: int, dtype: torch.dtype = torch.float32, first: int = 0) -> Tensor:
    """Standard normal numbers of shape (*key.shape, *shape), by the transform of Box and Muller (1958).

    `first` is that of `random_bits`.
    """
    radius = torch.sqrt(-2.0 * torch.log1p(-uniform(fold(key, 1), *shape, dtype=dtype, first=first)))
    return radius * torch.cos(2.0 * math.pi * uniform(fold(key, 2), *shape, dtype=dtype, first=first))
