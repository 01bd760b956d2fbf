"""The implementations of the protocol's hot path; the protocol's tests run on each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geventkws.protocol import frames, masking, utf8
from tests.helpers import forms

ENDPOINTS = forms("geventkws.protocol.endpoint")


@dataclass(frozen=True)
class Backend:
    """One implementation: its classes and functions, whose signatures are the same in all implementations."""

    name: str
    Endpoint: Any
    FrameParser: Any
    Utf8Validator: Any
    apply_mask: Any
    encode_frame: Any


BACKENDS = {
    "pure": Backend(
        name="pure",
        Endpoint=ENDPOINTS["pure"].Endpoint,
        FrameParser=frames.FrameParser,
        Utf8Validator=utf8.Utf8Validator,
        apply_mask=masking.apply_mask,
        encode_frame=frames.encode_frame,
    )
}

if (compiled := ENDPOINTS.get("compiled")) is not None:
    BACKENDS["compiled"] = Backend(
        name="compiled",
        Endpoint=compiled.Endpoint,
        FrameParser=compiled.FrameParser,
        Utf8Validator=compiled.Utf8Validator,
        apply_mask=compiled.apply_mask,
        encode_frame=compiled.encode_frame,
    )
