"""What the value of an option may be: a check for each kind, whose error says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from ipaddress import ip_network

Check = Callable[[str, object, str], None]
"""Takes an option's name, value and annotation; raises ``TypeError`` or ``ValueError`` for a wrong value."""

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]+/?")


def check_number(unit: str, name: str, value: object, annotation: str) -> None:
    """Take a whole number above 0, and what the annotation allows: ``float``, ``None``."""
    if value is None:
        if "None" not in annotation:
            raise TypeError(f"option {name!r} must be a number, not None")
        return
    whole = "float" not in annotation
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        kind = "a whole number" if whole else "a number"
        raise TypeError(f"option {name!r} must be {kind}{f' of {unit}' if unit else ''}, not {value!r}")
    if not value > 0:
        remedy = " (None: no limit)" if "None" in annotation else ""
        raise ValueError(f"option {name!r} must be greater than 0{remedy}, not {value!r}")


def check_flag(name: str, value: object, annotation: str) -> None:
    """Take ``True`` and ``False``."""
    if not isinstance(value, bool):
        raise TypeError(f"option {name!r} must be True or False, not {value!r}")


def check_networks(name: str, value: object, annotation: str) -> None:
    """Take addresses and networks (RFC 4632, RFC 4291), and ``"unix"``, in a collection."""
    # Not an iterator: the check would use it up.
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"option {name!r} must be a list of addresses and networks, not {value!r}")
    for entry in value:
        if not isinstance(entry, str):
            raise TypeError(
                f"option {name!r} must be a list of addresses and networks, each a str, not {entry!r}"
            )
        if entry != "unix":
            try:
                ip_network(entry)
            except ValueError as error:
                raise ValueError(f"option {name!r}: {error}") from None


def check_origins(name: str, value: object, annotation: str) -> None:
    """Take origins (RFC 6454), ``"*"`` or ``"null"``, one or a collection of them."""
    listed = (value,) if isinstance(value, str) else value
    if isinstance(listed, bytes) or not isinstance(listed, Collection):
        raise TypeError(f"option {name!r} must be a list of origins, not {value!r}")
    for entry in listed:
        if not isinstance(entry, str):
            raise TypeError(f"option {name!r} must be a list of origins, each a str, not {entry!r}")
        if entry == "*" and len(listed) > 1:
            raise ValueError(f"option {name!r}: '*' means any origin, and stands alone")
        if entry not in ("*", "null") and _ORIGIN.fullmatch(entry) is None:
            raise ValueError(
                f"option {name!r}: {entry!r} is not an origin; write it like 'https://example.com:8443',"
                " without a path"
            )


def check_field_value(name: str, value: object, annotation: str) -> None:
    """Take what a header field may contain, and ``None``."""
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"option {name!r} must be a string or None, not {value!r}")
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError(f"option {name!r} must be printable ASCII, not {value!r}")


def check_mode(name: str, value: object, annotation: str) -> None:
    """Take the permissions of a file, and ``None``."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"option {name!r} must be a number such as 0o660, not {value!r}")
    if not 0 < value <= 0o777:
        raise ValueError(f"option {name!r} must be 0o1 to 0o777, not {value:#o}; write it like 0o660")


def check_owner(name: str, value: object, annotation: str) -> None:
    """Take a user, a group, or both, as ``chown`` does, and ``None``."""
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"option {name!r} must be a string such as 'user:group', not {value!r}")
    if not value.strip(":") or value.count(":") > 1:
        raise ValueError(f"option {name!r} must be 'user', 'user:group' or ':group', not {value!r}")


def check_close_code(name: str, value: object, annotation: str) -> None:
    """Take a close code that says why a server ends."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"option {name!r} must be a close code such as 1012, not {value!r}")
    if value not in (1001, 1012, 1013) and not 3000 <= value <= 4999:
        raise ValueError(f"option {name!r} must be 1001, 1012, 1013 or 3000 to 4999, not {value!r}")


def check_callable(name: str, value: object, annotation: str) -> None:
    """Take a function, and ``None``."""
    if isinstance(value, str):
        raise TypeError(f"option {name!r} must be a function, not its name, {value!r}")
    if value is not None and not callable(value):
        raise TypeError(f"option {name!r} must be a function or None, not {value!r}")
