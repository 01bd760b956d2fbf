"""JSON Web Tokens by which the application says who a client is, and what it may subscribe to (RFC 7519)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeVar

import jwt

from geventkws.centrifuge.keys import Key, Material, keys_of
from geventkws.centrifuge.protocol.errors import ClientError, Disconnect, DisconnectCode, ErrorCode

MAX_SIZE = 32 * 1024
"""The largest token, in characters."""


class TokenExpired(ClientError):
    """A token has expired: the client gets error 109, and asks the application for another one."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.TOKEN_EXPIRED)


class TokenInvalid(Disconnect):
    """A token is not valid: the client is disconnected with 3500, and does not connect again.

    ``problem`` says why, for the log; the client is not told.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(DisconnectCode.INVALID_TOKEN)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class ServerSubscription:
    """How a client is subscribed by the claim ``subs``.

    ``info`` is what others see of the client in this channel, and ``data`` is for the client itself.
    """

    info: Any = None
    data: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a verified token says.

    ``user`` is who it is for: ``""`` for somebody without a name. ``info`` is what others see of the client,
    in all channels or in that of the token. ``expires_at`` is when the connection or the subscription ends:
    the claim ``expire_at`` if there is one, of which 0 stands for never, otherwise ``exp``. It and
    ``issued_at`` are by ``time.time``, and ``None`` if the token does not say. ``id`` is the claim ``jti``.
    """

    user: str
    info: Any = None
    expires_at: float | None = None
    issued_at: float | None = None
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionToken(Token):
    """A token by which a client connects.

    ``subs`` has the channels that the client is subscribed to at once: those of the claims ``channels`` and
    ``subs``. ``meta`` is for the application alone; nobody else sees it.
    """

    subs: Mapping[str, ServerSubscription] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionToken(Token):
    """A token by which a client subscribes to ``channel``."""

    channel: str


AnyToken = TypeVar("AnyToken", bound=Token)


class Tokens:
    """Verifies tokens.

    ``secret`` is what the application signs them with: at least 32 bytes that nobody can guess. Or it signs
    them with a private key, and ``public_key`` is the other half, in PEM: RSA of at least 2048 bits, or an
    elliptic curve (P-256, P-384 or P-521). Each may be several keys, while one replaces another. The
    algorithm is HS256, with a secret of 48 bytes also HS384 and of 64 also HS512; RS256, RS384 or RS512; or
    ES256, ES384 or ES512, by the curve.

    ``audience`` and ``issuer`` are what the claims ``aud`` and ``iss`` must be; ``aud`` may be a list that
    contains it. ``leeway`` is by how many seconds clocks may differ. ``revoked(token)`` says whether a token
    that is right must not be taken: for example, because the user has been locked out since ``issued_at``.

    Raises ``TypeError`` or ``ValueError`` for keys that are missing, or no good.
    """

    def __init__(
        self,
        secret: Material | None = None,
        *,
        public_key: Material | None = None,
        audience: str | None = None,
        issuer: str | None = None,
        leeway: float = 0,
        revoked: Callable[[Token], bool] | None = None,
    ) -> None:
        self._keys = keys_of(secret, public_key)
        self._audience = audience
        self._issuer = issuer
        self._leeway = leeway
        self._revoked = revoked

    def connection(self, token: str) -> ConnectionToken:
        """Return what a token says by which a client connects.

        Raises ``TokenExpired`` or ``TokenInvalid``.
        """
        claims = self._claims(token)
        if "channel" in claims:
            raise TokenInvalid("it is for a subscription, not for a connection")
        if "sub" not in claims:
            raise TokenInvalid("it has no sub, which says whom it is for")
        meta = _claim(claims, "meta", dict, {})
        return self._unless_revoked(ConnectionToken(**_common(claims), subs=_subs(claims), meta=meta))

    def subscription(self, token: str, user: str, channel: str) -> SubscriptionToken:
        """Return what a token says by which a ``user`` subscribes to ``channel``.

        Raises ``TokenExpired`` or ``TokenInvalid``, the latter also if the token is for another user or
        channel.
        """
        claims = self._claims(token)
        common = _common(claims)
        if claims.get("channel") != channel:
            raise TokenInvalid("it is not for this channel")
        if common["user"] != user:
            raise TokenInvalid("it is not for this user")
        return self._unless_revoked(SubscriptionToken(**common, channel=channel))

    def _claims(self, token: object) -> dict[str, Any]:
        """Return the claims of a token that one of the keys has signed, and that is valid now."""
        if not isinstance(token, str) or len(token) > MAX_SIZE:
            raise TokenInvalid(f"it is no text of at most {MAX_SIZE} characters")
        problem = "none of the keys is for its algorithm"
        for key in self._keys:
            try:
                return self._verified(token, key)
            except jwt.InvalidAlgorithmError:
                pass  # another key may be the right one
            except jwt.InvalidSignatureError as error:
                problem = str(error)
            except jwt.ExpiredSignatureError:
                raise TokenExpired from None
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
                raise TokenInvalid(str(error)) from None
        raise TokenInvalid(problem)

    def _verified(self, token: str, key: Key) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.material,
            algorithms=list(key.algorithms),
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway,
            options={"verify_aud": self._audience is not None},
        )

    def _unless_revoked(self, token: AnyToken) -> AnyToken:
        if self._revoked is not None and self._revoked(token):
            raise TokenInvalid("it has been revoked")
        return token


def _common(claims: dict[str, Any]) -> dict[str, Any]:
    """Return what both kinds of tokens have."""
    expires_at = _time(claims, "expire_at") if "expire_at" in claims else _time(claims, "exp")
    return {
        "user": _claim(claims, "sub", str, ""),
        "info": claims.get("info"),
        "expires_at": expires_at or None,
        "issued_at": _time(claims, "iat"),
        "id": _claim(claims, "jti", str, ""),
    }


def _claim(claims: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    value = claims.get(name, default)
    if not isinstance(value, kind):
        raise TokenInvalid(f"its {name} is no {kind.__name__}")
    return value


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise TokenInvalid(f"its {name} is no number of seconds")
    return value


def _subs(claims: dict[str, Any]) -> dict[str, ServerSubscription]:
    """Return the channels that a client is subscribed to at once."""
    subs: dict[str, Any] = {name: {} for name in _claim(claims, "channels", list, []) if _is_name(name)}
    subs.update(_claim(claims, "subs", dict, {}))
    return {name: _sub(options) for name, options in subs.items()}


def _is_name(name: object) -> bool:
    if not isinstance(name, str):
        raise TokenInvalid("its channels are not all names")
    return True


def _sub(options: object) -> ServerSubscription:
    if not isinstance(options, dict):
        raise TokenInvalid("its subs are not all objects")
    return ServerSubscription(options.get("info"), options.get("data"))
