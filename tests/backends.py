"""The implementations of the protocol's hot path; the tests of what bytes mean run on each."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from geventkws.protocol import endpoint, frames, masking, utf8

_speedups: Any
try:
    # By name: static checks know nothing of compiled modules.
    _speedups = import_module("geventkws.protocol._speedups")
except ImportError:
    _speedups = None


@dataclass(frozen=True)
class Backend:
    """One implementation: classes and functions of the same signatures in all of them."""

    name: str
    Endpoint: Any
    FrameParser: Any
    Utf8Validator: Any
    apply_mask: Any
    encode_frame: Any


BACKENDS = {
    "pure": Backend(
        name="pure",
        Endpoint=endpoint.Endpoint,
        FrameParser=frames.FrameParser,
        Utf8Validator=utf8.Utf8Validator,
        apply_mask=masking.apply_mask,
        encode_frame=frames.encode_frame,
    )
}

if _speedups is not None:
    BACKENDS["compiled"] = Backend(
        name="compiled",
        Endpoint=_speedups.Endpoint,
        FrameParser=_speedups.FrameParser,
        Utf8Validator=_speedups.Utf8Validator,
        apply_mask=_speedups.apply_mask,
        encode_frame=_speedups.encode_frame,
    )
