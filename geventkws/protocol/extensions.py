"""The negotiation of permessage-deflate (RFC 7692, section 7.1) as a pure function.

A client offers the extension, perhaps several times with different parameters, in order of preference. The
first offer that can be accepted is accepted. An offer with an unknown or repeated parameter, or with a value
that the parameter cannot have, is declined (section 7.1). If all are declined, the connection opens without
compression.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from geventkws.protocol.extension_list import ExtensionOffer

EXTENSION = "permessage-deflate"
MAX_WINDOW_BITS = 15
MIN_WINDOW_BITS = 8
MIN_SERVER_WINDOW_BITS = 9
"""zlib cannot make raw DEFLATE data for a window of 8 bits: it would use 9 bits, which is too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerMessageDeflate:
    """How a service compresses messages for clients that support it (RFC 7692): a value for ``compression``.

    ``level`` is 1 (fast) to 9 (small). A message of fewer than ``threshold`` bytes is not compressed, unless
    ``send`` is called with ``compress=True``.

    With ``server_no_context_takeover``, the server compresses each message by itself. Without it, a message
    may refer to earlier ones, which makes it smaller, and each connection keeps a compressor of 2 **
    (``server_max_window_bits`` + 3) bytes, 256 KiB for 15. With ``client_no_context_takeover``, the client is
    asked to compress each message by itself; without it, each connection keeps the last 2 **
    ``client_max_window_bits`` inflated bytes, 32 KiB for 15.

    ``server_max_window_bits`` is 9 to 15. ``client_max_window_bits`` is 8 to 15, and asked only of clients
    that say they can limit their window (browsers do).

    Raises ``TypeError`` or ``ValueError`` for other values.
    """

    level: int = 2
    threshold: int = 1024
    server_max_window_bits: int = MAX_WINDOW_BITS
    client_max_window_bits: int = MAX_WINDOW_BITS
    server_no_context_takeover: bool = True
    client_no_context_takeover: bool = True

    def __post_init__(self) -> None:
        self._check("level", 1, 9)
        self._check("threshold", 0, None)
        self._check("server_max_window_bits", MIN_SERVER_WINDOW_BITS, MAX_WINDOW_BITS)
        self._check("client_max_window_bits", MIN_WINDOW_BITS, MAX_WINDOW_BITS)
        for name in ("server_no_context_takeover", "client_no_context_takeover"):
            if not isinstance(value := getattr(self, name), bool):
                raise TypeError(f"PerMessageDeflate: {name} must be True or False, not {value!r}")

    def _check(self, name: str, least: int, most: int | None) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"PerMessageDeflate: {name} must be an int, not {value!r}")
        if value < least or (most is not None and value > most):
            limits = f"at least {least}" if most is None else f"{least} to {most}"
            raise ValueError(f"PerMessageDeflate: {name} must be {limits}, not {value}")


class Agreement(NamedTuple):
    """An accepted offer: what both sides do from now on, and the ``Sec-WebSocket-Extensions`` to send."""

    compression: PerMessageDeflate
    answer: str


def negotiate_deflate(
    offers: Iterable[ExtensionOffer], compression: bool | PerMessageDeflate
) -> Agreement | None:
    """Return what is agreed with a client about compression; ``None`` for no compression.

    ``offers`` are the extensions that the client offers, and ``compression`` is the service's attribute.
    """
    if compression is False:
        return None
    options = PerMessageDeflate() if compression is True else compression
    for name, parameters in offers:
        if name == EXTENSION and (offer := _read(parameters)) is not None:
            agreed = _agree(offer, options)
            if agreed is not None:
                return Agreement(agreed, _answer(offer, agreed))
    return None


Offer = dict[str, str | None]
"""The parameters in an offer of permessage-deflate; one without a value has ``None``."""

# "a decimal integer value without leading zeroes between 8 to 15, inclusive" (7.1.2.1, 7.1.2.2)
_BITS = frozenset(str(bits) for bits in range(MIN_WINDOW_BITS, MAX_WINDOW_BITS + 1))

_VALUES: dict[str, frozenset[str | None]] = {
    "server_no_context_takeover": frozenset({None}),
    "client_no_context_takeover": frozenset({None}),
    "server_max_window_bits": _BITS,
    "client_max_window_bits": _BITS | {None},
}
"""All parameters, and the values that each may have in an offer."""


def _read(parameters: Iterable[tuple[str, str | None]]) -> Offer | None:
    """Return the parameters of an offer; ``None`` if it must be declined because of one of them (7.1)."""
    offer: Offer = {}
    for name, value in parameters:
        if name in offer or value not in _VALUES.get(name, ()):
            return None
        offer[name] = value
    return offer


def _agree(offer: Offer, options: PerMessageDeflate) -> PerMessageDeflate | None:
    """Return what an offer and a service's options add up to; ``None`` if zlib cannot do it."""
    server_bits = min(options.server_max_window_bits, _bits(offer, "server_max_window_bits"))
    if server_bits < MIN_SERVER_WINDOW_BITS:
        return None
    # Unless the client offers it, its window must not be limited (7.1.2.2).
    client_bits = MAX_WINDOW_BITS
    if "client_max_window_bits" in offer:
        client_bits = min(options.client_max_window_bits, _bits(offer, "client_max_window_bits"))
    return replace(
        options,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
        server_no_context_takeover=options.server_no_context_takeover
        or "server_no_context_takeover" in offer,
        # In an offer, it is a hint that the client will not take over context in any case (7.1.1.2).
        client_no_context_takeover=options.client_no_context_takeover
        or "client_no_context_takeover" in offer,
    )


def _bits(offer: Offer, name: str) -> int:
    value = offer.get(name)
    return MAX_WINDOW_BITS if value is None else int(value)


def _answer(offer: Offer, agreed: PerMessageDeflate) -> str:
    parts = [EXTENSION]
    # The server may include these without having been asked (7.1.1.1, 7.1.1.2, 7.1.2.1).
    if agreed.server_no_context_takeover:
        parts.append("server_no_context_takeover")
    if agreed.client_no_context_takeover:
        parts.append("client_no_context_takeover")
    if agreed.server_max_window_bits < MAX_WINDOW_BITS or "server_max_window_bits" in offer:
        parts.append(f"server_max_window_bits={agreed.server_max_window_bits}")
    if agreed.client_max_window_bits < MAX_WINDOW_BITS:
        parts.append(f"client_max_window_bits={agreed.client_max_window_bits}")
    return "; ".join(parts)
