"""Masking of a client's payload (RFC 6455, section 5.3)."""

from __future__ import annotations


def apply_mask(data: bytes | memoryview, masking_key: bytes, offset: int = 0) -> bytes:
    """Return ``data``, from payload byte ``offset`` on, XORed with the repeated ``masking_key`` (4 bytes).

    Masking and unmasking are the same operation.
    """
    size = len(data)
    if not size:
        return b""
    start = offset % 4
    key = masking_key[start:] + masking_key[:start]
    stream = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")
    return masked.to_bytes(size, "little")
