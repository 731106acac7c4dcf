"""Checksums of event files, of many messages at once: CRC-32C (Castagnoli; RFC 3720, appendix B.4).

The register after a message is the sum modulo 2 of what its bytes contribute one by one. A contribution depends on the
byte and on how many others follow it: it is looked up in a table, for all bytes of all messages side by side. Of long
messages the registers of lanes of `LANE` bytes are joined in pairs.
"""

from __future__ import annotations

import functools

import numpy as np

LANE = 256  # bytes
SHORT = 120  # bytes up to which a plain loop is the faster checksum
AT_ONCE = 1 << 18  # bytes that are looked up together
REFLECTED = np.uint32(0x82F63B78)  # the polynomial, its lowest power first
ONES = np.uint32(0xFFFFFFFF)  # the register before the first byte, and what is added in the end


def crc32c(data: bytes) -> int:
    """The checksum of one message.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    if len(data) > SHORT:
        return int(checksums(np.frombuffer(data, np.uint8)[None])[0])
    table, register = _of_last_byte(), 0xFFFFFFFF
    for byte in data:
        register = table[(register ^ byte) & 0xFF] ^ register >> 8
    return register ^ 0xFFFFFFFF


def checksums(rows: np.ndarray) -> np.ndarray:
    """The checksum of every row (n, at least 4 bytes), uint32."""
    count, length = rows.shape
    lanes = -(-length // LANE)
    # Zeros in front change nothing where the register starts at zero; the initial ones go into the first four bytes.
    padded = np.zeros((count, lanes * LANE), np.uint8)
    padded[:, -length:] = rows
    padded[:, padded.shape[1] - length :][:, :4] ^= 0xFF
    registers = _registers(padded.reshape(-1, LANE), np.arange(LANE)).reshape(count, lanes)
    doublings = 0
    while registers.shape[1] > 1:
        if registers.shape[1] % 2:
            registers = np.concatenate([np.zeros((count, 1), np.uint32), registers], 1)
        registers = _followed(registers[:, ::2], _zeros(doublings)) ^ registers[:, 1::2]
        doublings += 1
    return registers[:, 0] ^ ONES


def checksums_of_variants(template: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The checksums of n messages that are a template (length,), but for bytes `values` (n, k) at `places` (k,)."""
    if len(template) > LANE:
        rows = np.tile(template, (len(values), 1))
        rows[:, places] = values
        return checksums(rows)
    changes = _registers(values ^ template[places], places + LANE - len(template))
    return changes ^ np.uint32(_of_template(template.tobytes()))


_of_template = functools.lru_cache(maxsize=64)(crc32c)  # the same for all runs of a population


def _registers(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The register, from zero, after each of n lanes of bytes `rows` (n, k) at `places` (k,), and zeros elsewhere."""
    table, start = _contributions().reshape(-1), (LANE - 1 - places) * 256
    size = max(1, AT_ONCE // max(len(places), 1))
    parts = [np.bitwise_xor.reduce(table[part + start], 1) for part in np.split(rows, range(size, len(rows), size))]
    return np.concatenate(parts)


def _followed(registers: np.ndarray, zeros: np.ndarray) -> np.ndarray:
    """What registers (...) become after the zeros that tables (4, 256) stand for."""
    byte = np.uint32(0xFF)
    low = zeros[0][registers & byte] ^ zeros[1][registers >> np.uint32(8) & byte]
    high = zeros[2][registers >> np.uint32(16) & byte] ^ zeros[3][registers >> np.uint32(24)]
    followed: np.ndarray = low ^ high
    return followed


@functools.cache
def _contributions() -> np.ndarray:
    """What each byte adds to the register where 0, 1, ... others follow it, (LANE, 256)."""
    one, last = np.uint32(1), np.arange(256, dtype=np.uint32)
    for _ in range(8):
        last = np.where(last & one, last >> one ^ REFLECTED, last >> one)
    rows = [last]
    for _ in range(3):
        rows.append(last[rows[-1] & np.uint32(0xFF)] ^ rows[-1] >> np.uint32(8))
    found = np.stack(rows)
    while len(found) < LANE:
        found = np.concatenate([found, _followed(found, found[:-5:-1])])
    return found


@functools.cache
def _of_last_byte() -> list[int]:
    return [int(entry) for entry in _contributions()[0]]


@functools.cache
def _zeros(doublings: int) -> np.ndarray:
    """For each byte of the register, what it becomes after LANE 2^doublings zero bytes, (4, 256)."""
    if doublings:
        half = _zeros(doublings - 1)
        return _followed(half, half)
    return _contributions()[:-5:-1]
